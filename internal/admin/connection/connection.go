// Package connection are the commands about the applications that somebody is signed in to.
//
// It owns that what is ended is ended for one person at one application, and is in the log with
// who did it and why. What applications have is oauth's, and telling them is the protocols'. Its
// one invariant: it ends, and gives nothing.
package connection

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/oauth"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Commands are those about connected applications, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List the applications that somebody is signed in to, or that act for them, and what each of them got.", []protocol.Connected{}).AlsoLent(),
		admin.Changes[End]("End what an application was given for somebody, and tell the application.", map[string]string{}).AlsoLent().
			Telling(oauth.Disconnected, "{by} ended what {detail.application} had been given for {who}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Connections *protocol.Connections
	Clients     *oauth.Connections
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.DB, p.Accounts, p.Connections, p.Clients})
}

type desk struct {
	admin.Book
	db          *store.DB
	people      *directory.Accounts
	connections *protocol.Connections
	clients     *oauth.Connections
}

// List lists somebody's connected applications.
type List struct {
	Account string `json:"account" arg:"" help:"Whose applications."`
}

func (c *List) Action() string { return "connection.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	d, err := a.people.Find(ctx, a.db, c.Account)
	if err != nil {
		return nil, failure.At("account", err)
	}
	out, err := a.connections.Of(ctx, d.ID)
	if out == nil {
		out = []protocol.Connected{}
	}
	return out, err
}

// End ends what one application was given for somebody.
type End struct {
	Account         string `json:"account" arg:"" help:"Whose access."`
	Application     string `json:"application" arg:"" help:"Which application, by its name."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *End) Action() string { return "connection.end" }
func (c *End) About() *string { return &c.Account }
func (c *End) Object() string {
	return admin.WithReason("what "+text.Name(c.Application)+" was given for "+c.Of(c.Account), c.Reason)
}

func (c *End) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, oauth.Disconnected, map[string]string{"application": c.Application, "reason": c.Reason}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return failure.At("account", err)
		}
		return failure.At("application", a.clients.EndTx(ctx, tx, d.ID, c.Application))
	})
	return map[string]string{"ended": c.Application}, err
}
