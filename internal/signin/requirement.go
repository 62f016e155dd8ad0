package signin

import (
	"slices"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/policy"
)

// demand asks policy, and adds what only raises: the client's wish, and what the
// engine demands beside. It returns the kinds that policy refuses.
func (m *matter) demand(d *decision) (refused []string) {
	d.fresh = lacksTwoFactors(active(m.credentials), m.now)
	verdict := m.policy.Decide(m.facts(m.account, d.fresh))
	d.requirement = verdict.Requirement
	for _, r := range verdict.Reasons {
		d.rules = append(d.rules, r.Rule)
	}
	if m.Raise != nil {
		d.requirement = assurance.And(d.requirement, *m.Raise)
	}
	if beside := m.beside(); beside != nil {
		d.requirement = assurance.And(d.requirement, *beside)
	}
	return verdict.Refuse
}

// facts are what policy may read of a request by an account. fresh says that the
// account cannot show two factors yet.
func (m *matter) facts(account directory.Account, fresh bool) policy.Facts {
	return policy.Facts{
		Account: policy.Account{
			Name: account.Name, Kind: account.Kind, Groups: account.Groups, Privileged: account.Privileged,
			Dormant:   account.Idle(m.now) > m.limits.Dormant,
			AtRisk:    !account.Risk.IsZero(),
			New:       fresh,
			Suspended: account.State != directory.Active,
		},
		Application: policy.Application{Name: m.application.Name, Kind: m.application.Kind, Tier: m.application.Tier, Protocol: m.application.Protocol},
		Protocol:    m.Protocol, Action: m.Action, Reads: m.application.Name == Self && slices.Contains(m.reading, m.Action), Method: m.Method, Path: m.Path,
		Source: m.Source.Unmap(), Now: m.now,
	}
}

// beside is what the engine demands beside policy, and nil where that is
// nothing: a passkey shown just now for approving what happens elsewhere, two codes
// for getting back in by them, and for changing authenticators as much as the account can show already.
func (m *matter) beside() *assurance.Requirement {
	var r assurance.Requirement
	switch {
	case m.Action == Approve && m.application.Name == Self:
		r = assurance.Phishing().Within(approvalFresh)
	case m.Action == Recover && m.application.Name == Self:
		r = assurance.RecoveryCodes().Within(m.limits.Attempt)
	case changesAuthenticators(m.Action):
		r = asMuchAsCanBeShown(active(m.credentials), m.now)
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
func lacksTwoFactors(credentials []directory.Credential, now time.Time) bool {
	return !assurance.TwoFactors().Met(directory.CouldShow(credentials, now), now)
}

// asMuchAsCanBeShown is what changing authenticators demands beyond policy: the
// strongest that the account can show, or a pass that another person issued,
// with the password where there is one. Whoever has no two factors needs the pass:
// the password as well, unless it was set in the same set-up.
func asMuchAsCanBeShown(credentials []directory.Credential, now time.Time) assurance.Requirement {
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

// ourselves is Countersign as an application.
func ourselves() application.Application {
	return application.Application{Name: Self, Title: "Countersign", Kind: "directory", Tier: application.Standard, Protocol: "browser"}
}
