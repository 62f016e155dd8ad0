package signin

import (
	"context"
	"slices"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// decision is what decide found. Its zero value denies.
type decision struct {
	state   State
	account directory.Account
	reason  string
	public  string
	fresh   bool // the account cannot show two factors yet

	requirement assurance.Requirement
	evidence    []assurance.Evidence // all that counted
	rules       []string

	// kinds to ask for, best first, and what each is asked about.
	kinds       []string
	credentials map[string][]directory.Credential
	partial     string
}

// judge decides. It holds nothing of its own.
type judge struct {
	Parts
	kinds map[string]authenticator.Authenticator
}

// decide is the one road to yes. Every verb ends here: who it is, what policy
// demands of them for this, what counts of what was shown, and what is still
// missing that this medium can play. It reads, and writes nothing.
func (j *judge) decide(ctx context.Context, r store.Reader, at *attempt, app application.Application, held []assurance.Evidence) (decision, error) {
	if at.Account == 0 {
		return j.firstQuestions(at), nil
	}
	account, err := j.person(ctx, r, at)
	if err != nil {
		if failure.ClassOf(err) == failure.NotFound {
			return decision{reason: "no-account"}, nil
		}
		return decision{}, err
	}
	d := decision{account: account}
	if d.reason = j.barred(account); d.reason != "" {
		return d, nil
	}
	if !j.mayAdminister(at, app, account) {
		d.reason = "not-administrator"
		return d, nil
	}
	credentials, err := j.belongings(ctx, r, at, account.ID)
	if err != nil {
		return decision{}, err
	}
	credentials = active(credentials)
	refused, err := j.demand(ctx, at, app, account, credentials, &d)
	if err != nil {
		return decision{}, err
	}
	if why, no := d.requirement.Denied(); no {
		d.reason = "policy: " + why
		return d, nil
	}
	usable := j.usable(at, app, credentials, refused)
	d.evidence = counting(at, app, held, usable, refused)
	missing := d.requirement.Missing(d.evidence, j.Now())
	for _, m := range missing {
		if m.Met() {
			d.state = Granted
			return d, nil
		}
	}
	j.choose(at, missing, usable, &d)
	return d, nil
}

// barred says why an account gets nothing, whatever it shows and whatever
// policy says; empty when it may.
func (j *judge) barred(a directory.Account) string {
	switch {
	case a.State != directory.Active:
		return "suspended"
	case a.Idle(j.Now()) > j.Limits.Dormant:
		return "dormant"
	}
	return ""
}

// own are the actions that people may do to their own account. Every other
// action in Countersign itself is administration.
var own = []string{SignIn, CommandLine, Approve, Recover, "authenticator.enroll", "authenticator.remove", "authenticator.rename", "authenticator.pin", "report.not-me", SetQuiet}

func administers(action string) bool { return !slices.Contains(own, action) }

// mayAdminister reports whether the account may ask for this at all: anybody
// for what is their own, the help desk for helping people back in, administrators
// and their delegates for the rest.
func (j *judge) mayAdminister(at *attempt, app application.Application, account directory.Account) bool {
	return app.Name != Self || !administers(at.Action) || at.Delegated || account.Administers() ||
		account.Helps() && slices.Contains(j.Helping, at.Action)
}

// active are the credentials that could show anything.
func active(credentials []directory.Credential) []directory.Credential {
	return slices.DeleteFunc(credentials, func(c directory.Credential) bool { return c.Status != directory.CredentialActive })
}

// OwnActions lists what people may do to their own account.
func OwnActions() []string { return slices.Clone(own) }

// demand asks policy, and adds what only raises: the client's wish, and what
// the engine demands beside.
func (j *judge) demand(ctx context.Context, at *attempt, app application.Application, account directory.Account, credentials []directory.Credential, d *decision) ([]string, error) {
	p, err := j.Rules.Current(ctx)
	if err != nil {
		return nil, err
	}
	d.fresh = j.lacksTwoFactors(credentials)
	verdict := p.Decide(j.facts(at, app, account, d.fresh))
	d.requirement = verdict.Requirement
	for _, r := range verdict.Reasons {
		d.rules = append(d.rules, r.Rule)
	}
	if at.Raise != nil {
		d.requirement = assurance.And(d.requirement, *at.Raise)
	}
	if beside := j.beside(app, at.Action, credentials); beside != nil {
		d.requirement = assurance.And(d.requirement, *beside)
	}
	return verdict.Refuse, nil
}

// beside is what the engine demands beside policy, and nil where that is
// nothing: a passkey shown just now for approving what happens elsewhere, two codes
// for getting back in by them, and for changing authenticators as much as the account can show already.
func (j *judge) beside(app application.Application, action string, credentials []directory.Credential) *assurance.Requirement {
	var r assurance.Requirement
	switch {
	case action == Approve && app.Name == Self:
		r = assurance.Phishing().Within(approvalFresh)
	case action == Recover && app.Name == Self:
		r = assurance.RecoveryCodes().Within(j.Limits.Attempt)
	case changesAuthenticators(action):
		r = j.asMuchAsCanBeShown(credentials)
	default:
		return nil
	}
	return &r
}

// changesAuthenticators lists the actions after which somebody could sign in
// who could not before, or the other way round.
func changesAuthenticators(action string) bool {
	return action == "authenticator.enroll" || action == "authenticator.remove" || action == "authenticator.pin"
}

// lacksTwoFactors reports whether these authenticators together are not enough.
func (j *judge) lacksTwoFactors(credentials []directory.Credential) bool {
	return !assurance.TwoFactors().Met(directory.CouldShow(credentials, j.Now()), j.Now())
}

// asMuchAsCanBeShown is what changing authenticators demands beyond policy: the
// strongest that the account can show, or a pass that another person issued,
// with the password where there is one. Whoever has no two factors needs the pass:
// the password as well, unless it was set in the same set-up.
func (j *judge) asMuchAsCanBeShown(credentials []directory.Credential) assurance.Requirement {
	now := j.Now()
	settled := slices.DeleteFunc(slices.Clone(credentials), func(c directory.Credential) bool { return now.Before(c.Quarantine) })
	all := directory.CouldShow(settled, now)
	pass := assurance.AccessPass()
	if assurance.Union(all).Has(assurance.Known) {
		pass = assurance.And(pass, assurance.Need(assurance.Known))
	}
	for _, strong := range []assurance.Requirement{assurance.Phishing(), assurance.TwoFactors()} {
		if strong.Met(all, now) {
			return strong.Or(pass)
		}
	}
	if KnownBefore(settled, now) {
		return pass
	}
	return assurance.AccessPass()
}

// KnownBefore reports whether one of an account's authenticators is something known
// that is older than any pass which is still good: it is asked for beside a pass,
// which stands in for what is held only.
func KnownBefore(credentials []directory.Credential, now time.Time) bool {
	return slices.ContainsFunc(credentials, func(c directory.Credential) bool {
		return c.Status == directory.CredentialActive && c.Traits.Has(assurance.Known) && now.Sub(c.Created) > PassCeiling && !now.Before(c.Quarantine)
	})
}

// PassCeiling is for how long a temporary access pass is good at most, and so for
// how long whoever began with one can be setting up.
const PassCeiling = 8 * time.Hour

// privileged says whether a new authenticator in quarantine counts: not for
// what changes the system or who can get in.
func privileged(at *attempt, app application.Application) bool {
	if app.Tier == application.ControlPlane {
		return true
	}
	return at.Action != SignIn
}

// usable are the credentials that could count here.
func (j *judge) usable(at *attempt, app application.Application, credentials []directory.Credential, refused []string) []directory.Credential {
	now := j.Now()
	var out []directory.Credential
	for _, c := range credentials {
		if slices.Contains(refused, c.Kind) || privileged(at, app) && now.Before(c.Quarantine) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// counting is the evidence that counts: of this account, from an authenticator
// that is still usable, not bound to another action, and what the application
// vouches for once something of ours was shown.
func counting(at *attempt, app application.Application, held []assurance.Evidence, usable []directory.Credential, refused []string) []assurance.Evidence {
	var out []assurance.Evidence
	for _, list := range [][]assurance.Evidence{held, at.Evidence} {
		for _, ev := range list {
			alive := slices.ContainsFunc(usable, func(c directory.Credential) bool { return c.ID == ev.Credential && c.Kind == ev.Kind })
			// A pass is used up by its one use; what it showed lives until its end.
			ev = withoutLostPIN(ev, usable)
			if ev.Account == at.Account && (alive || ev.Traits.Has(assurance.Vouched)) && !slices.Contains(refused, ev.Kind) {
				out = assurance.Append(out, ev)
			}
		}
	}
	if app.Vouches == application.VouchesPassword && len(at.Evidence) > 0 {
		out = assurance.Append(out, assurance.Evidence{
			Account: at.Account, Kind: "vouched-password", Traits: assurance.Known,
			Time: assurance.Latest(at.Evidence), Channel: at.Protocol, Bound: app.Name,
		})
	}
	return out
}

// withoutLostPIN is evidence without what a PIN showed that its authenticator has
// not any more, because an administrator replaced it.
func withoutLostPIN(ev assurance.Evidence, usable []directory.Credential) assurance.Evidence {
	if ev.Traits.Has(assurance.Held | assurance.Known) {
		has := func(c directory.Credential) bool { return c.ID == ev.Credential && c.Traits.Has(assurance.Known) }
		if !slices.ContainsFunc(usable, has) {
			ev.Traits &^= assurance.Known
		}
	}
	return ev
}

// firstQuestions are those for somebody who has shown nothing: the same for
// every name, whether anybody has it or not.
func (j *judge) firstQuestions(at *attempt) decision {
	d := decision{reason: "nothing-to-ask"}
	if at.Action == Recover {
		return j.firstOfRecovery(at)
	}
	for _, a := range j.Authenticators {
		desc := a.Describe()
		opens := desc.Traits&(assurance.Known|assurance.PhishingResistant|assurance.Vouched) != 0
		if desc.Traits.Has(assurance.Held) && !desc.Traits.Has(assurance.PhishingResistant) {
			opens = false // a code, whether or not some have a PIN in front
		}
		if desc.First && opens && at.Medium&desc.Media != 0 && (at.Name != "" || at.browser()) {
			d.kinds = append(d.kinds, desc.Kind)
		}
	}
	if !at.browser() && slices.Contains(d.kinds, "password") {
		d.kinds = []string{"password"} // a typed line asks for one thing
	}
	if len(d.kinds) > 0 && at.Medium&(prompt.Line|prompt.Browser) != 0 {
		d.state = Ask
	}
	return d
}

// firstOfRecovery asks whoever gets back in by codes for a saved one, and not first
// for one that is sent: a stranger causes no mail.
func (j *judge) firstOfRecovery(at *attempt) decision {
	for _, a := range j.Authenticators {
		if desc := a.Describe(); desc.Traits.Has(assurance.Recovery) && at.Name != "" && at.browser() {
			return decision{state: Ask, kinds: []string{desc.Kind}}
		}
	}
	return decision{reason: "nothing-to-ask"}
}

// recoversByCodes reports whether both codes that get somebody back in are to be had
// here at all: the one by mail takes a mail server.
func (j *judge) recoversByCodes() bool {
	now, all := j.Now(), []assurance.Evidence{}
	for i, a := range j.Authenticators {
		desc := a.Describe()
		all = append(all, assurance.Evidence{Account: 1, Kind: desc.Kind, Credential: assurance.CredentialID(i + 1), Traits: desc.Traits, Time: now})
	}
	return assurance.RecoveryCodes().Met(all, now)
}

// choose picks what to ask for: every usable authenticator that helps on a way
// which can be walked to its end.
func (j *judge) choose(at *attempt, missing []assurance.Missing, usable []directory.Credential, d *decision) {
	d.reason = "nothing-enrolled"
	d.public = "You need another way to sign in here, and none is set up. Ask an administrator for a temporary access pass."
	if at.Action == Recover {
		d.public = "That takes a code by mail as well, and no address is set up for it, or only since yesterday. Call your help desk."
	}
	if at.Medium&(prompt.Line|prompt.Browser) == 0 {
		d.reason, d.public = "cannot-ask-here", ""
		return
	}
	playable := slices.DeleteFunc(slices.Clone(usable), func(c directory.Credential) bool {
		how := j.kinds[c.Kind]
		_, remote := how.(authenticator.Approver)
		return how == nil || remote || how.Describe().Media&at.Medium == 0
	})
	var could, want assurance.Trait
	for _, c := range playable {
		could |= c.Traits
	}
	elsewhere := j.transferable(at, usable)
	could |= elsewhere
	for _, m := range missing {
		if lacks := m.Absent | m.Stale; could.Has(lacks) {
			want |= lacks
		}
	}
	if want == 0 {
		return
	}
	d.credentials = map[string][]directory.Credential{}
	for _, c := range playable {
		if c.Traits&want != 0 {
			d.credentials[c.Kind] = append(d.credentials[c.Kind], c)
		}
	}
	for _, a := range j.Authenticators {
		if kind := a.Describe().Kind; len(d.credentials[kind]) > 0 {
			d.kinds = append(d.kinds, kind)
		}
	}
	if elsewhere&want != 0 {
		d.kinds = append(d.kinds, Elsewhere)
	}
	if len(d.kinds) > 0 {
		d.state, d.reason, d.public = Ask, "", ""
	}
}

// transferable is what an approval on another device could show here: what the
// account's passkeys show, without their resistance to phishing, and what its
// apps show. It takes a medium on which a number can be shown first, and somebody
// who has shown something already, so that a stranger causes nothing. What is in
// quarantine approves nothing.
func (j *judge) transferable(at *attempt, usable []directory.Credential) assurance.Trait {
	if at.Medium&(prompt.Display|prompt.Browser) == 0 || len(at.Evidence) == 0 || at.Action == Approve {
		return 0
	}
	var t assurance.Trait
	for _, c := range usable {
		_, app := j.kinds[c.Kind].(authenticator.Approver)
		if (app || c.Traits.Has(assurance.Held|assurance.PhishingResistant)) && !j.Now().Before(c.Quarantine) {
			t |= c.Traits &^ assurance.PhishingResistant
		}
	}
	return t
}

// facts are what policy may read of an attempt. fresh says that the account
// cannot show two factors yet.
func (j *judge) facts(at *attempt, app application.Application, account directory.Account, fresh bool) policy.Facts {
	now := j.Now()
	return policy.Facts{
		Account: policy.Account{
			Name: account.Name, Kind: account.Kind, Groups: account.Groups, Privileged: account.Privileged,
			Dormant:   account.Idle(now) > j.Limits.Dormant,
			AtRisk:    !account.Risk.IsZero(),
			New:       fresh,
			Suspended: account.State != directory.Active,
		},
		Application: policy.Application{Name: app.Name, Kind: app.Kind, Tier: app.Tier, Protocol: app.Protocol},
		Protocol:    at.Protocol, Action: at.Action, Reads: app.Name == Self && slices.Contains(j.Reading, at.Action), Method: at.Method, Path: at.Path,
		Source: at.Source.Unmap(), Now: now,
	}
}

// application returns what is to be signed in to; Countersign itself is built in.
func (j *judge) application(ctx context.Context, name string) (application.Application, error) {
	if name == Self {
		return ourselves(), nil
	}
	a, err := j.Applications.Get(ctx, name)
	if failure.ClassOf(err) == failure.NotFound {
		return a, failure.Refuse("unknown-application", bland)
	}
	return a, err
}

// ourselves is Countersign as an application.
func ourselves() application.Application {
	return application.Application{Name: Self, Title: "Countersign", Kind: "directory", Tier: application.Standard, Protocol: "browser"}
}
