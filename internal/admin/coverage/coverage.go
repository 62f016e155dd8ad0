// Package coverage is how far M1032 holds here, row by row.
//
// It owns the tables declaration, drill_report and drill_result: what somebody declared not
// to be here, and what drills met. The rows of M1032 are attack's, and what can be asked of
// whom is admin/survey's. Its one invariant: a declaration or a result that is not as it was
// left is not believed; a missing result counts as failed.
package coverage

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/administrators"
	"countersign/internal/admin/survey"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about coverage and drills, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Show how far each row of ATT&CK's M1032 holds here, and what leaves a gap.", attack.Data{}).AlsoLent(),
		admin.Looks[DrillList]("List the runs of drills that were handed in, newest first.", RunPage{}),
		admin.Looks[DrillShow]("Show what one run of drills met: each attack, what came back, and the five proofs.", RunReport{}),
		admin.Looks[DrillResults]("Show the newest result of one row at each application, with what was tried.", []RowResult{}),
		admin.Changes[Declare]("Declare that there is nothing here for a row to be about, until a day.", Declared{}).
			Telling("coverage.declared", "{by} declared row {detail.row} not here: {detail.reason}"),
		admin.Changes[Withdraw]("Take such a declaration back.", map[string]string{}).
			Telling("coverage.withdrawn", "{by} withdrew the declaration of row {detail.row}"),
		admin.Changes[DrillBegin]("Begin a drill: say what there is to attack, and leave in the log that the alarms to come are a drill's.", Targets{}).
			Telling("drill.begun", "{by} began a drill of {detail.applications}"),
		admin.Changes[DrillRecord]("Hand in the signed report of a drill.", Recorded{}).
			Telling("drill.recorded", "{by} handed in the report of a drill"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB             *store.DB
	Kept           *Kept
	Rules          *signin.Rules
	Survey         *survey.Survey
	Administrators *administrators.Administrators
	Groups         *directory.Groups
	// Mails reports whether notices can be sent.
	Mails func() bool
	// Reading are the actions that only look.
	Reading []string
	// Loosened are the exceptions that the configuration makes at this moment.
	Loosened  func() []attack.Exception
	PublicURL *url.URL
	// CardsURL is where smart cards are shown; nil for nowhere.
	CardsURL *url.URL
	Dormant  time.Duration
	Now      func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	so := here{p.Mails, p.Reading, p.Loosened, p.PublicURL, p.Dormant, p.Now}
	return []admin.Desk{
		admin.At(&beginDesk{admin.NewBook(p.DB), p.Kept, p.DB, p.Rules, p.Survey, p.Groups, p.CardsURL, so}),
		admin.At(&runsDesk{p.DB, p.Kept}),
		admin.At(&showDesk{so, p.DB, p.Kept, p.Rules, p.Survey, p.Administrators}),
		admin.At(&keepDesk{admin.NewBook(p.DB), p.Kept, p.Now}),
	}
}

// showDesk is where coverage is computed.
type showDesk struct {
	here
	db     store.Reader
	kept   *Kept
	rules  *signin.Rules
	survey *survey.Survey
	whoCan *administrators.Administrators
}

// here is what is so of this installation, whoever asks.
type here struct {
	mails     func() bool
	reading   []string
	loosened  func() []attack.Exception
	publicURL *url.URL
	dormant   time.Duration
	now       func() time.Time
}

// keepDesk is where declarations are made and reports are handed in.
type keepDesk struct {
	admin.Book
	kept *Kept
	now  func() time.Time
}

// Coverage is what coverage.show answers.
type Coverage = attack.Data

// Show says how far M1032 holds here, row by row, from the policy in
// force, every account, every application and the drills of the last 30 days.
type Show struct{}

func (c *Show) Action() string { return "coverage.show" }

// Object is empty: nothing is changed.
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *showDesk, _ signin.Grant) (any, error) {
	in, err := a.input(ctx)
	if err != nil {
		return nil, err
	}
	return attack.NewReport(in).Data(), nil
}

