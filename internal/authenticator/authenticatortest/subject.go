// Package authenticatortest is the exam that every kind of authenticator sits.
//
// It owns a small stand-in for the engine's duties (one credential, its version,
// the once-keys that were spent) and the questions that matter to all kinds: is
// a right answer taken once, even 64 at a time; is everything else refused
// without a breakdown; does nothing leak. It does not know any kind's rules:
// each room tests its own. Its one invariant: an authenticator that passes can
// be replayed only if both guards fail, the version of its state and the
// uniqueness of its once-keys.
package authenticatortest

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Answerer is one enrolled device, or what one person knows: it answers a
// question rightly at a moment. It is called once for each answer that is
// wanted, and must then give the next one that is right (the next code, the next
// saved code, a new signature). The question holds all that a page would get.
type Answerer func(t testing.TB, question prompt.Prompt, now time.Time) prompt.Answer

// Subject is an authenticator that sits the exam.
type Subject struct {
	// New returns the authenticator.
	New func(t testing.TB) authenticator.Authenticator
	// Enroll gives a person a credential, by Offer and Accept or however else it
	// comes about, and returns the device that answers for it.
	Enroll func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, Answerer)
	// Confirm answers an Offer rightly, with a new device each time. Needed when
	// the authenticator is an Enroller.
	Confirm Answerer
	// Wrong returns answers close to a right one that must be refused. Nil
	// changes single characters of the typed text; an authenticator whose
	// answers are Data needs its own.
	Wrong func(t testing.TB, right prompt.Answer) []prompt.Answer

	// Reusable: the same right answer works again and again, as a password's.
	Reusable bool
	// Unmoved: a success need not change the state, as for a security key that
	// does not count, so that only the once-key stands against a replay.
	Unmoved bool
	// Uses is how many right answers a new credential has in all; 0 is no limit.
	Uses int
	// Pause is how long a person waits for the next right answer: a TOTP step.
	Pause time.Duration
	// Stale is after how long a right answer that was not used is refused, and
	// before how long it is refused too (a clock that was set back). 0 is never.
	Stale time.Duration
	// NextCode is after how many failures two consecutive answers are demanded;
	// 0 is never.
	NextCode int
	// Start is when the exam begins; the zero time is a day in 2026.
	Start time.Time
}

// Exam examines the subject. Call it from a test of the authenticator's room.
func Exam(t *testing.T, s Subject) {
	if s.Start.IsZero() {
		s.Start = time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	}
	if s.Wrong == nil {
		s.Wrong = nearMisses
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { part.examine(t, s) })
	}
}

// parts is the exam. Each part begins with a new authenticator and new people.
var parts = []struct {
	name    string
	examine func(t *testing.T, s Subject)
}{
	{"description is constant and complete", description},
	{"question fits the description and tells nothing", question},
	{"right answers", rightAnswers},
	{"same answer twice, once-key alone", func(t *testing.T, s Subject) { twice(t, s, onceAlone) }},
	{"same answer twice, state alone", func(t *testing.T, s Subject) { twice(t, s, stateAlone) }},
	{"64 at once, once-key alone", func(t *testing.T, s Subject) { atOnce(t, s, onceAlone) }},
	{"64 at once, state alone", func(t *testing.T, s Subject) { atOnce(t, s, stateAlone) }},
	{"two in a row after failures", inARow},
	{"near misses", nearMiss},
	{"stale", stale},
	{"another account's", anothers},
	{"no credentials", noCredentials},
	{"hostile answers", hostileAnswers},
	{"hostile memos", hostileMemos},
	{"broken state", brokenState},
	{"enrollment", enrollment},
	{"an older state put back", rewound},
}
