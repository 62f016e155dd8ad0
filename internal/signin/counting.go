package signin

import (
	"slices"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// privileged reports whether a request is one for which an authenticator in
// quarantine does not count: what changes the system or who can get in. To sign in
// to an ordinary application a new one will do.
func (m *matter) privileged() bool {
	if m.application.Tier == application.ControlPlane {
		return true
	}
	return m.Action != SignIn
}

// usable are the credentials that could count here.
func (m *matter) usable(refused []string) []directory.Credential {
	return slices.DeleteFunc(m.settled(), func(c directory.Credential) bool { return slices.Contains(refused, c.Kind) })
}

// settled are the active credentials that quarantine does not keep from counting, without
// links that are not confirmed.
func (m *matter) settled() []directory.Credential {
	return slices.DeleteFunc(active(m.credentials), func(c directory.Credential) bool { return !m.ripe(c) || c.Traits.Has(assurance.Tentative) })
}

// ripe reports whether quarantine does not keep a credential from counting here. A
// new password counts for what is its owner's own: it adds nothing to what whoever
// made it could show, and without it they could not even say that it was not them.
//
// What another identity provider says counts for nobody who is privileged: whoever runs that
// provider would administer with them.
func (m *matter) ripe(c directory.Credential) bool {
	if c.Traits.Has(assurance.Foreign) && m.account.Privileged {
		return false
	}
	if !m.privileged() || !m.now.Before(c.Quarantine) {
		return true
	}
	password := c.Traits.Has(assurance.Known) && !c.Traits.Has(assurance.Held)
	return password && m.application.Name == Self && !administers(m.Action)
}

// couldCome reports whether a piece of this attempt's evidence can have come by its
// medium at all. What cannot be asked for here does not count here, whoever put it
// there.
func (m *matter) couldCome(ev assurance.Evidence) bool {
	k, known := m.kind(ev.Kind)
	switch {
	case !known:
		return false
	case ev.OutOfBand, k.remote:
		return m.showsNumbers()
	case m.delegated:
		return k.Media.Can(prompt.API)
	}
	return k.answersBy(m.Medium)
}

// couldBeHeld reports whether evidence can be a session's. Sessions begin on pages
// and on terminals, so that what comes with a program's request is in none.
func (m *matter) couldBeHeld(ev assurance.Evidence) bool {
	k, known := m.kind(ev.Kind)
	return known && (k.remote || k.answersBy(prompt.Browser|prompt.Line))
}

// counting is the evidence that counts, and what the application vouches for once
// something of ours was shown.
func (m *matter) counting(usable []directory.Credential, refused []string) []assurance.Evidence {
	var out []assurance.Evidence
	add := func(list []assurance.Evidence, possible func(assurance.Evidence) bool) {
		for _, ev := range list {
			if ev = withoutLostPIN(ev, usable); possible(ev) && m.counts(ev, refused) {
				out = assurance.Append(out, ev)
			}
		}
	}
	add(m.held, m.couldBeHeld)
	add(m.shown, m.couldCome)
	if m.application.Vouches == application.VouchesPassword && len(m.shown) > 0 {
		out = assurance.Append(out, assurance.Evidence{
			Account: m.account.ID, Kind: "vouched-password", Traits: assurance.Known,
			Time: assurance.Latest(m.shown), Channel: m.Protocol, Bound: m.application.Name,
		})
	}
	return out
}

// counts reports whether a piece of evidence counts here: it is this account's, for
// this act or for none in particular, shown since the moment that is asked for, of a kind
// that policy accepts, and it is still valid.
func (m *matter) counts(ev assurance.Evidence, refused []string) bool {
	return !ev.Time.Before(m.Since) && ev.Account == m.account.ID && (ev.Act == "" || ev.Act == m.act()) && !slices.Contains(refused, ev.Kind) && m.valid(ev)
}

// valid reports whether the credential that gave a piece of evidence is still its owner's.
// The evidence ends with the credential: when it is removed, replaced or switched off. If
// giving the evidence used the credential up, as it does a pass, the evidence is valid
// until something else ends the credential.
func (m *matter) valid(ev assurance.Evidence) bool {
	return slices.ContainsFunc(m.credentials, func(c directory.Credential) bool {
		if c.ID != ev.Credential || c.Kind != ev.Kind || !m.ripe(c) {
			return false
		}
		return c.Status == directory.CredentialActive || c.Status == directory.CredentialUsedUp && !ev.Time.Before(c.Used)
	})
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
