// Package survey puts all accounts into classes that no rule can tell apart, and lists what
// each can ask for.
//
// It owns which accounts and requests are alike. What an answer to one of them is, policy and
// the engine say. Neighbours are the comparison of policies and the coverage, which go through
// every class. Its one invariant: what is true of one account of a class is true of all.
package survey

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Parts are what is surveyed.
type Parts struct {
	DB           *store.DB
	Accounts     *directory.Survey
	Engine       *signin.Engine
	Applications *application.Catalogue
	Protocols    protocol.List
	Commands     admin.List
	Mandates     signin.Mandates
	Dormant      time.Duration
	Now          func() time.Time
}

// Survey goes through all accounts and all applications.
type Survey struct {
	db           store.Reader
	survey       *directory.Survey
	engine       *signin.Engine
	applications *application.Catalogue
	protocols    protocol.List
	commands     admin.List
	mandates     signin.Mandates
	dormant      time.Duration
	now          func() time.Time
}

// New makes a Survey.
func New(p Parts) *Survey {
	return &Survey{p.DB, p.Accounts, p.Engine, p.Applications, p.Protocols, p.Commands, p.Mandates, p.Dormant, p.Now}
}

// Class is all accounts that no rule of the policies at hand can tell apart, and
// that hold authenticators of the same kinds: what is true of one of them is
// true of all. One of them stands for it.
type Class struct {
	One directory.Surveyed
	// Mandate is what was delegated to each of them, of a partner's people.
	Mandate signin.Mandate
	Names   []string // the first of them, MostNames at most
	Count   int
	// Keys are the automation keys of all of them.
	Keys []Key
	// Says is what they have in common, in words.
	Says string
}

// Key is an automation key, and whose it is.
type Key struct {
	Account string
	signin.HeldKey
}

// Protocols are the names of the protocols that applications can ask by.
func (a *Survey) Protocols() []string { return a.protocols.Names() }

// Few is how many accounts are named before they are counted.
const Few = 5

// MostNames bounds how many accounts of a class are named to programs.
const MostNames = 1000

// Who names a small class by its members and a large one by what they have in
// common.
func (c *Class) Who() string {
	if c.Count <= Few {
		return strings.Join(c.Names, ", ")
	}
	return c.Says
}

// Classes groups every account. Accounts whose rows failed their integrity check (MAC) are in
// no class: the engine refuses them, whatever policy says.
func (a *Survey) Classes(ctx context.Context, policies ...*policy.Policy) (classes []*Class, tampered []string, err error) {
	if a.engine == nil {
		return nil, nil, failure.New(failure.Unavailable, "This server has no engine to ask.")
	}
	mentioned := map[string]bool{}
	for _, p := range policies {
		for _, g := range p.Mentions().Groups {
			mentioned[g] = true
		}
	}
	servable, err := a.servable(ctx)
	if err != nil {
		return nil, nil, err
	}
	mandates, err := a.mandates.All(ctx, a.db)
	if err != nil {
		return nil, nil, err
	}
	byKey := map[string]*Class{}
	err = a.survey.Each(ctx, a.db, func(s directory.Surveyed) error {
		if s.Tampered {
			tampered = append(tampered, s.Account.Name)
			return nil
		}
		mandate := mandates[s.Account.ID]
		key := a.classKey(s, policies, servable) + mandateKey(s.Account, mandate)
		c := byKey[key]
		if c == nil {
			c = &Class{One: s, Mandate: mandate, Says: a.describe(s, mentioned)}
			byKey[key] = c
			classes = append(classes, c)
		}
		if c.Count++; c.Count <= MostNames {
			c.Names = append(c.Names, s.Account.Name)
		}
		for _, k := range a.engine.HeldKeys(s.Account, s.Credentials, servable) {
			c.Keys = append(c.Keys, Key{s.Account.Name, k})
		}
		return nil
	})
	return classes, tampered, err
}

// classKey holds everything about an account that a decision can depend on,
// other than who it is.
func (a *Survey) classKey(s directory.Surveyed, policies []*policy.Policy, servable []string) string {
	var b strings.Builder
	v := a.engine.View(signin.Standpoint{Account: s.Account, Credentials: s.Credentials, Application: signin.Own(), Action: signin.SignIn})
	for _, p := range policies {
		fmt.Fprintf(&b, "%q ", p.Alike(v.Facts))
	}
	fmt.Fprint(&b, v.Refuses, s.Account.Kind, s.Account.Privileged, s.Account.Administers(), s.Account.Helps(), kinds(s.Credentials))
	for _, c := range s.Credentials {
		fmt.Fprint(&b, c.Status == directory.CredentialActive && a.now().Before(c.Quarantine))
	}
	served := map[string]bool{}
	for _, k := range a.engine.HeldKeys(s.Account, s.Credentials, servable) {
		for _, action := range k.Actions {
			served[action] = true
		}
	}
	fmt.Fprint(&b, slices.Sorted(maps.Keys(served)))
	return b.String()
}

