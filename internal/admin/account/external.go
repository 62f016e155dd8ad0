package account

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// externalDesk is where a client says by what it knows an account.
type externalDesk struct {
	admin.Book
	guard.Guard
	shown
	ids identifiers
}

// identifiers are what clients know accounts by.
type identifiers struct {
	people    *directory.Accounts
	externals *directory.Externals
}

// set has the grant's account, which is a service, know an account by an identifier.
func (i identifiers) set(ctx context.Context, tx *store.Tx, g signin.Grant, d directory.Account, value string) (bool, error) {
	client, err := i.people.Get(ctx, tx, g.Account())
	if err != nil {
		return false, err
	}
	if client.Kind != directory.Service {
		return false, failure.At("external", failure.New(failure.Refused, "Only a service account knows others by identifiers of its own; its automation key does that."))
	}
	return i.externals.Set(ctx, tx, directory.External{Client: client.ID, Kind: directory.ExternalUser, Subject: int64(d.ID)}, value)
}

// SetExternal says by which identifier the service account that does it knows an account. It
// changes nothing of the account, and decides nothing.
type SetExternal struct {
	Name            string `json:"name" arg:"" help:"The account."`
	External        string `json:"external" arg:"" help:"The identifier, 128 characters at most; an empty text takes it away."`
	admin.AuditText `embed:""`
}

func (c *SetExternal) Action() string { return "account.set-external" }
func (c *SetExternal) About() *string { return &c.Name }
func (c *SetExternal) Object() string {
	if c.External == "" {
		return c.Of(c.Name) + ", known to the client by no identifier"
	}
	return c.Of(c.Name) + ", known to the client by " + text.Quote(c.External)
}

func (c *SetExternal) Do(ctx context.Context, a *externalDesk, g signin.Grant) (any, error) {
	var d directory.Account
	var out Account
	err := a.Change(ctx, g, "account.external-set", map[string]string{"external": c.External}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.ids.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		changed, err := a.ids.set(ctx, tx, g, d, c.External)
		if err != nil {
			return err
		}
		if changed { // and so the resource, as its client sees it
			if err := a.ids.externals.Touch(ctx, tx, d.ID); err != nil {
				return err
			}
		}
		out, err = a.of(ctx, tx, d)
		return err
	})
	return out, err
}
