package signin

import (
	"context"
	"net/netip"
	"slices"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// Outlook is how far somebody is on the way to signing in: what they have set up, and what
// would be enough. Nothing is asked for, nothing is written, and no Grant comes of it.
type Outlook struct {
	// Ready says that what the account has is enough for its own pages, from a browser that
	// knows nothing of it. Begun says that it has something that counts and is not enough.
	Ready, Begun bool
	// Completes are the kinds of which one more would make it ready, and Helps those that
	// would with a second one.
	Completes, Helps map[string]bool
}

// Outlook looks ahead for an account from an address. kinds are those that it could set up, by
// their stable words.
func (e *Engine) Outlook(ctx context.Context, id assurance.AccountID, source netip.Addr, kinds []string) (Outlook, error) {
	q := Request{Application: Self, Action: SignIn, Source: source, Protocol: "browser", Medium: prompt.Browser}
	m, err := e.judge.gather(ctx, e.db, &attempt{Request: q, Account: id}, ourselves(), nil)
	if err != nil {
		return Outlook{}, err
	}
	return m.outlook(kinds), nil
}

func (m *matter) outlook(kinds []string) Outlook {
	o := Outlook{Ready: m.letsIn(), Completes: map[string]bool{}, Helps: map[string]bool{}}
	for _, one := range kinds {
		with := m.adding(one)
		o.Completes[one] = with.letsIn()
		o.Helps[one] = o.Completes[one] || slices.ContainsFunc(kinds, func(two string) bool { return two != one && !m.adding(two).letsIn() && with.adding(two).letsIn() })
	}
	bare := *m
	bare.credentials = nil
	o.Begun = !o.Ready && slices.ContainsFunc(kinds, func(one string) bool { return o.Completes[one] && !bare.adding(one).letsIn() })
	return o
}

// adding is the matter with one more authenticator of a kind, which shows the least that its
// kind does.
func (m *matter) adding(name string) *matter {
	with := *m
	k, known := m.kind(name)
	if !known {
		return &with
	}
	t := k.Traits
	if withPIN(t) {
		t &^= assurance.Known
	}
	with.credentials = append(slices.Clone(m.credentials), directory.Credential{ID: assurance.CredentialID(-1 - len(m.credentials)), Account: m.account.ID, Kind: name, Traits: t, Status: directory.CredentialActive, Created: m.now})
	return &with
}

// letsIn reports whether the account's authenticators are enough for what is asked, if each is
// shown that can be, and one of them can be the first.
func (m *matter) letsIn() bool {
	all := *m
	all.somebody = m.account.ID != 0
	all.credentials = slices.DeleteFunc(active(m.credentials), func(c directory.Credential) bool { return c.Traits.Has(assurance.Vouched) })
	if m.application.Vouches != application.VouchesPassword && !slices.ContainsFunc(all.credentials, all.begins) {
		return false
	}
	var refused []string
	if m.policy != nil {
		refused = m.policy.Decide(m.facts(m.account, directory.LacksTwoFactors(m.credentials, m.now))).Refuse
	}
	all.shown = all.could(all.abilities(refused))
	all.credentials = m.credentials
	return decide(&all).state == Granted
}

// LetsIn says of each application whether the account, with what it has, meets what policy
// demands there, from an address. plays says what an application can carry at its best.
func (e *Engine) LetsIn(ctx context.Context, id assurance.AccountID, source netip.Addr, apps []application.Application, plays func(application.Application) prompt.Medium) ([]application.Application, error) {
	var out []application.Application
	for _, app := range apps {
		q := Request{Application: app.Name, Action: SignIn, Source: source, Protocol: app.Protocol, Medium: plays(app), Method: "GET", Path: "/"}
		m, err := e.judge.gather(ctx, e.db, &attempt{Request: q, Account: id}, app, nil)
		if err != nil {
			return nil, err
		}
		if m.letsIn() {
			out = append(out, app)
		}
	}
	return out, nil
}
