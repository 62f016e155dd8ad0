// Package key is the command that issues an automation key.
//
// It owns what a key may be for and how long it lives; the key itself is an authenticator,
// which enrollment makes. Its one invariant: what a key may do, and from where, is in the
// text that a person approved, word for word.
package key

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about automation keys, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[Issue]("Issue an automation key to a service account, for some actions from some networks.", Key{}).
			Telling("key.issued", "{by} issued an automation key to {who} for {detail.actions}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB       *store.DB
	Accounts *directory.Accounts
	Keys     *enrollment.Keys
	// Commands are all that a key could be for.
	Commands func() admin.List
	// Applications and Protocols say which applications take keys.
	Applications *application.Catalogue
	Protocols    protocol.List
	Now          func() time.Time
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.Accounts, p.Keys, p.Commands, p.Applications, p.Protocols, p.Now})
}

type desk struct {
	admin.Book
	people       *directory.Accounts
	keys         *enrollment.Keys
	commands     func() admin.List
	applications *application.Catalogue
	protocols    protocol.List
	now          func() time.Time
}

// Issue issues an automation key to a service account. What it may do is in
// the approved text, word for word.
type Issue struct {
	Account         string   `json:"account" arg:"" help:"The service account."`
	Actions         []string `json:"actions" required:"" name:"action" help:"What it may do, such as account.list, or wiki/sign-in at the application wiki; give it again for each."`
	Networks        []string `json:"networks" required:"" name:"network" help:"Where it may be used from, such as 10.0.0.0/8; give it again for each."`
	Days            int      `json:"days,omitempty" name:"lifetime" aliases:"days" type:"days" help:"How many days it lives: 90 when left out, 365 at most." said:"How long it lives, such as 1d or 90d: 90d when left out, 365d at most."`
	Note            string   `json:"note,omitempty" help:"What it is for."`
	admin.AuditText `embed:""`
}

// Key is an issued key. Key is shown once and kept nowhere.
type Key struct {
	Account string    `json:"account"`
	Key     string    `json:"key"`
	Number  int64     `json:"number"`
	Expires time.Time `json:"expires"`
}

const (
	keyDays     = 90
	longestDays = 365
)

func (c *Issue) Action() string { return "key.issue" }

func (c *Issue) About() *string { return &c.Account }
func (c *Issue) Object() string {
	return admin.WithReason(fmt.Sprintf("key for %s, %d days, from %s, for %s", c.Of(c.Account), c.days(), admin.Listed(c.Networks), admin.Listed(c.Actions)), c.Note)
}

// Tell says how long the key lives.
func (c *Issue) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	s.Says("days", strconv.Itoa(c.days()))
	return nil
}

func (c *Issue) days() int {
	if c.Days == 0 {
		return keyDays
	}
	return c.Days
}

// personal are the actions that no key can be for: a key that issues keys would never
// end, and a second person is a person.
var personal = []string{"key.issue", "recovery.open", "recovery.confirm"}

// check reads the networks and refuses what a key may not have: a key that
// issues keys would never end.
func (c *Issue) check(ctx context.Context, a *desk) ([]netip.Prefix, error) {
	known := a.commands()
	if d := c.days(); d < 1 || d > longestDays {
		return nil, failure.New(failure.Invalid, "A key lives 1 to %d days.", longestDays)
	}
	if len(c.Actions) == 0 || len(c.Networks) == 0 {
		return nil, failure.New(failure.Invalid, "A key needs the actions it may do and the networks it may be used from.")
	}
	for _, action := range c.Actions {
		if app, there, ok := strings.Cut(action, "/"); ok {
			if err := a.checkAt(ctx, app, there); err != nil {
				return nil, err
			}
			continue
		}
		if _, ok := known.Find(action); !ok {
			return nil, failure.New(failure.Invalid, "There is no action %q.", action)
		}
		if slices.Contains(personal, action) {
			return nil, failure.New(failure.Invalid, "A key cannot be issued for %s: a person must do that.", action)
		}
	}
	var networks []netip.Prefix
	for _, text := range c.Networks {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Bits() == 0 {
			return nil, failure.New(failure.Invalid, "%q is not a network such as 10.0.0.0/8 or 192.0.2.7/32.", text)
		}
		networks = append(networks, p.Masked())
	}
	return networks, nil
}

// checkAt refuses what a key cannot do at an application: one that is not there or takes no keys,
// and an action that it has not.
func (a *desk) checkAt(ctx context.Context, name, action string) error {
	app, err := a.applications.Get(ctx, name)
	if err != nil {
		return err
	}
	open, err := a.protocols.Exposure(app)
	if err != nil {
		return err
	}
	switch {
	case !open.Keys:
		return failure.New(failure.Invalid, "The application %s takes no automation keys; allow it in its settings first (docs/forward-auth.md).", name)
	case action != signin.SignIn && !slices.Contains(open.Actions, action):
		return failure.New(failure.Invalid, "The application %s has no action %q; use %s/%s.", name, action, name, signin.SignIn)
	}
	return nil
}

func (c *Issue) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	networks, err := c.check(ctx, a)
	if err != nil {
		return nil, err
	}
	var d directory.Account
	out := Key{Expires: a.now().Add(time.Duration(c.days()) * 24 * time.Hour).Truncate(time.Second)}
	err = a.Change(ctx, g, "key.issued", map[string]string{"actions": strings.Join(c.Actions, " "), "networks": strings.Join(c.Networks, " ")}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		if d.Kind != directory.Service || d.Out(a.now()) != nil {
			return failure.New(failure.Invalid, "Keys are for active service accounts; %s is not one.", d.Name)
		}
		out.Account = d.Name
		out.Key, out.Number, err = a.keys.IssueTx(ctx, tx, d, enrollment.KeyTerms{Actions: c.Actions, Networks: networks, Expires: out.Expires, Label: c.Note})
		return err
	})
	return out, err
}
