package signin

import (
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/policy"
)

// demand asks policy, and adds what only raises: the client's wish, what the engine demands
// beside, and something held of the account's own beside a link that nobody has confirmed.
// It returns the kinds that policy refuses.
func (m *matter) demand(d *decision) (refused []string) {
	d.fresh = directory.LacksTwoFactors(m.credentials, m.now)
	facts := m.facts(m.account, d.fresh)
	refused = d.ask(m.policy, facts)
	if m.application.Name == Self {
		for _, part := range m.comprising[m.Action] {
			facts.Action, facts.Reads = part, slices.Contains(m.reading, part)
			whole := d.requirement
			refused = append(refused, d.ask(m.policy, facts)...)
			d.requirement = assurance.And(whole, d.requirement)
		}
	}
	if m.Raise != nil {
		d.requirement = assurance.And(d.requirement, *m.Raise)
	}
	for _, beside := range []*assurance.Requirement{m.engineRequirement(), ownFactor(m)} {
		if beside != nil {
			d.requirement = assurance.And(d.requirement, *beside)
		}
	}
	if assurance.Union(slices.Concat(m.held, m.shown)).Has(assurance.Tentative) {
		d.requirement = assurance.And(d.requirement, assurance.Need(assurance.Held))
	}
	return refused
}

// ask asks policy about these facts. It returns the kinds that policy refuses.
func (d *decision) ask(p *policy.Policy, f policy.Facts) (refused []string) {
	verdict := p.Decide(f)
	d.requirement = verdict.Requirement
	for _, r := range verdict.Reasons {
		if !slices.Contains(d.rules, r.Rule) {
			d.rules = append(d.rules, r.Rule)
		}
		d.ruled = d.ruled || r.Rule != "" && strings.HasPrefix(r.Effect, "deny: ")
	}
	return slices.Clone(verdict.Refuse)
}

// facts are what policy may read of a request by an account. fresh says that the
// account cannot show two factors yet.
func (m *matter) facts(account directory.Account, fresh bool) policy.Facts {
	return policy.Facts{
		Account: policy.Account{
			Name: account.Name, Kind: account.Kind, Groups: account.Groups, Privileged: account.Guarded(),
			Dormant:   account.Idle(m.now) > m.limits.Dormant,
			AtRisk:    !account.Risk.IsZero(),
			New:       fresh,
			Suspended: account.State != directory.Active,
		},
		Application: policy.Application{Name: m.application.Name, Kind: m.application.Kind, Tier: m.application.Tier, Protocol: m.application.Protocol},
		Protocol:    m.Protocol, Action: m.Action, Reads: m.application.Name == Self && slices.Contains(m.reading, m.Action), Method: m.Method, Path: m.Path,
		Source: m.Source.Unmap(), Bound: m.bound, Now: m.now,
	}
}

// engineRequirement is what the engine demands beside policy, and nil where that is
// nothing: a passkey shown just now for approving what happens elsewhere, two codes
// for getting back in by them, and for changing authenticators as much as the account can show already.
func (m *matter) engineRequirement() *assurance.Requirement {
	var r assurance.Requirement
	switch {
	case m.Action == Approve && m.application.Name == Self:
		r = assurance.Phishing().Within(approval.Fresh)
	case m.Action == Recover && m.application.Name == Self:
		r = assurance.RecoveryCodes().Within(m.limits.Attempt)
	case changesAuthenticators(m.Action):
		r = m.asMuchAsCanBeShown()
		if m.makesAppPassword() {
			r = assurance.And(r, forAppPassword())
		}
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

// asMuchAsCanBeShown is what changing authenticators demands beyond policy: the
// strongest that the account can show, or a pass that another person issued, and
// beside that what the pass does not stand in for. Where nothing is left of what the
// account had, a pass is not enough.
func (m *matter) asMuchAsCanBeShown() assurance.Requirement {
	all := directory.CouldShow(m.settled(), m.now)
	r := proofForPass(directory.ProofRequired(m.credentials, directory.WordGiven(m.credentials, m.now), m.now))
	if assurance.Union(all).Has(assurance.Known) && assurance.TwoFactors().Met(all, m.now) {
		r = assurance.And(r, assurance.Need(assurance.Known))
	}
	for _, strong := range []assurance.Requirement{assurance.Phishing(), assurance.TwoFactors()} {
		if strong.Met(all, m.now) {
			return strong.Or(r)
		}
	}
	return r
}

// proofForPass is a pass with what is required in addition to it.
func proofForPass(b directory.Proof) assurance.Requirement {
	pass := assurance.AccessPass()
	switch b {
	case directory.ProofNone:
		return pass
	case directory.ProofKnown:
		return assurance.And(pass, assurance.Need(assurance.Known))
	case directory.ProofHeld:
		return assurance.And(pass, assurance.Need(assurance.Held))
	}
	return assurance.Deny(NeedsSecond)
}

// NeedsSecond is why a pass leads nowhere for who had two factors of which nothing
// can be asked for any more.
const NeedsSecond = "second-person"

// PassCeiling is for how long a temporary access pass is good at most, and so for
// how long whoever began with one can be setting up.
const PassCeiling = 8 * time.Hour

// ourselves is Countersign as an application.
func ourselves() application.Application {
	return application.Application{Name: Self, Title: "Countersign", Kind: "directory", Tier: application.Standard, Protocol: "browser"}
}
