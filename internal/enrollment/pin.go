package enrollment

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// PINKinds are the authenticators that can have a PIN in front of their codes.
type PINKinds interface {
	// PINState is none, set, first, or wanted where there is none and no code is
	// right without one; empty for what can have no PIN.
	PINState(kind string, state []byte) string
	// Set puts one there. A PIN that will not do is a *authenticator.Refused.
	Set(kind string, state []byte, pin string) (authenticator.Enrolled, error)
	// Give makes one that its owner must change, and returns it.
	Give(kind string, state []byte) (next authenticator.Enrolled, pin string, err error)
	// Clear takes it away.
	Clear(kind string, state []byte) (authenticator.Enrolled, error)
}

const pinTicket = "pin"

// pendingPIN is a PIN that its owner was let to set and has not typed yet.
type pendingPIN struct {
	begun
	Credential assurance.CredentialID
}

// PINs are what owners and administrators do with PINs.
type PINs struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	tickets     *ticket.Tickets
	sessions    *session.Endings
	kinds       PINKinds
	describe    func(c directory.Credential) Authenticator
	tell        teller
}

func newPINs(p Parts) *PINs {
	return &PINs{db: p.DB, people: p.Accounts, credentials: p.Credentials, tickets: p.Tickets, sessions: p.Sessions, kinds: p.PINs,
		describe: newListing(p).Describe, tell: newNotices(p).Tell}
}

// Begin lets the grant's account type a PIN for one of its authenticators,
// within ten minutes. The ticket that it returns is secret.
func (pn *PINs) Begin(ctx context.Context, g signin.Grant, id assurance.CredentialID) (string, error) {
	if !g.Covers(signin.Self, SetPIN, strconv.FormatInt(int64(id), 10)) {
		return "", failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	if _, err := pn.takes(ctx, pn.db, g, id); err != nil {
		return "", err
	}
	b, err := json.Marshal(pendingPIN{begun: begunBy(g), Credential: id})
	if err != nil {
		return "", err
	}
	return pn.tickets.Issue(ctx, ticket.Spec{Kind: pinTicket, Owner: int64(g.Account()), Payload: b, Lifetime: codeLife})
}

// takes returns one of the grant's own active authenticators that can have a PIN.
func (pn *PINs) takes(ctx context.Context, r store.Reader, g signin.Grant, id assurance.CredentialID) (directory.Credential, error) {
	c, err := pn.credentials.Get(ctx, r, g.Account(), id)
	if err != nil {
		return c, err
	}
	if c.Status != directory.CredentialActive || pn.kinds.PINState(c.Kind, c.State) == "" {
		return c, noPIN
	}
	return c, nil
}

var noPIN = failure.New(failure.Invalid, "That cannot have a PIN.")

// Resume says for which authenticator a ticket of Begin is.
func (pn *PINs) Resume(ctx context.Context, g signin.Grant, secret string) (Authenticator, error) {
	p, err := pn.pending(ctx, g, secret)
	if err != nil {
		return Authenticator{}, err
	}
	c, err := pn.takes(ctx, pn.db, g, p.Credential)
	return pn.describe(c), err
}

func (pn *PINs) pending(ctx context.Context, g signin.Grant, secret string) (p pendingPIN, err error) {
	t, err := pn.tickets.Peek(ctx, pinTicket, secret)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(t.Payload, &p); err != nil {
		return p, err
	}
	return p, p.continued(g)
}

// Finish sets the PIN that was typed twice. The account's other sessions end:
// they may rest on the PIN of before. A PIN that will not do is Invalid, with what
// to do about it, and can be mended with the same ticket.
func (pn *PINs) Finish(ctx context.Context, g signin.Grant, secret, pin, again string) error {
	p, err := pn.pending(ctx, g, secret)
	if err != nil {
		return err
	}
	if pin != again {
		return &failure.Error{Class: failure.Invalid, Reason: "not-twice", Public: "The two are not the same. Type the PIN twice."}
	}
	return pn.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		c, err := pn.takes(ctx, tx, g, p.Credential)
		if err != nil {
			return err
		}
		next, err := pn.kinds.Set(c.Kind, c.State, pin)
		var refused *authenticator.Refused
		if errors.As(err, &refused) {
			return &failure.Error{Class: failure.Invalid, Reason: refused.Reason, Public: refused.Public}
		}
		if err != nil {
			return err
		}
		if _, err := pn.tickets.TakeTx(ctx, tx, pinTicket, secret); err != nil {
			return err
		}
		if err := pn.rewrite(ctx, tx, &c, next); err != nil {
			return err
		}
		ended, err := pn.sessions.EndAllTx(ctx, tx, c.Account, g.Session())
		if err != nil {
			return err
		}
		en := entryOf(g, "credential.pin-set", c)
		en.Detail["sessions-ended"] = strconv.Itoa(ended)
		tx.Record(en)
		account, err := pn.people.Get(ctx, tx, c.Account)
		if err != nil {
			return err
		}
		return pn.tell(ctx, tx, account, language.Say("The PIN of one of your tokens was changed"),
			language.Say("%q has a new PIN, which is typed in front of its codes to sign in as %s.", c.Label, account.Name))
	})
}

func (pn *PINs) rewrite(ctx context.Context, tx *store.Tx, c *directory.Credential, next authenticator.Enrolled) error {
	c.State, c.Traits = next.State, next.Traits
	tx.Announce(directory.Topic(c.Account))
	return pn.credentials.Update(ctx, tx, *c)
}

// GiveTx replaces the PIN of a credential that was read in this transaction by
// one that its owner must change, inside another room's change, which records it.
// What the PIN of before showed stops counting at once, in sessions too.
func (pn *PINs) GiveTx(ctx context.Context, tx *store.Tx, account directory.Account, c *directory.Credential) (string, error) {
	if pn.kinds.PINState(c.Kind, c.State) == "" {
		return "", noPIN
	}
	next, pin, err := pn.kinds.Give(c.Kind, c.State)
	if err != nil {
		return "", err
	}
	if err := pn.rewrite(ctx, tx, c, next); err != nil {
		return "", err
	}
	return pin, pn.tell(ctx, tx, account, language.Say("The PIN of one of your tokens was replaced"),
		language.Say("An administrator gave %q of %s a new PIN. Change it under \"Ways to sign in\": until then it counts for nothing.", c.Label, account.Name))
}

// ClearTx takes the PIN away in the same way.
func (pn *PINs) ClearTx(ctx context.Context, tx *store.Tx, account directory.Account, c *directory.Credential) error {
	if pn.kinds.PINState(c.Kind, c.State) == "" {
		return noPIN
	}
	next, err := pn.kinds.Clear(c.Kind, c.State)
	if err != nil {
		return err
	}
	if pn.kinds.PINState(c.Kind, next.State) == "wanted" {
		return failure.New(failure.Conflict, "The codes of that token are made with its PIN; give it a new one instead.")
	}
	if err := pn.rewrite(ctx, tx, c, next); err != nil {
		return err
	}
	return pn.tell(ctx, tx, account, language.Say("The PIN of one of your tokens was taken away"),
		language.Say("An administrator took away the PIN of %q. Its codes alone are typed now to sign in as %s.", c.Label, account.Name))
}
