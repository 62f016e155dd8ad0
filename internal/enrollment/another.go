package enrollment

import (
	"context"
	"encoding/json"
	"errors"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/failure"
	"countersign/internal/outbox"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// ErrAnother says that an answer was taken and the offer asks for another one now.
var ErrAnother = errors.New("enrollment: another answer is needed")

// another sends the code that is asked for next, and puts the question in the
// place of the one before, under the same ticket and until the same end.
func (e *Enrollments) another(ctx context.Context, g signin.Grant, p pending, secret string, next *authenticator.Another) error {
	p.Memo, p.Prompt = next.Memo, next.Prompt
	payload, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var sent bool
	err = e.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		entry := audit.Entry{Application: signin.Self, Protocol: g.Protocol(), Source: g.SourceText(), Action: Enroll, Attempt: p.Attempt, Detail: map[string]string{"authenticator": p.Kind}}
		if sent, err = e.messages.Send(ctx, tx, outbox.Sending{Account: p.Account, Entry: entry}, next.Message); err != nil || !sent {
			return err
		}
		if _, err := e.tickets.TakeTx(ctx, tx, ticketKind, secret); err != nil {
			return err
		}
		_, err = e.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: ticketKind, Owner: int64(p.Account), Payload: payload, Lifetime: p.Expires.Sub(e.now()), Secret: secret})
		return err
	})
	if err != nil {
		return err
	}
	if !sent {
		return failure.New(failure.Invalid, "No code can be sent now. Wait half a minute, or an hour if there were many.")
	}
	return ErrAnother
}
