package enrollment

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// mostAppPasswords bounds how many an account has at a time.
const mostAppPasswords = 25

// AppPasswordTerms are what an app password is good for: one service of one application, for one
// device, by its owner's own name for it. Of is how people call the application.
type AppPasswordTerms struct {
	Application, Service, Device string
	Of                           string
}

// AppPasswords makes what devices come with that cannot sign in on a page, and ends all of an
// account's at once. One of them is ended as every authenticator is.
type AppPasswords struct {
	changes *Changes
	issue   func(application, service string) (string, authenticator.Enrolled, error)
}

func newAppPasswords(p Parts) *AppPasswords { return &AppPasswords{newChanges(p), p.NewAppPassword} }

// Make makes an app password of the grant's own account. It returns its text, which is kept
// nowhere. The grant must be for exactly that ([signin.MakingAppPassword]).
func (ap *AppPasswords) Make(ctx context.Context, g signin.Grant, t AppPasswordTerms) (string, error) {
	if !g.Covers(signin.Self, Enroll, signin.MakingAppPassword(t.Application, t.Service, t.Device)) {
		return "", failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	text, enrolled, err := ap.issue(t.Application, t.Service)
	if err != nil {
		return "", err
	}
	ch := ap.changes
	err = ch.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		account, err := ap.room(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		c, err := ch.credentials.Add(ctx, tx, directory.Credential{Account: account.ID, Kind: "apppassword", Label: CleanLabel(t.Device, enrolled.Label),
			Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State})
		if err != nil {
			return err
		}
		en := entryOf(g, "credential.enrolled", c)
		en.Detail["serves"] = signin.Served(t.Application, t.Service)
		if err := tx.Record(en); err != nil {
			return err
		}
		return ch.tell(ctx, tx, account, language.Say("An app password was added to your account"),
			language.Say("A device called %q can use it for %s (%s) as %s. It opens nothing else.", language.Word(c.Label), language.Word(t.Of), t.Service, account.Name))
	})
	if err != nil {
		return "", err
	}
	return text, nil
}

// room returns the account if it is let in and may have one more.
func (ap *AppPasswords) room(ctx context.Context, tx *store.Tx, id assurance.AccountID) (directory.Account, error) {
	account, err := ap.changes.people.Get(ctx, tx, id)
	if err != nil {
		return account, err
	}
	if err := account.Out(ap.changes.now()); err != nil {
		return account, err
	}
	rows, err := ap.changes.credentials.All(ctx, tx, id)
	if err != nil {
		return account, err
	}
	there := 0
	for _, c := range rows {
		if c.Traits.Has(assurance.AppPassword) && c.Status == directory.CredentialActive {
			there++
		}
	}
	if there >= mostAppPasswords {
		return account, failure.New(failure.Conflict, "You have 25 app passwords; end one that no device uses any more.")
	}
	return account, nil
}

// EndAppPasswordsTx ends every app password of an account inside another room's change, which records it, for
// good. It returns how many there were.
func (ed *Endings) EndAppPasswordsTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, cause directory.Cause) (int, error) {
	rows, err := ed.credentials.All(ctx, tx, account)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, c := range rows {
		if !c.Traits.Has(assurance.AppPassword) || c.Status == directory.CredentialRevoked || c.Lost() {
			continue
		}
		if err := ed.RevokeTx(ctx, tx, &c, cause, 0); err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}