// mandateKey tells accounts apart by what was delegated to them.
func mandateKey(a directory.Account, m signin.Mandate) string {
	if a.Partner == "" {
		return ""
	}
	return fmt.Sprint(a.Partner, m.Delegation, m.Actions, m.Applications, m.From, m.Until)
}

// servable is what automation keys can be for: the commands, and signing in and the other actions
// at the applications that take keys, as [signin.Served] writes them.
func (a *Survey) servable(ctx context.Context) ([]string, error) {
	out := slices.Clone(a.commands.Actions())
	places, err := a.Places(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range places[1:] {
		for _, action := range p.Actions {
			if p.Openings.Keys {
				out = append(out, signin.Served(p.Name, action))
			}
		}
	}
	return out, nil
}

// kinds are the kinds of the active authenticators, with what each shows.
func kinds(credentials []directory.Credential) []string {
	var out []string
	for _, c := range credentials {
		if k := c.Kind + " " + c.Traits.String(); c.Status == directory.CredentialActive && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// describe says what the accounts of a class have in common.
func (a *Survey) describe(s directory.Surveyed, mentioned map[string]bool) string {
	words := []string{"people"}
	switch {
	case s.Account.Kind == directory.Service:
		words[0] = "services"
	case s.Account.Administers():
		words[0] = "administrators"
	case s.Account.Helps():
		words[0] = "the help desk"
	case s.Account.Privileged:
		words[0] = "privileged people"
	case s.Account.Partner != "":
		words[0] = "people of the partner " + s.Account.Partner
	}
	var groups, held []string
	for _, g := range s.Account.Groups {
		if mentioned[g] {
			groups = append(groups, g)
		}
	}
	if len(groups) > 0 {
		words = append(words, "in "+strings.Join(groups, ", "))
	}
	for _, k := range kinds(s.Credentials) {
		kind, _, _ := strings.Cut(k, " ")
		if !slices.Contains(held, kind) {
			held = append(held, kind)
		}
	}
	if len(held) == 0 {
		words = append(words, "with no authenticator")
	} else {
		words = append(words, "with "+strings.Join(held, ", "))
	}
	switch {
	case s.Account.State != directory.Active:
		words = append(words, "(suspended)")
	case s.Account.Ended(a.now()):
		words = append(words, "(ended)")
	case s.Account.Idle(a.now()) > a.dormant:
		words = append(words, "(dormant)")
	}
	return strings.Join(words, " ")
}

// Place is one application as requests reach it.
type Place struct {
	application.Application
	// Actions are what can be asked of it, the ordinary sign-in first.
	Actions []string
	// Channels are the protocols that a request for it can come by.
	Channels []string
	// Web says that requests carry a method and a path.
	Web      bool
	Openings protocol.Exposure
}

// Places are all applications, Countersign itself first.
func (a *Survey) Places(ctx context.Context) ([]Place, error) {
	own := Place{Application: signin.Own(), Actions: append(signin.OwnActions(), a.commands.Actions()...), Channels: []string{"browser", "api"}}
	all, err := a.applications.All(ctx)
	if err != nil {
		return nil, err
	}
	out := []Place{own}
	for _, app := range all {
		p := Place{Application: app, Actions: []string{signin.SignIn}, Channels: []string{app.Protocol}}
		if p.Openings, err = a.protocols.Exposure(app); err != nil {
			return nil, err
		}
		p.Web = p.Openings.Web
		for _, action := range p.Openings.Actions {
			if !slices.Contains(p.Actions, action) {
				p.Actions = append(p.Actions, action)
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// Asks is a class of requests: one class of accounts, one application, one
// action and one protocol, with everything else free.
func (a *Survey) Asks(c *Class, p Place, action, channel string) (policy.Class, signin.View) {
	v := a.engine.View(signin.Standpoint{Account: c.One.Account, Credentials: c.One.Credentials, Mandate: c.Mandate, Application: p.Application, Action: action})
	f := v.Facts
	f.Protocol = channel
	free := policy.FreeSource | policy.FreeTime
	if p.Web {
		free |= policy.FreeRequest
	}
	return policy.Class{Facts: f, Free: free}, v
}

// Witness says how to come by a decision, as far as it was free.
func Witness(f policy.Facts, p *policy.Policy) string {
	reads := p.Reads()
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(reads, n) })
	}
	var parts []string
	if has("source") {
		if f.Source == (netip.Addr{}) {
			parts = append(parts, "from an unknown address")
		} else {
			parts = append(parts, "from "+f.Source.String())
		}
	}
	parts = append(parts, "by "+f.Protocol)
	if has("method", "path") && (f.Method != "" || f.Path != "") {
		parts = append(parts, "for "+strings.TrimSpace(f.Method+" "+f.Path))
	}
	if has("now.hour", "now.weekday", "now.time") {
		parts = append(parts, "at "+f.Now.UTC().Format("Mon 2006-01-02 15:04:05Z"))
	}
	return strings.Join(parts, " ")
}

// WithEngineRequirement is what policy demands, with what the engine requires in addition.
func WithEngineRequirement(r assurance.Requirement, v signin.View) assurance.Requirement {
	if v.EngineRequires != nil {
		r = assurance.And(r, *v.EngineRequires)
	}
	return r
}
