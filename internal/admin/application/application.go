// Package application is the commands about what can be signed in to.
//
// It owns what of an application's settings is shown, and what keeps one from being saved:
// it would take or shut what another has, or was built on another version. Applications are
// rows of countersign/internal/application, and what settings mean is their protocol's. Its
// one invariant: a secret that is hidden stays in its place and goes nowhere else.
package application

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Application is one thing to sign in to.
type Application = application.Application

// Commands are those about applications, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List applications.", []application.Application{}).AlsoLent(),
		admin.Looks[Show]("Show an application with its settings, when it was last heard from, and why requests were not served; secrets are hidden.", Shown{}).AlsoLent(),
		admin.Looks[Snippet]("Show the configuration of a proxy or a client for an application, with its own names and addresses.", Snippets{}),
		admin.Looks[Test]("Test an application: ask its own hosts as a stranger would, and say what is wrong and how to mend it.", Tested{}).
			Telling("application.tested", "{by} tested the application {application}"),
		admin.Changes[Set]("Add or change an application.", map[string]string{}).
			Telling("application.set", "{by} changed the application {application}"),
		admin.Changes[Remove]("Remove an application.", map[string]string{}).
			Telling("application.removed", "{by} removed the application {application}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB           *store.DB
	Groups       *directory.Groups
	Engine       *signin.Engine
	Applications *application.Catalogue
	Protocols    protocol.List
	PublicURL    *url.URL
	// Place is where applications meet us.
	Place protocol.Place
	// Ears know what was heard of applications since this server started.
	Ears *protocol.Ears
	// Unheard reports whether a protocol needs an address of its own that this server does not
	// listen on; nil knows of none.
	Unheard func(protocol string) bool
}

// unheard says that requests of a protocol cannot arrive, or nothing.
func unheard(of func(protocol string) bool, protocol string) string {
	if of == nil || !of(protocol) {
		return ""
	}
	return fmt.Sprintf("This server listens nowhere for %[1]s, so that no request of the application arrives here: set %[1]s.listen in the configuration, and restart.", protocol)
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b := admin.NewBook(p.DB)
	return []admin.Desk{
		admin.At(&readDesk{p.Applications, p.Protocols, p.Ears, p.Unheard, p.Place}),
		admin.At(&testDesk{Book: b, applications: p.Applications, protocols: p.Protocols, ears: p.Ears, place: p.Place}),
		admin.At(&setDesk{b, p.DB, p.Groups, p.Applications, p.Protocols, p.PublicURL, p.Unheard}),
		admin.At(&removeDesk{b, p.Applications, p.Engine}),
	}
}

// readDesk is where applications are looked at.
type readDesk struct {
	applications *application.Catalogue
	protocols    protocol.List
	ears         *protocol.Ears
	unheard      func(protocol string) bool
	place        protocol.Place
}

// setDesk is where an application is added or changed.
type setDesk struct {
	admin.Book
	db           store.Reader
	groups       *directory.Groups
	applications *application.Catalogue
	protocols    protocol.List
	publicURL    *url.URL
	unheard      func(protocol string) bool
}

// removeDesk is where an application is removed that the policy does not mention.
type removeDesk struct {
	admin.Book
	applications *application.Catalogue
	engine       *signin.Engine
}

// List lists applications, without their settings.
type List struct{}

func (c *List) Action() string { return "application.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *readDesk, _ signin.Grant) (any, error) {
	all, err := a.applications.All(ctx)
	for i := range all {
		all[i].Settings = nil
	}
	return all, err
}

// Shown is an application, and what the server that answers heard of it since it started.
type Shown struct {
	application.Application
	// Heard is when the last request came that is believed to be the application's own;
	// zero for never.
	Heard time.Time `json:"last_heard_from,omitzero"`
	// Unheard says that no request of it can arrive at the server that answers, or is empty.
	Unheard string `json:"unheard,omitempty"`
	// Unserved are the causes for which requests were not served, the latest first.
	Unserved []protocol.Unserved `json:"unserved,omitempty"`
	// Strays are those of requests by the same protocol that no application is known of. This
	// application's can be among them, where a client has another address or another host.
	Strays []protocol.Unserved `json:"unserved_of_nobody,omitempty"`
}

// Show shows an application; what its settings call a secret is
// hidden.
type Show struct {
	Name string `json:"name" arg:"" help:"The application."`
}

