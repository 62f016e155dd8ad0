package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/signin"
)

// Coverage is what coverage.show answers.
type Coverage = attack.Data

// CoverageShow says how far M1032 holds here, row by row, from the policy in
// force, every account, every application and the drills of the last 30 days.
type CoverageShow struct{}

func (c *CoverageShow) Action() string { return "coverage.show" }

// Object is empty: nothing is changed.
func (c *CoverageShow) Object() string { return "" }

func (c *CoverageShow) Do(ctx context.Context, a *Admin, _ signin.Grant) (any, error) {
	in, err := a.coverageInput(ctx)
	if err != nil {
		return nil, err
	}
	return attack.NewReport(in).Data(), nil
}

// coverageInput gathers what coverage is computed from.
func (a *Admin) coverageInput(ctx context.Context) (attack.Input, error) {
	in := attack.Input{Now: a.now()}
	if a.publicURL != nil {
		in.Name = a.publicURL.Host
	}
	p, err := a.rules.Current(ctx)
	if err != nil {
		return in, err
	}
	classes, tampered, err := a.classes(ctx, p)
	if err != nil {
		return in, err
	}
	places, err := a.places(ctx)
	if err != nil {
		return in, err
	}
	if places[0].openings.Caveats, err = a.fewAdministrators(ctx); err != nil {
		return in, err
	}
	if in.NotHere, err = a.declarations(ctx, a.db); err != nil {
		return in, err
	}
	if in.Drills, err = a.drillResults(ctx, a.db); err != nil {
		return in, err
	}
	v := &survey{admin: a, policy: p, classes: classes, known: map[string]policy.Weakness{}, exceptions: a.loosened()}
	for _, pl := range places {
		v.visit(pl)
	}
	in.Applications, in.Classes, in.Exceptions = v.applications, v.out, v.exceptions
	in.People = a.peopleOf(classes, tampered)
	return in, nil
}

// survey goes through every class of accounts at every application.
type survey struct {
	admin   *Admin
	policy  *policy.Policy
	classes []*class
	// known is what an analysis found, by all that it depends on: many
	// applications are alike to the rules.
	known        map[string]policy.Weakness
	applications []attack.Application
	out          []attack.Class
	exceptions   []attack.Exception
}

func (v *survey) visit(p place) {
	app := attack.Application{Name: p.Name, Kind: p.Kind, Protocol: p.Protocol, OpenDoors: p.openings.Doors, Caveats: p.openings.Caveats}
	if p.Name == signin.Self {
		app.Kind = attack.Self
		if !v.admin.owners.Mails() {
			app.Caveats = append(slices.Clone(app.Caveats), "there is no mail server, so that nobody hears of a recovery of their account and nobody can object; each takes a second person")
		}
	}
	v.exceptions = append(v.exceptions, p.openings.Exceptions...)
	for _, action := range p.actions {
		found, ruled := v.weakest(p, action)
		v.out = append(v.out, found...)
		if action == signin.SignIn && !ruled {
			app.Unruled = true
		}
	}
	v.applications = append(v.applications, app)
}

// weakest says the least that each class gets away with, one line for all that
// get the same. It reports whether any rule was about any of them.
func (v *survey) weakest(p place, action string) (out []attack.Class, ruled bool) {
	at, asked := map[string]int{}, false
	names := map[string][]*class{}
	for _, c := range v.classes {
		one := attack.Class{Application: p.Name, Action: action, Strength: attack.Denied, Exact: true, Weakest: "deny",
			Reads:    p.Name == signin.Self && slices.Contains(v.admin.list.Reading(), action),
			Entrance: p.Name != signin.Self && action != signin.SignIn, Privileged: c.one.Account.Privileged}
		for _, channel := range p.channels {
			cl, view := v.admin.asks(c, p, action, channel)
			if view.Refuses != "" || channel == "api" && c.one.Account.Kind == directory.Service && !view.Delegated {
				continue
			}
			w := v.analysed(cl, action)
			asked = true
			ruled = ruled || !unruled(w)
			v.weigh(&one, w, view, channel)
			one.Privileged = one.Privileged || view.Delegated
		}
		key := fmt.Sprint(one.Privileged, one.Strength, one.Weakest, one.Within, one.Witness, one.Exact)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, one)
		}
		out[i].Count += c.count
		names[key] = append(names[key], c)
	}
	for key, i := range at {
		out[i].Accounts = together(names[key])
	}
	return out, ruled || !asked
}

// analysed is the policy's weakest for a class of requests. What it depends on
// is how the rules see the account and the application, and what is asked.
func (v *survey) analysed(c policy.Class, action string) policy.Weakness {
	key := fmt.Sprintf("%q %s %t %s %d", v.policy.Alike(c.Facts), action, c.Facts.Reads, c.Protocol, c.Free)
	w, ok := v.known[key]
	if !ok {
		w = v.policy.Weakest(c)
		v.known[key] = w
	}
	return w
}

