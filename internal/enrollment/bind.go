package enrollment

import (
	"context"
	"encoding/json"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// A binding code leads a device to an enrollment that waits in its owner's
// session: a ticket of the kind bindTicket, which the device changes, once, for
// one of the kind boundTicket with its key behind it.
const (
	bindTicket  = "bind"
	boundTicket = "bound"
)

// binding is what is behind a binding code.
type binding struct {
	Kind, Name string
}

// Bind takes what a device proposes for a binding code. Nothing is enrolled by
// it: that takes the owner, in the session that made the code. It returns the
// name of whom the device will sign in. A code that is unknown, late, or was
// used is a Refused failure, and so is a proposal that the code is not in.
func (e *Enrollments) Bind(ctx context.Context, code string, proposal []byte, source string) (name string, err error) {
	found, err := e.tickets.Peek(ctx, bindTicket, code)
	if err != nil {
		return "", e.bindRefused(ctx, 0, "unknown-code", source, err)
	}
	var b binding
	if err := json.Unmarshal(found.Payload, &b); err != nil {
		return "", err
	}
	how, ok := e.kind(b.Kind).(authenticator.Binder)
	if !ok || !how.Proposes(code, proposal) {
		return "", e.bindRefused(ctx, found.Owner, "forged", source, failure.Refuse("forged", "The device did not sign the code."))
	}
	err = e.db.Housekeep(ctx, "enroll.bind", func(tx *store.Tx) error {
		t, err := e.tickets.TakeTx(ctx, tx, bindTicket, code)
		if err != nil {
			return err
		}
		_, err = e.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: boundTicket, Owner: t.Owner, Payload: proposal, Lifetime: t.Expires.Sub(e.now()), Secret: code})
		return err
	})
	return b.Name, err
}

// bindRefused records what was not bound, and counts where nobody knows for whom; a breakdown is returned as it is.
func (e *Enrollments) bindRefused(ctx context.Context, owner int64, reason, source string, cause error) error {
	if failure.ClassOf(cause) != failure.Refused {
		return cause
	}
	en := audit.Entry{Event: "binding.refused", Outcome: "refused", Reason: reason, Account: owner, Application: signin.Self, Protocol: "app", Source: source}
	if owner == 0 { // anybody can make up a code
		e.strangers.Count(en)
		return cause
	}
	err := e.db.Change(ctx, audit.Actor{Name: "somebody", Via: "app"}, func(tx *store.Tx) error { return tx.Record(en) })
	if err != nil {
		return err
	}
	return cause
}

// openBinding makes an offer's code good, where its device is bound by one.
func (e *Enrollments) openBinding(ctx context.Context, how authenticator.Enroller, p authenticator.Person, kind string, memo authenticator.Memo) error {
	b, ok := how.(authenticator.Binder)
	if !ok {
		return nil
	}
	code, err := b.Code(memo)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(binding{Kind: kind, Name: p.Name})
	if err != nil {
		return err
	}
	_, err = e.tickets.Issue(ctx, ticket.Spec{Kind: bindTicket, Owner: int64(p.Account), Payload: payload, Lifetime: codeLife, Secret: code})
	return err
}

// proposed is what a device proposed for an offer; nil when none has yet.
func (e *Enrollments) proposed(ctx context.Context, how authenticator.Enroller, p pending) ([]byte, error) {
	b, ok := how.(authenticator.Binder)
	if !ok {
		return nil, nil
	}
	code, err := b.Code(p.Memo)
	if err != nil {
		return nil, err
	}
	t, err := e.tickets.Peek(ctx, boundTicket, code)
	if failure.ClassOf(err) == failure.Refused {
		return nil, nil
	}
	if err == nil && t.Owner != int64(p.Account) {
		return nil, nil
	}
	return t.Payload, err
}
