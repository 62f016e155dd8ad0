package signin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/prompt"
)

// Explanation says what a request would have to show and why, and whether its
// account could. Nothing is asked for, nothing is written, and no Grant comes of
// it.
type Explanation struct {
	Facts policy.Facts
	// Policy is what each rule of the policy in force said of these facts.
	Policy policy.Explanation
	// Requirement is all that must be shown: the policy's, and what the engine
	// adds for changing authenticators.
	Requirement assurance.Requirement
	// Abilities are the account's active authenticators.
	Abilities []Ability
	// Possible says that what is left of them is enough. Reason is the audit
	// log's word for why it is not.
	Possible bool
	Reason   string
}

// Ability is one authenticator, and why it would not count; empty when it would.
// Traits are what it would show here: Elsewhere says that it would be used on
// another device, by a number, and then it shows less.
type Ability struct {
	Kind, Label string
	Traits      assurance.Trait
	Not         string
	OutOfBand   bool
}

// Explain decides for a request as if its account showed everything that it has
// and that the medium can play, at a moment. It takes the engine's own road:
// the same facts and the same decision, over evidence that was never given.
// An unknown name or application is a failure, as it is told to administrators.
func (e *Engine) Explain(ctx context.Context, r Request, now time.Time) (Explanation, error) {
	if r.Action == "" {
		r.Action = SignIn
	}
	j := e.judge.at(now)
	account, err := e.people.Find(ctx, e.db, r.Name)
	if err != nil {
		return Explanation{}, err
	}
	app, err := j.application(ctx, r.Application)
	if err != nil {
		return Explanation{}, err
	}
	m, err := j.gather(ctx, e.db, &attempt{Request: r, Account: account.ID}, app, nil)
	if err != nil {
		return Explanation{}, err
	}
	if m.delegated = j.delegated(&m) || hasAppPassword(&m); m.delegated {
		m.Medium = prompt.API // it comes with its request
	}
	x := Explanation{Facts: m.facts(account, directory.LacksTwoFactors(m.credentials, now))}
	x.Policy = m.policy.Explain(x.Facts)
	all := m.credentials
	m.credentials = active(all)
	x.Abilities = m.abilities(x.Policy.Decision.Refuse)
	m.shown = m.could(x.Abilities)
	m.credentials = all
	d := decide(&m)
	if x.Requirement = d.requirement; d.state != Granted && refusedBefore(d) {
		x.Requirement = assurance.Deny(d.reason)
	}
	x.Possible, x.Reason = d.state == Granted, d.reason
	if !x.Possible && x.Reason == "" {
		x.Reason = "not-enough"
	}
	return x, nil
}

// at is the judge at another moment.
func (j *judge) at(now time.Time) *judge {
	other := *j
	other.now = func() time.Time { return now }
	return &other
}

// refusedBefore reports whether the engine refused before it asked policy.
func refusedBefore(d decision) bool {
	why, no := d.requirement.Denied()
	return no && why == "no way"
}

// abilities says of each active authenticator whether it would count here.
func (m *matter) abilities(refused []string) []Ability {
	usable := m.usable(refused)
	out := make([]Ability, len(m.credentials))
	for i, c := range m.credentials {
		out[i] = Ability{Kind: c.Kind, Label: c.Label, Traits: c.Traits, Not: m.unplayable(c.Kind)}
		switch {
		case slices.Contains(refused, c.Kind):
			out[i].Not = "policy refuses it here"
		case !slices.ContainsFunc(usable, func(u directory.Credential) bool { return u.ID == c.ID }):
			out[i].Not = "it is new, and is accepted for this only after " + c.Quarantine.UTC().Format(time.RFC3339)
		}
	}
	m.elsewhere(out)
	return out
}

// elsewhere adds what could be used on another device instead, once something
// else was shown here.
func (m *matter) elsewhere(abilities []Ability) {
	after := *m
	if after.shown = m.could(abilities); len(after.shown) == 0 {
		return
	}
	for i, c := range m.credentials {
		if a := &abilities[i]; a.Not == notHere {
			if t := after.transferable([]directory.Credential{c}); t != 0 {
				a.Not, a.Traits, a.OutOfBand = "", t, true
			}
		}
	}
}

const notHere = "it cannot be shown by this protocol"

// unplayable says why a kind cannot be shown by the medium.
func (m *matter) unplayable(name string) string {
	k, known := m.kind(name)
	switch {
	case !known:
		return "this server does not know its kind"
	case m.delegated && k.Media.Can(prompt.API), k.answersBy(m.Medium):
		return ""
	}
	return notHere
}

// could is the evidence of the authenticators that would count.
func (m *matter) could(abilities []Ability) []assurance.Evidence {
	var out []assurance.Evidence
	for i, c := range m.credentials {
		if abilities[i].Not == "" {
			out = append(out, assurance.Evidence{Account: m.account.ID, Kind: c.Kind, Credential: c.ID, Traits: abilities[i].Traits, Time: m.now, OutOfBand: abilities[i].OutOfBand})
		}
	}
	return out
}

// Standpoint is the part of a request that says who asks for what.
type Standpoint struct {
	Account directory.Account
	// Credentials are all of the account's, in whatever state.
	Credentials []directory.Credential
	// Mandate is what was delegated to the account, of a partner's person.
	Mandate Mandate
	// Application is one of the catalogue's, or what [Engine.Own] returns.
	Application application.Application
	Action      string
}

// Own returns Countersign itself as an application, as the engine sees it.
func Own() application.Application { return ourselves() }

// View is what a standpoint comes to before anything is shown.
type View struct {
	// Facts are what policy reads, without what a request is free to choose.
	Facts policy.Facts
	// EngineRequires is what the engine requires in addition to policy; nil for nothing.
	EngineRequires *assurance.Requirement
	// Refuses is why the engine refuses without asking policy, or empty.
	Refuses string
	// Delegated says that an automation key of the account serves the action.
	Delegated bool
}

// View looks from a standpoint at this moment. It is for saying things about
// many accounts at once, and is made by what decides about one.
func (e *Engine) View(s Standpoint) View {
	m := e.judge.matter(&attempt{Request: Request{Application: s.Application.Name, Action: s.Action}}, s.Application)
	m.account, m.credentials, m.mandate = s.Account, s.Credentials, s.Mandate
	m.delegated = e.judge.delegated(&m)
	v := View{Facts: m.facts(s.Account, directory.LacksTwoFactors(m.credentials, m.now)), Delegated: m.delegated}
	if v.Refuses = cmp.Or(m.barred(), beyond(&m)); v.Refuses == "" && !m.mayAdminister() {
		v.Refuses = "not-administrator"
	}
	v.EngineRequires = m.engineRequirement()
	if own := ownFactor(&m); own != nil {
		v.EngineRequires = own // it demands nothing else where it demands this
	}
	return v
}

// delegated reports whether an automation key of the account was issued for the
// action and has not ended. Keys serve services alone. Whether an application takes any is for
// its settings to say.
func (j *judge) delegated(m *matter) bool {
	if m.account.Kind != directory.Service {
		return false
	}
	for _, c := range active(m.credentials) {
		if _, ok := j.serves(c, Served(m.application.Name, m.Action), m.now); ok {
			return true
		}
	}
	return false
}
