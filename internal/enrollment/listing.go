package enrollment

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// Kind is something that a person can enroll by themselves.
type Kind struct {
	// Pitch is what it is, in a sentence.
	Kind, Title, Pitch string
	// Restricted ones have known weaknesses (SP 800-63B-4 section 3.2.9), Resistant ones
	// cannot be phished.
	Restricted, Resistant bool
	// Known says that it is only known, Issued that an organisation has to give it to
	// people first, Single that a new one replaces the old one.
	Known, Issued, Single bool
}

// Listing tells what people have and what they can set up. It changes nothing.
type Listing struct {
	view        store.View
	credentials *directory.Credentials
	kinds       kindList
	pins        PINKinds
	now         func() time.Time
}

func newListing(p Parts) *Listing {
	return &Listing{view: p.DB.View(), credentials: p.Credentials, kinds: p.Authenticators, pins: p.PINs, now: p.Now}
}

// Kinds lists what people can enroll, in the order in which it is offered.
func (l *Listing) Kinds() []Kind {
	var out []Kind
	for _, a := range l.kinds {
		if _, ok := a.(authenticator.Enroller); ok {
			d := a.Describe()
			out = append(out, Kind{Kind: d.Kind, Title: d.Title, Pitch: d.Pitch, Restricted: d.Traits.Has(assurance.Restricted), Resistant: d.Traits.Has(assurance.PhishingResistant), Known: d.Traits.OnlyKnown(), Issued: d.Issued, Single: d.Single})
		}
	}
	return out
}

// Assigned is the kind that an administrator assigns by what is public of it; empty where
// there is none.
func (l *Listing) Assigned() string {
	for _, a := range l.kinds {
		if _, ok := a.(authenticator.Assigner); ok {
			return a.Describe().Kind
		}
	}
	return ""
}

// Authenticator is one enrolled authenticator, for its owner and for
// administrators.
type Authenticator struct {
	ID         assurance.CredentialID `json:"id"`
	Kind       string                 `json:"kind"`
	Title      string                 `json:"title"`
	Label      string                 `json:"label"`
	Traits     assurance.Trait        `json:"traits"`
	Status     string                 `json:"status"`
	Quarantine time.Time              `json:"quarantine,omitzero"`
	Created    time.Time              `json:"created"`
	Used       time.Time              `json:"used,omitzero"`
	// PIN is what stands in front of its codes: none, set, first for one that an
	// administrator gave, or wanted. Empty where no PIN can.
	PIN string `json:"pin,omitempty"`
	// Application and Service are the one service that an app password is for; empty for all else.
	Application string `json:"application,omitempty"`
	Service     string `json:"service,omitempty"`
}

// AppPassword reports whether it is what a device comes with, and nothing to sign in with.
func (a Authenticator) AppPassword() bool { return a.Traits.Has(assurance.AppPassword) }

// List returns the account's authenticators that are not revoked or used up,
// oldest first.
func (l *Listing) List(ctx context.Context, account assurance.AccountID) ([]Authenticator, error) {
	rows, err := l.credentials.All(ctx, l.view, account)
	if err != nil {
		return nil, err
	}
	var out []Authenticator
	for _, c := range rows {
		if c.Status == directory.CredentialRevoked || c.Status == directory.CredentialUsedUp {
			continue
		}
		out = append(out, l.Describe(c))
	}
	return out, nil
}

// Describe tells of a credential what its owner and administrators may read.
func (l *Listing) Describe(c directory.Credential) Authenticator {
	title := c.Kind
	if a := l.kinds.of(c.Kind); a != nil {
		title = a.Describe().Title
	}
	q := c.Quarantine
	if !l.now().Before(q) {
		q = time.Time{}
	}
	out := Authenticator{ID: c.ID, Kind: c.Kind, Title: title, Label: c.Label, Traits: c.Traits, Status: c.Status, Quarantine: q, Created: c.Created, Used: c.Used, PIN: l.pins.PINState(c.Kind, c.State)}
	if b, ok := l.kinds.of(c.Kind).(authenticator.Bearer); ok {
		out.Application, out.Service, _ = b.For(authenticator.Credential{Kind: c.Kind, State: c.State}) // what cannot be read is for nothing
	}
	return out
}

// kindList are all kinds.
type kindList []authenticator.Authenticator

// of returns the authenticator of a kind, nil where there is none.
func (all kindList) of(kind string) authenticator.Authenticator {
	for _, a := range all {
		if a.Describe().Kind == kind {
			return a
		}
	}
	return nil
}

// twoFactors reports whether two factors could be shown with these.
func twoFactors(rows []directory.Credential, now time.Time) bool {
	return assurance.TwoFactors().Met(directory.CouldShow(rows, now), now)
}

// TwoFactors reports whether the account could sign in with two factors.
func (l *Listing) TwoFactors(ctx context.Context, account assurance.AccountID) (bool, error) {
	rows, err := l.credentials.All(ctx, l.view, account)
	return twoFactors(rows, l.now()), err
}
