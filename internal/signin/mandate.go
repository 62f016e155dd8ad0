package signin

import (
	"context"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/store"
)

// Mandate is what our people delegated to a person of a partner. The zero Mandate is nothing, and
// grants nothing.
type Mandate struct {
	// Delegation is its number.
	Delegation int64
	// Partner is whose person it is.
	Partner string
	// Actions are what they may do in Countersign itself, Applications where they may sign in.
	Actions, Applications []string
	// Groups are those of whose members the actions may be; empty is everybody who is in no privileged
	// group and of no partner.
	Groups []string
	// From and Until are when it holds.
	From, Until time.Time
}

// Mandates are what was delegated to people of partners.
type Mandates interface {
	// Of is the mandate of an account: approved, not ended, and perhaps not begun or over. Where there
	// is none, or its row is not believed, it is the zero Mandate.
	Of(ctx context.Context, r store.Reader, account assurance.AccountID) (Mandate, error)
	// All are those of all accounts that have one.
	All(ctx context.Context, r store.Reader) (map[assurance.AccountID]Mandate, error)
}

// nothingDelegated is for an installation that has no partners.
type nothingDelegated struct{}

func (nothingDelegated) Of(context.Context, store.Reader, assurance.AccountID) (Mandate, error) {
	return Mandate{}, nil
}

func (nothingDelegated) All(context.Context, store.Reader) (map[assurance.AccountID]Mandate, error) {
	return nil, nil
}

func (p Parts) mandates() Mandates {
	if p.Mandates == nil {
		return nothingDelegated{}
	}
	return p.Mandates
}

// over reports whether it grants nothing any more.
func (m Mandate) over(now time.Time) bool { return m.Delegation == 0 || !now.Before(m.Until) }

// Why a partner's person gets nothing, or not this.
const (
	delegationOver     = "delegation-over"
	delegationNotBegun = "delegation-not-begun"
	outsideDelegation  = "outside-delegation"
)

// beyond says why a partner's person does not get what they ask for, whatever they show and whatever
// policy says; empty for our own people, and for what was delegated. Before a delegation begins its
// person can set up how they sign in, and nothing else.
func beyond(m *matter) string {
	switch {
	case m.account.Partner == "":
		return ""
	case m.mandate.Partner != m.account.Partner || m.mandate.over(m.now):
		return delegationOver
	case m.application.Name == Self && !administers(m.Action):
		return ""
	case m.now.Before(m.mandate.From):
		return delegationNotBegun
	case m.application.Name == Self && !lends(m, m.Action), m.application.Name != Self && !slices.Contains(m.mandate.Applications, m.application.Name):
		return outsideDelegation
	}
	return ""
}

// lends reports whether an action was delegated, and is one that can be.
func lends(m *matter, action string) bool {
	return slices.Contains(m.lending, action) && slices.Contains(m.mandate.Actions, action)
}

// ownFactor is what the engine demands of a partner's people everywhere beside policy: two factors, of
// which none is what their own organisation says. Where policy demands more of who is privileged, it
// demands that of them as well ([matter.facts]).
func ownFactor(m *matter) *assurance.Requirement {
	if m.account.Partner == "" || m.Action == Recover || changesAuthenticators(m.Action) {
		return nil // which take what they take, and of the account's own
	}
	r := assurance.TwoFactors()
	return &r
}

// saysBeyond is what a partner's person reads who is known and asks for more than was delegated.
func saysBeyond(m *matter, why string) language.Sentence {
	if !isKnown(m) {
		return language.Sentence{}
	}
	switch why {
	case delegationNotBegun:
		return language.Say("What was delegated to you as a person of %s begins at %s.", m.account.Partner, language.At(m.mandate.From.In(m.now.Location())))
	case outsideDelegation:
		return language.Say("This was not delegated to you as a person of %s. Ask the organisation whose pages these are.", m.account.Partner)
	}
	return language.Say("What was delegated to you as a person of %s is over. Ask the organisation whose pages these are.", m.account.Partner)
}

// Partner is the partner as whose person the account was granted, by which delegation; empty for our
// own people.
func (g Grant) Partner() (partner string, delegation int64) {
	r := g.read()
	return r.mandate.Partner, r.mandate.Delegation
}

// Lent are the actions that were delegated to the account; none for our own people.
func (g Grant) Lent() []string { return slices.Clone(g.read().mandate.Actions) }

// Reaches says why an action under this grant cannot be about an account: a partner's people reach
// nobody who is privileged, no partner's people, and nobody outside of the groups of their
// delegation. For our own people it is nil.
func (g Grant) Reaches(about directory.Account) error {
	m := g.read().mandate
	switch {
	case m.Partner == "":
		return nil
	case about.Guarded():
		return failure.Refuse(outsideDelegation, "A person of a partner can do nothing about somebody who is privileged, nor about a partner's people; ask the organisation's own administrators.")
	case len(m.Groups) > 0 && !slices.ContainsFunc(m.Groups, func(group string) bool { return slices.Contains(about.Groups, group) }):
		return failure.Refuse(outsideDelegation, "What was delegated to you is about other people: those in certain groups.")
	}
	return nil
}

// ReachesAll says why an action under this grant cannot be about everybody, as a list is: a delegation
// that is limited to groups reaches one account at a time.
func (g Grant) ReachesAll() error {
	if len(g.read().mandate.Groups) > 0 {
		return failure.Refuse(outsideDelegation, "What was delegated to you is about the people of certain groups, one at a time; name the account.")
	}
	return nil
}