// unruled reports whether everything is denied because no rule is about it.
func unruled(w policy.Weakness) bool {
	for _, way := range w.Ways {
		if why, no := way.Decision.Requirement.Denied(); !no || why != "no rule" {
			return false
		}
	}
	return true
}

// weigh keeps the weakest that any channel gives.
func (v *survey) weigh(one *attack.Class, w policy.Weakness, view signin.View, channel string) {
	for _, way := range w.Ways {
		need := besides(way.Decision.Requirement, view)
		strength := strengthOf(need)
		if need.Implies(assurance.AutomationKey()) && strength != attack.Denied && (!view.Delegated || channel != "api") {
			strength = attack.Denied // nothing takes a key there
		}
		within := time.Duration(0)
		if oldest := need.Oldest(); oldest < assurance.Forever {
			within = oldest
		}
		looser := within == 0 && one.Within != 0 || one.Within != 0 && within > one.Within
		if strength > one.Strength || strength == one.Strength && (strength == attack.Denied || !looser) {
			continue
		}
		one.Strength, one.Within, one.Exact = strength, within, w.Exact
		one.Weakest, one.Witness = need.String(), witness(way.Witness, v.policy)
	}
}

// strengthOf puts a Requirement into one word: the most that all of its ways
// have in common.
func strengthOf(r assurance.Requirement) attack.Strength {
	two, pass := assurance.TwoFactors(), assurance.AccessPass()
	switch {
	case r.Implies(assurance.Deny("")):
		return attack.Denied
	case r.Implies(assurance.Phishing()):
		return attack.PhishingResistant
	case r.Implies(two):
		return attack.TwoFactors
	case r.Implies(pass.Or(two)):
		return attack.Vouched
	case r.Implies(assurance.OneFactor().Or(pass).Or(assurance.AutomationKey())):
		return attack.OneFactor
	}
	return attack.Nothing
}

// together names the accounts of several classes.
func together(classes []*class) string {
	count := 0
	var names, says []string
	for _, c := range classes {
		count += c.count
		names = append(names, c.names...)
		if !slices.Contains(says, c.says) {
			says = append(says, c.says)
		}
	}
	if count <= few {
		slices.Sort(names)
		return strings.Join(names, ", ")
	}
	return attack.Listed(says, len(says))
}

// people are the accounts that cannot do what M1032 is about, those that share a
// weakness together. Nobody is among them who gets nothing anyway, or who has
// nothing yet and waits for a pass.
func (a *Admin) peopleOf(classes []*class, tampered []string) []attack.Person {
	by := map[string]*attack.Person{}
	var order []string
	add := func(lacks string, count int, names ...string) {
		p := by[lacks]
		if p == nil {
			p = &attack.Person{}
			by[lacks] = p
			order = append(order, lacks)
		}
		p.Count += count
		p.Names = append(p.Names, names[:min(len(names), mostNames-len(p.Names))]...)
	}
	for _, c := range classes {
		if lacks := a.lacks(c.one); lacks != "" {
			add(lacks, c.count, c.names...)
		}
	}
	if len(tampered) > 0 {
		add("rows that were changed behind our back, and nothing is believed of it", len(tampered), tampered[:min(len(tampered), mostNames)]...)
	}
	var out []attack.Person
	for _, lacks := range order {
		p := by[lacks]
		slices.Sort(p.Names)
		p.Name, p.Lacks = attack.Listed(p.Names, p.Count), verb(p.Count)+" "+lacks
		out = append(out, *p)
	}
	return out
}

func verb(count int) string {
	if count == 1 {
		return "has"
	}
	return "have"
}

// lacks says what an account that could get something has too little of.
func (a *Admin) lacks(s directory.Surveyed) string {
	if s.Account.Kind != directory.Person || s.Account.State != directory.Active || s.Account.Idle(a.now()) > a.dormant {
		return ""
	}
	now := a.now()
	held := directory.CouldShow(s.Credentials, now)
	held = slices.DeleteFunc(held, func(e assurance.Evidence) bool { return e.Traits&^assurance.Vouched == 0 })
	without := func(t assurance.Trait) []assurance.Evidence {
		return slices.DeleteFunc(slices.Clone(held), func(e assurance.Evidence) bool { return e.Traits.Has(t) })
	}
	two := assurance.TwoFactors()
	var names []string
	for _, e := range held {
		if !slices.Contains(names, e.Kind) {
			names = append(names, e.Kind)
		}
	}
	slices.Sort(names)
	with := strings.Join(names, ", ")
	switch {
	case len(held) == 0:
		return ""
	case !two.Met(held, now):
		return "only " + with + " and no second factor"
	case !two.Met(without(assurance.Restricted), now):
		return "no second factor but one that can be taken over (" + with + ")"
	case !two.Met(without(assurance.Recovery), now):
		return "no second factor but recovery codes"
	}
	return ""
}