func (c *Show) Action() string { return "application.show" }
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *readDesk, _ signin.Grant) (any, error) {
	app, err := a.applications.Get(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	shown := Shown{Application: app}
	shown.Heard, shown.Unserved = a.ears.Of(app.Name)
	shown.Strays, shown.Unheard = a.ears.Strays(app.Protocol), unheard(a.unheard, app.Protocol)
	shown.Settings, err = a.hide(app.Settings)
	return shown, err
}

func (a *readDesk) hide(raw json.RawMessage) (json.RawMessage, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return json.Marshal(Hide(a.protocols.Secret, v))
}

// Set adds an application or replaces the one of that name.
type Set struct {
	Name     string          `json:"name" arg:"" help:"The application's name."`
	Title    string          `json:"title,omitempty" help:"What people call it."`
	Kind     string          `json:"kind" required:"" help:"What it is, such as wiki, vpn, webmail, code, network-device."`
	Tier     string          `json:"tier,omitempty" default:"standard" enum:"standard,control-plane" help:"control-plane for what administers other systems."`
	Protocol string          `json:"protocol" required:"" help:"How it asks, such as forward-auth or radius; an unknown one is answered with those that there are."`
	Vouches  string          `json:"vouches,omitempty" help:"What it checks by itself before it asks us: password, or nothing."`
	Base     string          `json:"base,omitempty" help:"The version that was changed, as application show prints it; the one that it printed last when left out. None for a new application."`
	Over     []string        `json:"over,omitempty" help:"An application of whose hosts or networks this one is to have a part; give it again for more."`
	Settings json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"The protocol's settings, JSON; - reads standard input."`
}

func (c *Set) Action() string { return "application.set" }

// Object holds a digest of the settings, so that an approval of some settings
// serves no others and shows no secret.
func (c *Set) Object() string {
	sum := sha256.Sum256(c.Settings)
	what := c.named() + ", settings " + hex.EncodeToString(sum[:16])
	if c.Base != "" {
		return what + ", built on version " + text.Name(c.Base)
	}
	return what + ", new"
}

// Said is the text without the digests.
func (c *Set) Said() string {
	if c.Base == "" {
		return c.named() + ", new"
	}
	return c.named()
}

func (c *Set) named() string {
	what := admin.Called("application "+text.Name(c.Name), c.Title)
	tier := c.Tier
	if tier == "" {
		tier = application.Standard
	}
	what += ", a " + text.Name(c.Kind) + " of tier " + text.Name(tier) + " by " + text.Name(c.Protocol)
	if c.Vouches != "" {
		what += " that vouches for the " + text.Name(c.Vouches)
	}
	if len(c.Over) > 0 {
		what += ", with a part of what belongs to " + admin.Listed(c.Over)
	}
	return what
}

// Tell compares the application with the one that is there, setting by setting. Of a secret
// it says only that it changes.
func (c *Set) Tell(ctx context.Context, a *setDesk, s *admin.Sheet) error {
	s.Rows("base")
	s.Says("tier", cmp.Or(c.Tier, application.Standard))
	old, err := a.applications.Get(ctx, c.Name)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return err
	}
	for field, was := range map[string]string{"title": old.Title, "kind": old.Kind, "tier": old.Tier, "protocol": old.Protocol, "vouches": old.Vouches} {
		s.Was(field, was)
	}
	rows, err := admin.Values(old.Settings, c.Settings, a.protocols.Secret)
	if err != nil {
		rows = []prompt.Field{{Name: "Settings", After: "they cannot be read"}} // and are refused when it is done
	}
	s.Rows("settings", rows...)
	return nil
}

// application is what is to be saved. Settings may say of a secret that it is
// hidden: then the one of the stored application stays.
func (c *Set) application(ctx context.Context, a *setDesk) (Application, error) {
	old, err := a.applications.Get(ctx, c.Name)
	if err != nil {
		old = Application{} // it is new, and nothing is kept of it
	}
	return c.over(a.protocols, old)
}

// over is what is to be saved in the place of an application; of the zero one there is none.
func (c *Set) over(protocols protocol.List, old Application) (Application, error) {
	app := Application{ID: old.ID, Name: c.Name, Title: c.Title, Kind: c.Kind, Tier: c.Tier, Protocol: c.Protocol, Vouches: c.Vouches, Settings: c.Settings}
	if app.Tier == "" {
		app.Tier = application.Standard
	}
	var stored json.RawMessage
	if old.Protocol == c.Protocol {
		stored = old.Settings
	}
	var err error
	if app.Settings, err = keepSecrets(protocols.Secret, c.Settings, stored); err != nil {
		return app, err
	}
	return app, failure.At("settings", protocols.CheckSettings(c.Protocol, app.Settings))
}

// checkCompatible says what of an application does not fit the others and the groups.
func (a *setDesk) checkCompatible(ctx context.Context, r store.Reader, app Application) error {
	all, err := a.applications.AllIn(ctx, r)
	if err != nil {
		return err
	}
	groups, err := a.groups.All(ctx, r)
	if err != nil {
		return err
	}
	b := protocol.Environment{Public: a.publicURL, Applications: slices.DeleteFunc(all, func(o Application) bool { return o.Name == app.Name })}
	for _, g := range groups {
		b.Groups = append(b.Groups, g.Name)
	}
	return failure.At("settings", a.protocols.CheckCompatible(app, b))
}

// builtOn refuses to replace another version than the one that was looked at.
func (c *Set) builtOn(ctx context.Context, a *setDesk, r store.Reader) error {
	now, err := a.applications.VersionIn(ctx, r, c.Name)
	switch {
	case err != nil || now == c.Base:
		return err
	case now == "":
		return failure.At("name", failure.New(failure.Conflict, "There is no application %q any more; it was removed meanwhile.", c.Name))
	case c.Base == "":
		return failure.At("name", failure.New(failure.Conflict, "There is an application %q already. To change it, say which version you looked at; application show prints it.", c.Name))
	}
	return failure.At("name", failure.New(failure.Conflict, "The application %q was changed meanwhile, and yours was built on an earlier version. Look at it as it is now, and build on that.", c.Name))
}

// clashes refuses what would take or shut what another application has. A part of it
// can be taken by whoever says so, and what stands already stays.
func (c *Set) clashes(ctx context.Context, a *setDesk, r store.Reader, app Application) error {
	all, err := a.applications.AllIn(ctx, r)
	if err != nil {
		return err
	}
	var before Application
	for _, other := range all {
		if other.Name == app.Name {
			before = other
		}
	}
	for _, other := range all {
		if other.Name == app.Name || other.Protocol != app.Protocol {
			continue
		}
		what, shut, err := a.protocols.Clash(app.Protocol, app.Settings, other.Settings)
		switch {
		case err != nil:
			return failure.At("settings", err)
		case what == "" || !shut && slices.Contains(c.Over, other.Name):
			continue
		case shut:
			return failure.At("settings", failure.New(failure.Conflict, "That names %s, which belongs to the application %q already; with two, neither would have it. Take it away there first.", what, other.Name))
		}
		if before.Protocol == app.Protocol {
			if was, _, err := a.protocols.Clash(app.Protocol, before.Settings, other.Settings); err == nil && was == what {
				continue
			}
		}
		return failure.At("settings", failure.New(failure.Conflict, "That takes %s from the application %q. If that is meant, say so: over %s.", what, other.Name, other.Name))
	}
	return nil
}

// Preflight says what keeps an application from being saved.
func (c *Set) Preflight(ctx context.Context, a *setDesk) error {
	if c.Name == signin.Self {
		return failure.At("name", failure.New(failure.Invalid, "That name is Countersign's own."))
	}
	app, err := c.application(ctx, a)
	if err != nil {
		return err
	}
	if err := app.Check(); err != nil {
		return err
	}
	if err := c.clashes(ctx, a, a.db, app); err != nil {
		return err
	}
	if err := a.checkCompatible(ctx, a.db, app); err != nil {
		return err
	}
	return c.builtOn(ctx, a, a.db)
}

func (c *Set) Do(ctx context.Context, a *setDesk, g signin.Grant) (any, error) {
	if c.Name == signin.Self {
		return nil, failure.New(failure.Invalid, "That name is Countersign's own.")
	}
	app, err := c.application(ctx, a)
	if err != nil {
		return nil, err
	}
	version := ""
	err = a.Change(ctx, g, "application.set", map[string]string{"application": c.Name}, nil, func(tx *store.Tx) error {
		if err := c.builtOn(ctx, a, tx); err != nil {
			return err
		}
		err := c.save(ctx, a, tx, app)
		if err == nil {
			version, err = a.applications.VersionIn(ctx, tx, c.Name)
		}
		return err
	})
	out := map[string]string{"application": c.Name, "version": version}
	if hint := unheard(a.unheard, c.Protocol); hint != "" {
		out["hint"] = hint
	}
	return out, err
}

// save saves an application that fits the others.
func (c *Set) save(ctx context.Context, a *setDesk, tx *store.Tx, app Application) error {
	if err := c.clashes(ctx, a, tx, app); err != nil {
		return err
	}
	if err := a.checkCompatible(ctx, tx, app); err != nil {
		return err
	}
	_, err := a.applications.Set(ctx, tx, app)
	return err
}

// Remove removes an application.
type Remove struct {
	Name string `json:"name" arg:"" help:"The application."`
}

func (c *Remove) Action() string { return "application.remove" }
func (c *Remove) Object() string { return "application " + text.Name(c.Name) }

func (c *Remove) Do(ctx context.Context, a *removeDesk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "application.removed", map[string]string{"application": c.Name}, nil, func(tx *store.Tx) error {
		return a.remove(ctx, tx, c.Name)
	})
	return map[string]string{"removed": c.Name}, err
}

func (a *removeDesk) remove(ctx context.Context, tx *store.Tx, name string) error {
	p, err := a.engine.PolicyTx(ctx, tx)
	if err != nil {
		return err
	}
	if slices.Contains(p.Mentions().Applications, name) {
		return failure.New(failure.Conflict, "The policy mentions %q; change the policy first.", name)
	}
	return a.applications.Remove(ctx, tx, name)
}

// Kinds are what an application can be.
func Kinds() []string { return slices.Clone(application.Kinds) }
