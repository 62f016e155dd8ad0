package account

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/linked"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// linkDesk is where accounts are linked to whom applications name.
type linkDesk struct {
	admin.Book
	guard.Guard
	db           store.Reader
	people       *directory.Accounts
	links        *linked.Links
	applications *application.Catalogue
	protocols    protocol.List
}

// Link is to whom an account is linked.
type Link struct {
	Account     string `json:"account"`
	Application string `json:"application"`
	// Identifier is by what the application knows its person: "TENANT:OBJECT" at Entra.
	Identifier string `json:"identifier"`
}

// party is an application that names people by identifiers of its own, and how they are read.
func (a *linkDesk) party(ctx context.Context, name string) (linked.Party, func(typed string) (string, error), error) {
	app, err := a.applications.Get(ctx, name)
	if err != nil {
		return linked.Party{}, nil, failure.At("application", err)
	}
	d, _ := a.protocols.Named(app.Protocol)
	if d.Identify == nil {
		return linked.Party{}, nil, failure.At("application", failure.New(failure.Invalid, "That application knows nobody by an identifier of its own, so that there is nothing to link."))
	}
	return linked.Party{Application: app.Name, Number: app.ID}, func(typed string) (string, error) {
		id, err := d.Identify(app.Settings, typed)
		return id, failure.At("identifier", err)
	}, nil
}

// Links lists the links of an account.
type Links struct {
	Name string `json:"name" arg:"" help:"The account."`
}

func (c *Links) Action() string { return "account.links" }
func (c *Links) Object() string { return "" }

func (c *Links) Do(ctx context.Context, a *linkDesk, _ signin.Grant) (any, error) {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	all, err := a.applications.All(ctx)
	if err != nil {
		return nil, err
	}
	out := []Link{}
	for _, app := range all {
		if p, _ := a.protocols.Named(app.Protocol); p.Identify == nil {
			continue
		}
		id, err := a.links.IDOf(ctx, a.db, linked.Party{Application: app.Name, Number: app.ID}, d.ID)
		if err != nil {
			return nil, err
		}
		if id != "" {
			out = append(out, Link{d.Name, app.Name, id})
		}
	}
	return out, nil
}

// LinkTo links an account to somebody whom an application names: from then on the account's
// second factor is shown for them.
type LinkTo struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Application     string `json:"application" arg:"" help:"The application, such as that of a tenant of Entra."`
	Identifier      string `json:"identifier" arg:"" help:"By what the application knows the person: their object ID at Entra, never their name."`
	Reason          string `json:"reason" required:"" help:"How you made sure that both are the same person, for the log."`
	admin.AuditText `embed:""`
}

func (c *LinkTo) Action() string { return "account.link" }
func (c *LinkTo) About() *string { return &c.Name }
func (c *LinkTo) Object() string {
	return admin.WithReason(c.Of(c.Name)+", linked to "+text.Name(c.Identifier)+" at "+text.Name(c.Application), c.Reason)
}

// Preflight says what is wrong with the identifier before anybody approves the link.
func (c *LinkTo) Preflight(ctx context.Context, a *linkDesk) error {
	_, identify, err := a.party(ctx, c.Application)
	if err == nil {
		_, err = identify(c.Identifier)
	}
	return err
}

// Tell says to whom the account is linked now.
func (c *LinkTo) Tell(ctx context.Context, a *linkDesk, s *admin.Sheet) error {
	return a.tell(ctx, s, c.Name, c.Application)
}

// tell says to whom an account is linked.
func (a *linkDesk) tell(ctx context.Context, s *admin.Sheet, name, app string) error {
	p, _, err := a.party(ctx, app)
	if err != nil {
		return err
	}
	d, err := a.people.Find(ctx, a.db, name)
	if err != nil {
		return err
	}
	id, err := a.links.IDOf(ctx, a.db, p, d.ID)
	s.Was("identifier", id)
	return err
}

func (c *LinkTo) Do(ctx context.Context, a *linkDesk, g signin.Grant) (any, error) {
	p, identify, err := a.party(ctx, c.Application)
	if err != nil {
		return nil, err
	}
	id, err := identify(c.Identifier)
	if err != nil {
		return nil, err
	}
	var d directory.Account
	err = a.Change(ctx, g, "account.linked", map[string]string{"application": p.Application, "identifier": id, "reason": c.Reason}, &d, func(tx *store.Tx) error {
		if d, err = a.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
			return err
		}
		return a.links.Set(ctx, tx, p, d, id)
	})
	return Link{d.Name, p.Application, id}, err
}

// Unlink takes an account's link away.
type Unlink struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Application     string `json:"application" arg:"" help:"The application."`
	Reason          string `json:"reason" required:"" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Unlink) Action() string { return "account.unlink" }
func (c *Unlink) About() *string { return &c.Name }
func (c *Unlink) Object() string {
	return admin.WithReason(c.Of(c.Name)+", without its link at "+text.Name(c.Application), c.Reason)
}

// Tell says to whom the account is linked now.
func (c *Unlink) Tell(ctx context.Context, a *linkDesk, s *admin.Sheet) error {
	return a.tell(ctx, s, c.Name, c.Application)
}

func (c *Unlink) Do(ctx context.Context, a *linkDesk, g signin.Grant) (any, error) {
	p, _, err := a.party(ctx, c.Application)
	if err != nil {
		return nil, err
	}
	var d directory.Account
	detail := map[string]string{"application": p.Application, "reason": c.Reason}
	err = a.Change(ctx, g, "account.unlinked", detail, &d, func(tx *store.Tx) error {
		if d, err = a.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
			return err
		}
		if detail["identifier"], err = a.links.IDOf(ctx, tx, p, d.ID); err != nil {
			return err
		}
		return a.links.Remove(ctx, tx, p, d)
	})
	return map[string]string{"unlinked": d.Name}, err
}
