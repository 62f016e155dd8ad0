// Package site is the commands by which a file says how the installation is to be: its groups, its
// applications, the identity providers at which people sign in first, where people are provisioned,
// whose signals are sent and heard, and its policy.
//
// It owns the form of that file, what differs between it and the installation, and carrying
// all of it in one change that is approved once. What each part may be, and what keeps it from
// being saved, is its own noun's, whose checks it calls inside its change; it is the one noun that
// knows others. Its one invariant: what is done is
// what the approved text says, all of it or nothing.
package site

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/admin/group"
	"countersign/internal/admin/policy"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	words "countersign/internal/text"

	applications "countersign/internal/application"
)

// Commands are those about the whole site, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Export]("Print groups, applications, identity providers, provisioning, signals and policy as a file that apply reads; secrets are hidden.", Exported{}),
		admin.Looks[Plan]("Say what a file would change, and what is here that it does not name.", Difference{}),
		admin.Changes[Apply]("Make groups, applications, identity providers, provisioning, signals and policy as a file says.", Difference{}).
			AlsoDoing("group.create", "group.remove", "application.set", "application.remove", "policy.change",
				"upstream.set", "upstream.remove", "provisioning.set", "provisioning.remove",
				"stream.create", "stream.update", "stream.remove", "source.create", "source.update", "source.remove").
			Telling("site.applied", "{by} applied a file that says how the installation is to be").
			Telling("group.described", "{by} changed what the group {detail.group} is called"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB           *store.DB
	Groups       *directory.Groups
	Applications *applications.Catalogue
	// The nouns whose commands these comprise.
	Group       *group.Within
	Application *application.Within
	Policy      *policy.Within
	// What keeps the parts of a file beside them.
	Upstreams, Provisioning, Streams, Sources Kind
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk { return admin.At(&desk{p}) }

type desk struct{ Parts }

// Export prints the installation as a file.
type Export struct{}

// Exported is a file, YAML.
type Exported struct {
	File string `json:"file"`
}

func (c *Export) Action() string { return "site.export" }
func (c *Export) Object() string { return "" }

func (c *Export) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	file, err := a.export(ctx)
	return Exported{file}, err
}

// Plan says what a file would change. Nothing is changed.
type Plan struct {
	File  string `json:"file" help:"The file, YAML."`
	Prune bool   `json:"prune,omitempty" help:"Remove what the file does not name, of the parts that it has."`
}

func (c *Plan) Action() string { return "site.plan" }
func (c *Plan) Object() string { return "" }

func (c *Plan) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.plan(ctx, carrying{file: c.File, prune: c.Prune, by: g.Actor(), account: g.Account()})
}

// Apply makes the installation as a file says.
type Apply struct {
	File  string `json:"file" help:"The file, YAML."`
	Prune bool   `json:"prune,omitempty" help:"Remove what the file does not name, of the parts that it has."`
	// Changes are what the file changes, as site.plan answered it: what is approved. Where
	// it comes to anything else meanwhile, nothing is done.
	Changes string `json:"changes" help:"What it changes, as site.plan answered it in \"text\"."`
}

func (c *Apply) Action() string { return "site.apply" }

// Object is the digest of the file, whether what it does not name goes, and every change.
func (c *Apply) Object() string {
	sum := sha256.Sum256([]byte(c.File))
	return "from the file " + hex.EncodeToString(sum[:16]) + c.besides()
}

// Said is the text without the digest.
func (c *Apply) Said() string { return "from a file" + c.besides() }

func (c *Apply) besides() string {
	changes := c.Changes
	if !words.Clean(changes) { // none of ours
		changes = words.Quote(changes)
	}
	if c.Prune {
		return ", which is all that there is: " + changes
	}
	return ": " + changes
}

// Tell leaves the file out, which may hold secrets: what it changes is told, and nothing else
// is done.
func (c *Apply) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Rows("file")
	return nil
}

// besides is how long all of the text is at most that is no change, in bytes.
const besides = 100

// Preflight says what keeps a file from being applied.
func (c *Apply) Preflight(ctx context.Context, a *desk) error {
	d, err := a.plan(ctx, carrying{file: c.File, prune: c.Prune, by: audit.Actor{Name: "plan"}})
	if err != nil {
		return err
	}
	return c.as(d)
}

// as refuses where a file comes to something else than what was approved.
func (c *Apply) as(d Difference) error {
	if c.Changes != d.Text {
		return failure.At("changes", failure.New(failure.Conflict, "The installation or the file was changed meanwhile: it would be other changes than these. Plan again, and apply that."))
	}
	return nil
}

func (c *Apply) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d Difference
	err := a.DB.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		var err error
		if d, err = a.carry(ctx, tx, carrying{file: c.File, prune: c.Prune, by: g.Actor(), account: g.Account(), grant: &g}); err != nil {
			return err
		}
		if err := c.as(d); err != nil {
			return err
		}
		return tx.Record(admin.Entry(g, "site.applied", audit.OK, nil))
	})
	return d, err
}

// errPlanned undoes the change that a plan was made in.
var errPlanned = errors.New("this was a plan")

// plan carries all of a file, and undoes it.
func (a *desk) plan(ctx context.Context, c carrying) (Difference, error) {
	var d Difference
	err := a.DB.Change(ctx, c.by, func(tx *store.Tx) error {
		var err error
		if d, err = a.carry(ctx, tx, c); err != nil {
			return err
		}
		return errPlanned
	})
	if errors.Is(err, errPlanned) {
		err = nil
	}
	return d, err
}
