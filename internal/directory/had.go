package directory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// Cause is by what an authenticator ended.
type Cause string

// The causes. What its owner gave up by proving as much as they had is gone. So is
// what two people's word, or its owner's own codes, replaced. Everything else is
// still something that its owner has had.
const (
	ByOwner         Cause = "owner"         // who proved as much as they could
	ByNewer         Cause = "newer"         // its owner's own took its place
	ByGuesses       Cause = "guesses"       // wrong answers, anybody's
	ByReport        Cause = "report"        // "this was not me"
	ByAdministrator Cause = "administrator" // one person's word
	ByRecovery      Cause = "recovery"      // a recovery on one person's word
	BySureRecovery  Cause = "sure-recovery" // one on two people's word, or on its owner's codes
	ByMachine       Cause = "machine"       // whoever holds the server, when no administrator can
	ByStop          Cause = "stop"          // it came from a recovery that was stopped
)

// End is when an authenticator ended, by what, and by whom: the account of an
// administrator or the number of a recovery, 0 where that says nothing.
type End struct {
	At    time.Time
	Cause Cause
	Whose int64
}

func (e End) by() string {
	if e.Whose == 0 {
		return string(e.Cause)
	}
	return fmt.Sprintf("%s/%d", e.Cause, e.Whose)
}

func readEnd(at int64, by string) (End, error) {
	cause, number, numbered := strings.Cut(by, "/")
	e := End{At: store.Time(at), Cause: Cause(cause)}
	if !numbered {
		return e, nil
	}
	var err error
	e.Whose, err = strconv.ParseInt(number, 10, 64)
	return e, err
}

// EndAt puts a credential out of use.
func (c *Credential) EndAt(now time.Time, status string, by Cause, whose int64) {
	c.Status, c.End = status, End{At: now.Truncate(time.Microsecond), Cause: by, Whose: whose}
}

// standing reports whether a credential is its owner's as ever: active, in
// quarantine, or switched off by somebody who proved nothing.
func (c Credential) standing() bool {
	return c.Status == CredentialActive || c.Status == CredentialDisabled
}

// taken reports whether it was taken from its owner on one person's word, or by
// something that nobody remembers.
func (c Credential) taken() bool {
	return c.Status == CredentialRevoked && (c.End.Cause == ByAdministrator || c.End.Cause == ByRecovery || c.End.Cause == "")
}

// GivenUp reports whether a credential was given up for good: by its owner, or for one
// that two people's word replaced.
func (c Credential) GivenUp() bool { return !c.standing() && !c.taken() }

// factor reports whether a credential is one: no pass, no key, no code by mail, and no link
// that somebody else can have made.
func (c Credential) factor() bool {
	return c.Traits&(assurance.Known|assurance.Held) != 0 && !c.Traits.Has(assurance.Tentative)
}

// knownOnly is a password and the like, and not the PIN of a device that is held.
func (c Credential) knownOnly() bool {
	return c.Traits.Has(assurance.Known) && !c.Traits.Has(assurance.Held)
}

// showable reports whether it could be asked for in addition to a confirmation: what
// is in quarantine could not, since who has had somebody's browser for a minute may
// have made it.
func (c Credential) showable(now time.Time) bool {
	return c.Status == CredentialActive && !now.Before(c.Quarantine)
}

// Proof is what is required in addition to another person's confirmation that somebody is
// who they say, be it a pass or a recovery. Nobody replaces both factors alone: the
// confirmation replaces one of them.
type Proof string

const (
	// ProofNone is for people who never had two factors, or gave them up.
	ProofNone Proof = "nothing"
	// ProofKnown is the password or the like.
	ProofKnown Proof = "known"
	// ProofHeld is a device that they set up by themselves, if nothing that they know can
	// be asked for.
	ProofHeld Proof = "held"
	// ProofSecondPerson is the confirmation of a second person: there were two factors,
	// and nothing is left of them that could be asked for.
	ProofSecondPerson Proof = "second"
)

// ProofRequired returns what is required in addition to a confirmation that was given at a
// moment. What was set up after it is a result of it, and is not asked for.
func ProofRequired(credentials []Credential, given, now time.Time) Proof {
	var had []Credential // what still counts as theirs
	for _, c := range credentials {
		if c.factor() && !c.Created.After(given) && (c.standing() || c.taken()) {
			had = append(had, c)
		}
	}
	known := func(c Credential) bool { return c.knownOnly() && c.showable(now) }
	off := func(c Credential) bool { return c.knownOnly() && c.standing() }
	held := func(c Credential) bool { return c.Traits.Has(assurance.Held) && c.showable(now) }
	assigned := func(c Credential) bool { return held(c) && c.Assigned != 0 }
	switch {
	case slices.ContainsFunc(had, known):
		return ProofKnown
	case !two(had, func(Credential) bool { return true }, now) && !slices.ContainsFunc(had, off):
		return ProofNone
	case slices.ContainsFunc(had, held) && !slices.ContainsFunc(credentials, assigned): // assigned at any time: also after the word
		return ProofHeld
	}
	return ProofSecondPerson
}

// two reports whether those of these that count are two factors.
func two(credentials []Credential, counts func(Credential) bool, now time.Time) bool {
	all := make([]assurance.Evidence, 0, len(credentials))
	for _, c := range credentials {
		if counts(c) {
			all = append(all, assurance.Evidence{Account: c.Account, Kind: c.Kind, Credential: c.ID, Traits: c.Traits, Time: now})
		}
	}
	return assurance.TwoFactors().Met(all, now)
}

// LacksTwoFactors reports whether an account has no two factors and may be given some
// on one person's word. Who had them, and lost them by wrong answers, by a report or
// by what others did, is not such an account.
func LacksTwoFactors(credentials []Credential, now time.Time) bool {
	return !two(credentials, Credential.standing, now) && ProofRequired(credentials, now, now) != ProofSecondPerson
}

// WordGiven is when the newest pass of an account was issued, whatever became of it;
// now where it has none.
func WordGiven(credentials []Credential, now time.Time) time.Time {
	given := time.Time{}
	for _, c := range credentials {
		if c.Traits.Has(assurance.Vouched) && c.Created.After(given) {
			given = c.Created
		}
	}
	if given.IsZero() {
		return now
	}
	return given
}
