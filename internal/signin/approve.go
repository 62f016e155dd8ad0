package signin

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Approvals is the other side of a sign-in that waits: what its owner sees of it
// and answers, elsewhere. It is safe for concurrent use.
type Approvals struct {
	Parts
	rows     *approvalRows
	guesses  *guesses
	examiner *examiner
}

// WaitingFor finds the sign-in that waits under a number, for its owner alone.
// Numbers that nothing waits under draw on the account's budget, so that a
// stolen session cannot look for one.
func (a *Approvals) WaitingFor(ctx context.Context, g Grant, typed string) (Waiting, error) {
	return a.under(ctx, g.Actor(), guesser{protocol: g.Protocol(), source: g.Source(), account: g.Account()}, typed)
}

// ByID returns a waiting sign-in of the grant's account.
func (a *Approvals) ByID(ctx context.Context, g Grant, id int64) (Waiting, error) {
	row, err := a.rows.waiting(ctx, a.DB, g.Account(), id)
	if err != nil {
		return Waiting{}, err
	}
	if row.state != "waiting" {
		return Waiting{}, noApproval
	}
	return row.body.Waiting, nil
}

// Approve approves a waiting sign-in. The grant must be for exactly its text,
// and rest on a passkey: that is what the sign-in is then given, without its
// resistance to phishing, which does not cross to another device.
func (a *Approvals) Approve(ctx context.Context, g Grant, id int64) error {
	w, err := a.ByID(ctx, g, id)
	if err != nil {
		return err
	}
	if !g.Covers(Self, Approve, w.Text()) {
		return failure.Refuse("other-action", "The approval is for something else.")
	}
	shown := assurance.Evidence{}
	for _, ev := range g.Evidence() {
		if ev.Traits.Has(assurance.Held|assurance.PhishingResistant) && ev.Time.After(shown.Time) {
			shown = ev
		}
	}
	if shown.Kind == "" {
		return failure.Refuse("no-passkey", "Only a passkey or a security key can approve.")
	}
	shown.Traits &^= assurance.PhishingResistant
	shown.Bound = w.Text()
	return a.answer(ctx, g, id, &shown)
}

// Refuse refuses a waiting sign-in; any session of its owner may.
func (a *Approvals) Refuse(ctx context.Context, g Grant, id int64) error {
	return a.answer(ctx, g, id, nil)
}

func (a *Approvals) answer(ctx context.Context, g Grant, id int64, shown *assurance.Evidence) error {
	return a.DB.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		row, err := a.rows.waiting(ctx, tx, g.Account(), id)
		if err != nil {
			return err
		}
		return a.rows.settle(ctx, tx, row, shown, audit.Entry{AccountName: g.Name(), Protocol: g.Protocol(), Source: g.SourceText(), Detail: map[string]string{}})
	})
}
