// Package authenticator is the command that revokes somebody's authenticator.
//
// It owns how one is named in the text that is approved. Authenticators are enrollment's.
// Its one invariant: nothing is revoked without which nobody could administer.
package authenticator

import (
	"context"
	"fmt"
	"strconv"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about authenticators, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[Revoke]("Revoke somebody's authenticator, or an automation key.", map[string]string{}).AlsoLent().
			Telling("credential.revoked", "{by} revoked an authenticator of {who}: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Engine      *signin.Engine
	Listing     *enrollment.Listing
	Endings     *enrollment.Endings
	Notices     *enrollment.Notices
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), guard.New(p.Accounts, p.Engine), p.DB, p.Accounts, p.Credentials, p.Listing, p.Endings, p.Notices})
}

type desk struct {
	admin.Book
	guard.Guard
	db          store.Reader
	people      *directory.Accounts
	credentials *directory.Credentials
	listing     *enrollment.Listing
	endings     *enrollment.Endings
	notices     *enrollment.Notices
}

// Revoke revokes somebody's authenticator.
type Revoke struct {
	Account         string `json:"account" arg:"" help:"Whose authenticator."`
	ID              int64  `json:"id" arg:"" help:"Its number, as account show prints it."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Revoke) Action() string { return "authenticator.revoke" }
func (c *Revoke) Thing(ctx context.Context, a *desk) (string, error) {
	return a.named(ctx, c.Account, c.ID)
}
func (c *Revoke) About() *string { return &c.Account }
func (c *Revoke) Object() string {
	what := fmt.Sprintf("authenticator %d", c.ID)
	if c.What != "" {
		what += " (" + c.What + ")"
	}
	return admin.WithReason(what+" of "+c.Of(c.Account), c.Reason)
}

// Preflight says that it would be missed.
func (c *Revoke) Preflight(ctx context.Context, a *desk) error {
	return a.Spare(ctx, a.db, c.Account, c.loss)
}

func (c *Revoke) loss(id assurance.AccountID) signin.Loss {
	return signin.Without(id, assurance.CredentialID(c.ID), signin.Everything)
}

func (c *Revoke) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d directory.Account
	detail := map[string]string{"authenticator": strconv.FormatInt(c.ID, 10), "reason": c.Reason}
	err := a.Change(ctx, g, "credential.revoked", detail, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		credential, err := a.credentials.Get(ctx, tx, d.ID, assurance.CredentialID(c.ID))
		if err != nil {
			return err
		}
		detail["kind"], detail["traits"] = credential.Kind, credential.Traits.String()
		if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
			return err
		}
		if err := a.SpareLoss(ctx, tx, c.loss(d.ID)); err != nil {
			return err
		}
		if err := a.endings.RevokeTx(ctx, tx, &credential, directory.ByAdministrator, int64(g.Account())); err != nil {
			return err
		}
		label := credential.Label
		if credential.Lost() {
			label = "Something that is missing in the database"
		}
		return a.notices.Tell(ctx, tx, d, language.Say("A way to sign in was revoked"), language.Say("%q can no longer be used to sign in as %s.", language.Word(label), d.Name))
	})
	return map[string]string{"revoked": c.Account}, err
}

// named tells of one authenticator of somebody.
func (a *desk) named(ctx context.Context, name string, id int64) (string, error) {
	d, err := a.people.Find(ctx, a.db, name)
	if err != nil {
		return "", err
	}
	c, err := a.credentials.Get(ctx, a.db, d.ID, assurance.CredentialID(id))
	if err != nil {
		return "", err
	}
	shown := a.listing.Describe(c)
	return shown.Title + " " + text.Quote(shown.Label), nil
}
