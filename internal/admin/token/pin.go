package token

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// PIN replaces the PIN of a token that somebody else has.
type PIN struct {
	Serial          string `json:"serial" arg:"" help:"The serial number."`
	None            bool   `json:"none,omitempty" help:"Take the PIN away instead of giving a new one."`
	Note            string `json:"note,omitempty" help:"How you made sure who asks."`
	admin.AuditText `embed:""`
}

// PINGiven is the PIN to tell the owner. It is shown once and kept nowhere.
type PINGiven struct {
	Serial string `json:"serial"`
	Owner  string `json:"owner"`
	PIN    string `json:"pin,omitempty"`
	Hint   string `json:"hint"`
}

func (c *PIN) Action() string { return "token.pin" }

func (c *PIN) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}

// Tell says what happens to the PIN.
func (c *PIN) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Rows("none", prompt.Field{Name: "PIN", After: map[bool]string{true: "none", false: "a new first one, which its owner must change"}[c.None]})
	return nil
}

// Object says what happens to the PIN.
func (c *PIN) Object() string {
	what := "a new first PIN for "
	if c.None {
		what = "no PIN any more for "
	}
	return admin.WithReason(what+named(c.Serial, c.AuditText), c.Note)
}

// Preflight says that the PIN of before would be missed.
func (c *PIN) Preflight(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, assurance.Known)
}

func (c *PIN) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	event, out := "token.pin-given", PINGiven{Serial: c.Serial, Hint: "It is typed in front of each code, and counts as something known once its owner has changed it."}
	if c.None {
		event, out.Hint = "token.pin-cleared", "The token's codes are typed alone."
	}
	var owner directory.Account
	err := a.Change(ctx, g, event, map[string]string{"serial": c.Serial, "note": c.Note}, &owner, func(tx *store.Tx) error {
		issuer, err := a.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		var credential directory.Credential
		if owner, credential, err = a.hands.InUse(ctx, tx, c.Serial); err != nil {
			return err
		}
		if err := a.MayAssign(issuer, owner); err != nil {
			return err
		}
		if err := a.engine.SpareAdministration(ctx, tx, signin.Without(owner.ID, credential.ID, assurance.Known)); err != nil {
			return err
		}
		if out.Owner = owner.Name; c.None {
			return a.given.ClearTx(ctx, tx, owner, &credential)
		}
		out.PIN, err = a.given.GiveTx(ctx, tx, owner, &credential)
		return err
	})
	return out, err
}