// input gathers what coverage is computed from.
func (a *showDesk) input(ctx context.Context) (attack.Input, error) {
	in := attack.Input{Now: a.now()}
	if a.publicURL != nil {
		in.Name = a.publicURL.Host
	}
	p, err := a.rules.Current(ctx)
	if err != nil {
		return in, err
	}
	classes, tampered, err := a.survey.Classes(ctx, p)
	if err != nil {
		return in, err
	}
	places, err := a.survey.Places(ctx)
	if err != nil {
		return in, err
	}
	if places[0].Openings.Caveats, err = a.whoCan.Few(ctx); err != nil {
		return in, err
	}
	if in.NotHere, err = a.kept.declarations(ctx, a.db); err != nil {
		return in, err
	}
	if in.Drills, err = a.kept.drillResults(ctx, a.db); err != nil {
		return in, err
	}
	versions, err := versionsOf(ctx, a.db, a.rules, a.survey, a.loosened())
	if err != nil {
		return in, err
	}
	v := &visitor{versions: versions, survey: a.survey, reading: a.reading, mails: a.mails(), policy: p, classes: classes, known: map[string]policy.Weakness{}, served: map[*survey.Class][]string{}, exceptions: a.loosened()}
	for _, pl := range places {
		v.visit(pl)
	}
	in.Applications, in.Classes, in.Exceptions = v.applications, v.out, v.exceptions
	in.Keys = v.keys()
	in.People, in.Dormant = a.people(classes, tampered), a.asleep(classes)
	return in, nil
}

// visitor goes through every class of accounts at every application.
type visitor struct {
	versions versions
	survey   *survey.Survey
	reading  []string // the actions that only look
	mails    bool     // notices can be sent
	policy   *policy.Policy
	classes  []*survey.Class
	// known is what an analysis found, by all that it depends on: many
	// applications are alike to the rules.
	known map[string]policy.Weakness
	// served are the actions that a key of a class may do, under this policy.
	served       map[*survey.Class][]string
	applications []attack.Application
	out          []attack.Class
	exceptions   []attack.Exception
}

func (v *visitor) visit(p survey.Place) {
	app := attack.Application{Name: p.Name, Kind: p.Kind, Protocol: p.Protocol, OpenDoors: p.Openings.Doors, Caveats: p.Openings.Caveats, Doors: p.Openings.Entrances, Depends: v.versions.of(p)}
	if p.Name == signin.Self {
		app.Kind = attack.Self
		if !v.mails {
			app.Caveats = append(slices.Clone(app.Caveats), "there is no mail server, so that nobody hears of a recovery of their account and nobody can object; each takes a second person")
		}
	}
	v.exceptions = append(v.exceptions, p.Openings.Exceptions...)
	for _, action := range p.Actions {
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
func (v *visitor) weakest(p survey.Place, action string) (out []attack.Class, ruled bool) {
	at, asked := map[string]int{}, false
	names := map[string][]*survey.Class{}
	for _, c := range v.classes {
		one := attack.Class{Application: p.Name, Action: action, Strength: attack.Denied, Exact: true, Weakest: "deny",
			Reads:    p.Name == signin.Self && slices.Contains(v.reading, action),
			Entrance: p.Name != signin.Self && action != signin.SignIn, Privileged: c.One.Account.Guarded()}
		for _, channel := range p.Channels {
			cl, view := v.survey.Asks(c, p, action, channel)
			one.Denial = cmp.Or(view.Refuses, one.Denial)
			keyed := view.Delegated && (channel == "api" || p.Openings.Keys)
			if view.Refuses != "" || channel == "api" && c.One.Account.Kind == directory.Service && !view.Delegated {
				continue
			}
			w := v.analysed(cl, action)
			asked = true
			ruled = ruled || !unruled(w)
			v.weigh(&one, w, view, keyed)
			one.Privileged = one.Privileged || keyed && p.Name == signin.Self
			if keyed && one.Strength <= attack.OneFactor {
				v.served[c] = append(v.served[c], signin.Served(p.Name, action))
			}
		}
		if one.Strength != attack.Denied {
			one.Denial = "" // of a channel that is not the weakest
		}
		key := fmt.Sprint(one.Privileged, one.Strength, one.Weakest, one.Denial, one.Within, one.Witness, one.Exact)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, one)
		}
		out[i].Count += c.Count
		names[key] = append(names[key], c)
	}
	for key, i := range at {
		out[i].Accounts = together(names[key])
	}
	return out, ruled || !asked
}

// keys are the automation keys of all classes, with what policy lets them do.
func (v *visitor) keys() []attack.Key {
	var out []attack.Key
	for _, c := range v.classes {
		for _, k := range c.Keys {
			may := slices.DeleteFunc(slices.Clone(k.Actions), func(a string) bool { return !slices.Contains(v.served[c], a) })
			out = append(out, attack.Key{Account: k.Account, Number: int64(k.Number), Note: k.Label, Expires: k.Until, Actions: may})
		}
	}
	return out
}

