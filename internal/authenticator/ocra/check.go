package ocra

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/prompt"
)

// Bounds of what is looked for: a window of ten counters, or of three where there is
// a clock too, and after three failures the very next one. So the ten tries that
// there are by default guess at 48 responses at most, of the 100 that SP 800-63B-4
// section 3.2.2 lets somebody try.
const (
	window      = 10
	timedWindow = 3
	narrowAfter = 3
	around      = 1 // steps on either side of the token's clock
	maxDrift    = 20
	maxAhead    = 1000
)

// reasonAhead is a right response beyond the window; the Detail says how far.
const reasonAhead = "ahead"

// Check compares the response to the number that the memo holds. No number that
// another account was asked, or that was not asked, has a right answer.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, asked authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	var m memo
	if json.Unmarshal(asked, &m) != nil || m.Question == "" {
		return authenticator.Wrong("not-asked"), nil
	}
	for _, c := range credentials {
		if c.Account != m.Account {
			return authenticator.Wrong("not-asked"), nil
		}
	}
	match := func(s state, digits string, failures int, _ bool) finding {
		return s.match(m.Question, digits, s.window(failures), now)
	}
	return otp.Judge[state]{Decode: decodeState, Match: match, Decoy: a.decoy, PIN: state.prefix, Digits: state.digits, Passed: passed, Keys: a.pins}.Check(credentials, answer)
}

// finding is what one key makes of an answer.
type finding = otp.Finding[state]

func (s state) digits() int { return s.suite.Digits }

// passed is past the response that was found, which is as far as accepting it.
func passed(_ state, f finding) state { return f.Next }

// window is how many counters count from the next one on.
func (s state) window(failures int) int {
	switch {
	case failures >= narrowAfter:
		return 1
	case s.suite.Step > 0:
		return timedWindow
	}
	return window
}

// match judges a response to a question by one key, over n counters.
func (s state) match(question, digits string, n int, now time.Time) finding {
	if s.suite.PIN != "" && s.PINHash == nil {
		return otp.Refused[state]("no-pin", "the token needs a PIN, and none is set")
	}
	at, ok := s.find(question, digits, span{counters: n, present: s.step(now), center: s.Drift, reach: around})
	if !ok {
		if ahead, ok := s.find(question, digits, span{counters: 10 * window, present: s.step(now), center: s.Drift, reach: around}); ok && s.suite.Counter {
			return otp.Refused[state](reasonAhead, fmt.Sprintf("the response %d after the next one", ahead.counter-s.Next))
		}
		return otp.Refused[state](otp.Wrong, "")
	}
	f := finding{Accepted: true, Once: s.once(question, at), Next: s, Traits: s.PIN.Traits()}
	f.Next.move(at)
	if skipped := at.counter - s.Next; s.suite.Counter && skipped > 0 {
		f.Detail = fmt.Sprintf("the token was %d responses ahead", skipped)
	}
	return f
}

// once is what a response uses up: its counter, or else the question, which is
// never right again for this key.
func (s state) once(question string, at place) string {
	if s.suite.Counter {
		return "c" + strconv.FormatUint(at.counter, 10)
	}
	return "q" + question
}

// move goes past a response that was right.
func (s *state) move(at place) {
	if s.suite.Counter {
		s.Next = at.counter + 1
	}
	s.Drift = min(max(at.drift, -maxDrift), maxDrift)
}

// step is the time step that a moment lies in; 0 where the suite has none.
func (s state) step(now time.Time) int64 {
	if s.suite.Step == 0 {
		return 0
	}
	return now.Unix() / int64(s.suite.Step/time.Second)
}

// place is where a response was right.
type place struct {
	counter uint64
	drift   int64
}

// span is where a response is looked for: so many counters from the next one on,
// and steps around where the token's clock is taken to be.
type span struct {
	counters      int
	present       int64
	center, reach int64
}

// find returns the last place of a span where a response is right. It compares
// with all of them, in constant time, whether or not one fits.
func (s state) find(question, digits string, w span) (place, bool) {
	if !s.suite.Counter {
		w.counters = 1
	}
	if s.suite.Step == 0 {
		w.center, w.reach = 0, 0
	}
	found, at, typed := false, place{}, []byte(digits)
	computed, err := s.suite.begin(s.Secret, Input{Question: question, PINHash: s.PINHash})
	if err != nil {
		return at, false // a question that is none of this suite
	}
	for c := range uint64(w.counters) {
		for d := w.center - w.reach; d <= w.center+w.reach; d++ {
			if subtle.ConstantTimeCompare(computed.response(s.Next+c, uint64(w.present+d)), typed) == 1 {
				found, at = true, place{s.Next + c, d}
			}
		}
	}
	return at, found
}
