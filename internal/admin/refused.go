package admin

import (
	"context"
	"errors"
	"net/netip"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// refusedEvent is the entry of a command that somebody may ask for and that was
// refused all the same: what an insider tries leaves a trace.
const refusedEvent = "command.refused"

// Asker is who asks for a command, before anybody approved it.
type Asker struct {
	Session  string // its secret, or reference
	Protocol string
	Source   netip.Addr
}

// PreflightBy is [Admin.Preflight] for somebody: what is refused leaves an entry that names
// them, the command, and whom it was about.
func (a *Admin) PreflightBy(ctx context.Context, by Asker, c Command) error {
	err := a.Preflight(ctx, c)
	if failure.ClassOf(err) != failure.Refused {
		return err
	}
	held, inactive := a.sessions.Active(ctx, by.Session)
	if inactive != nil {
		return errors.Join(err, inactive)
	}
	d, gone := a.people.Get(ctx, a.db, held.Account)
	if gone != nil {
		return errors.Join(err, gone)
	}
	en := audit.Entry{Event: refusedEvent, Outcome: audit.Refused, Application: signin.Self, Protocol: by.Protocol, Source: audit.AddressText(by.Source), Action: c.Action(), Detail: whole("object", c.Object())}
	en.Detail["session"] = held.Number
	return errors.Join(a.noteRefusal(ctx, audit.Actor{Account: int64(d.ID), Name: d.Name, Via: by.Protocol}, en, c, err), err)
}

// noteRefusal writes one entry for a refused command.
func (a *Admin) noteRefusal(ctx context.Context, by audit.Actor, en audit.Entry, c Command, refusal error) error {
	en.Reason = failure.ReasonOf(refusal)
	if n, ok := c.(aboutAccount); ok {
		d, err := a.people.Find(ctx, a.db, *n.About())
		switch {
		case err == nil:
			en.Account, en.AccountName = int64(d.ID), d.Name
		case failure.ClassOf(err) != failure.NotFound:
			return err
		}
	}
	return a.db.Change(ctx, by, func(tx *store.Tx) error { return tx.Record(en) })
}