// analysed is the policy's weakest for a class of requests. What it depends on
// is how the rules see the account and the application, and what is asked.
func (v *visitor) analysed(c policy.Class, action string) policy.Weakness {
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

// weigh keeps the weakest that any channel gives. Keyed says that a key of the class is taken there.
func (v *visitor) weigh(one *attack.Class, w policy.Weakness, view signin.View, keyed bool) {
	for _, way := range w.Ways {
		need := survey.WithEngineRequirement(way.Decision.Requirement, view)
		strength := strengthOf(need)
		if need.Implies(assurance.AutomationKey()) && strength != attack.Denied && !keyed {
			strength = attack.Denied // nothing takes a key there
		}
		within := time.Duration(0)
		if oldest := need.Oldest(); oldest < assurance.Forever {
			within = oldest
		}
		looser := within == 0 && one.Within != 0 || one.Within != 0 && within > one.Within
		if why, no := need.Denied(); no {
			one.Denial = why
		}
		if strength > one.Strength || strength == one.Strength && (strength == attack.Denied || !looser) {
			continue
		}
		one.Strength, one.Within, one.Exact = strength, within, w.Exact
		one.Weakest, one.Witness = need.String(), survey.Witness(way.Witness, v.policy)
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
	case r.Implies(assurance.OneFactor().Or(pass).Or(assurance.AutomationKey()).Or(assurance.DevicePassword())):
		return attack.OneFactor
	}
	return attack.Nothing
}

// together names the accounts of several classes.
func together(classes []*survey.Class) string {
	count := 0
	var names, says []string
	for _, c := range classes {
		count += c.Count
		names = append(names, c.Names...)
		if !slices.Contains(says, c.Says) {
			says = append(says, c.Says)
		}
	}
	if count <= survey.Few {
		slices.Sort(names)
		return strings.Join(names, ", ")
	}
	return attack.Listed(says, len(says))
}

// people are the accounts that cannot do what M1032 is about, those that share a
// weakness together. Nobody is among them who gets nothing anyway, or who has
// nothing yet and waits for a pass.
func (a *showDesk) people(classes []*survey.Class, tampered []string) []attack.Person {
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
		p.Names = append(p.Names, names[:min(len(names), survey.MostNames-len(p.Names))]...)
	}
	for _, c := range classes {
		if lacks := a.lacks(c.One); lacks != "" {
			add(lacks, c.Count, c.Names...)
		}
	}
	if len(tampered) > 0 {
		add("a row that failed its integrity check (MAC), and nothing of it counts", len(tampered), tampered[:min(len(tampered), survey.MostNames)]...)
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

// ranks are what the accounts of a note may do, and how it begins for one of them
// and for several.
var ranks = [...]struct {
	has       func(directory.Account) bool
	one, many string
}{
	{directory.Account.Administers, "administers Countersign and is", "administer Countersign and are"},
	{directory.Account.Guarded, "is privileged and", "are privileged and"},
	{func(directory.Account) bool { return true }, "is", "are"},
}

func rankOf(d directory.Account) int {
	for i, r := range ranks {
		if r.has(d) {
			return i
		}
	}
	return len(ranks)
}

// asleep are the accounts that get nothing because nobody used them for so long,
// whoever administers first.
func (a *showDesk) asleep(classes []*survey.Class) []attack.Person {
	var out []attack.Person
	for i, r := range ranks {
		var p attack.Person
		for _, c := range classes {
			if d := c.One.Account; a.dormantNow(d) && rankOf(d) == i {
				p.Count += c.Count
				p.Names = append(p.Names, c.Names[:min(len(c.Names), survey.MostNames-len(p.Names))]...)
			}
		}
		if p.Count == 0 {
			continue
		}
		slices.Sort(p.Names)
		p.Name = attack.Listed(p.Names, p.Count)
		if p.Lacks = r.one + " dormant: it gets nothing until an administrator resumes it"; p.Count > 1 {
			p.Lacks = r.many + " dormant: they get nothing until an administrator resumes them"
		}
		out = append(out, p)
	}
	return out
}

// dormantNow reports whether an account is dormant, and neither suspended nor ended anyway.
func (a *showDesk) dormantNow(d directory.Account) bool {
	return d.Out(a.now()) == nil && d.Idle(a.now()) > a.dormant
}

func verb(count int) string {
	if count == 1 {
		return "has"
	}
	return "have"
}

// lacks says what an account that could get something has too little of.
func (a *showDesk) lacks(s directory.Surveyed) string {
	if s.Account.Kind != directory.Person || s.Account.Out(a.now()) != nil || s.Account.Idle(a.now()) > a.dormant {
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
