package signin

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// Prospects look ahead: what an account could get with what it has, or with something more. It
// takes the engine's own road, over evidence that was never given; nothing is asked for, nothing
// is written, and no Grant comes of it.
type Prospects struct {
	view           store.View
	judge          *judge
	administration *administration
}

// Outlook is how far somebody is on the way to signing in: what they have set up, and what
// would be enough.
type Outlook struct {
	// Ready says that what the account has is enough for its own pages, from a browser that
	// knows nothing of it. Begun says that it has something that counts and is not enough.
	Ready, Begun bool
	// Completes are the kinds of which one more would make it ready. Helps are these and
	// those that would with a second one, which can then still be set up with a pass.
	Completes, Helps map[string]bool
}

// Outlook looks ahead for an account from an address. kinds are those that it could set up, by
// their stable words.
func (p *Prospects) Outlook(ctx context.Context, id assurance.AccountID, source netip.Addr, kinds []string) (Outlook, error) {
	q := Request{Application: Self, Action: SignIn, Source: source, Protocol: "browser", Medium: prompt.Browser}
	m, err := p.judge.gather(ctx, p.view, &attempt{Request: q, Account: id}, ourselves(), nil)
	if err != nil {
		return Outlook{}, err
	}
	return outlookOf(&m, kinds), nil
}

func outlookOf(m *matter, kinds []string) Outlook {
	o := Outlook{Ready: letsIn(m), Completes: map[string]bool{}, Helps: map[string]bool{}}
	for _, one := range kinds {
		with := adding(m, one)
		o.Completes[one] = letsIn(with)
		o.Helps[one] = o.Completes[one] || directory.LacksTwoFactors(with.credentials, m.now) && slices.ContainsFunc(kinds, func(two string) bool { return two != one && !letsIn(adding(m, two)) && letsIn(adding(with, two)) })
	}
	bare := *m
	bare.credentials = nil
	o.Begun = !o.Ready && slices.ContainsFunc(kinds, func(one string) bool { return o.Completes[one] && !letsIn(adding(&bare, one)) })
	return o
}

// adding is the matter with one more authenticator of a kind, which shows the least that its
// kind does.
func adding(m *matter, name string) *matter {
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
func letsIn(m *matter) bool {
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
func (p *Prospects) LetsIn(ctx context.Context, id assurance.AccountID, source netip.Addr, apps []application.Application, plays func(application.Application) prompt.Medium) ([]application.Application, error) {
	var out []application.Application
	m, err := p.judge.gather(ctx, p.view, &attempt{Account: id}, ourselves(), nil)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		one := m
		one.application = app
		one.Request = Request{Application: app.Name, Action: SignIn, Source: source, Protocol: app.Protocol, Medium: plays(app), Method: "GET", Path: "/"}
		if letsIn(&one) {
			out = append(out, app)
		}
	}
	return out, nil
}

// MayUse returns a function that reports whether policy lets an account sign in to an application
// at all: from some address, at some time, with whatever it would have to show. That an account is
// suspended, dormant or at risk is not looked at: that passes.
func (p *Prospects) MayUse(ctx context.Context, app application.Application) (func(directory.Account) bool, error) {
	m := p.judge.matter(&attempt{Request: Request{Application: app.Name, Action: SignIn, Protocol: app.Protocol, Method: "GET", Path: "/"}}, app)
	rules, err := p.judge.rules.Current(ctx)
	if err != nil {
		return nil, err
	}
	mandates, err := p.judge.mandates.All(ctx, p.view)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	known := map[string]bool{} // by how the rules tell accounts apart
	return func(a directory.Account) bool {
		of := m
		if of.account, of.mandate = a, mandates[a.ID]; beyond(&of) != "" {
			return false
		}
		f := m.facts(a, false)
		f.Account.Dormant, f.Account.AtRisk, f.Account.Suspended = false, false, false
		key := rules.Alike(f)
		mu.Lock()
		defer mu.Unlock()
		may, there := known[key]
		if !there {
			ways := rules.Weakest(policy.Class{Facts: f, Free: policy.FreeSource | policy.FreeTime | policy.FreeRequest}).Ways
			may = slices.ContainsFunc(ways, func(w policy.Way) bool { _, no := w.Decision.Requirement.Denied(); return !no })
			known[key] = may
		}
		return may
	}, nil
}

// Title is what people call an application, or its name where it has no title or is not there.
func (p *Prospects) Title(ctx context.Context, name string) string {
	app, err := p.judge.application(ctx, name)
	if err != nil || app.Title == "" {
		return name
	}
	return app.Title
}

// KeepsOut reports whether whoever suffers a loss could not sign in to their own pages any more,
// wherever they are and whenever they come, where they can now.
func (p *Prospects) KeepsOut(ctx context.Context, r store.Reader, l Loss) (bool, error) {
	q := Request{Application: Self, Action: SignIn, Protocol: "browser", Medium: prompt.Browser}
	m, err := p.judge.gather(ctx, r, &attempt{Request: q, Account: l.Account}, ourselves(), nil)
	if err != nil || m.barred() != "" || !m.couldGet() {
		return false, err
	}
	m.account, m.credentials = l.Edit(m.account, m.credentials)
	return m.barred() != "" || !m.couldGet(), nil
}

// Spare reports whether an account that could administer still could if any one of its
// authenticators were lost. What does not count yet, because it is new, counts here.
func (p *Prospects) Spare(ctx context.Context, id assurance.AccountID) (bool, error) {
	return p.administration.spareKey(ctx, p.view, id)
}

// LastWithout reports whether nobody could administer while one of an account's authenticators
// does not count, where somebody can now.
func (p *Prospects) LastWithout(ctx context.Context, id assurance.AccountID, credential assurance.CredentialID) (bool, error) {
	err := p.administration.spare(ctx, p.view, Without(id, credential, Everything))
	if failure.ClassOf(err) == failure.Refused {
		return true, nil
	}
	return false, err
}
