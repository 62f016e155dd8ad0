package signin

import (
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// Reach is the most that anybody could show at an application by a medium: what somebody would who
// has an authenticator of every kind, with all that its kind can have, except those that are refused.
// What this does not meet, nobody meets there. It reads no account.
type Reach func(app application.Application, medium prompt.Medium, refused []string) []assurance.Evidence

// ReachOf is the Reach of an installation with these authenticators.
func ReachOf(all []authenticator.Authenticator, now func() time.Time) Reach {
	s := &setting{}
	for _, a := range all {
		_, remote := a.(authenticator.Approver)
		s.kinds = append(s.kinds, kind{a.Describe(), remote})
	}
	return func(app application.Application, medium prompt.Medium, refused []string) []assurance.Evidence {
		return s.reach(app, medium, refused, now())
	}
}

func (s *setting) reach(app application.Application, medium prompt.Medium, refused []string, now time.Time) []assurance.Evidence {
	m := &matter{setting: s, Request: Request{Application: app.Name, Action: SignIn, Medium: medium}, now: now, application: app,
		account: directory.Account{ID: 1, Kind: directory.Person}}
	for i, k := range s.kinds {
		if k.Traits.Has(assurance.Delegated) {
			continue // a service's
		}
		m.credentials = append(m.credentials, directory.Credential{ID: assurance.CredentialID(i + 1), Account: 1, Kind: k.Kind, Status: directory.CredentialActive, Traits: atBest(k.Description)})
	}
	out := m.could(m.abilities(refused))
	if app.Vouches == application.VouchesPassword && len(out) > 0 {
		out = assurance.Append(out, assurance.Evidence{Account: 1, Kind: "password", Traits: assurance.Known, Time: now})
	}
	return out
}

// atBest is all that an authenticator of a kind can have: a PIN that we check beside what is
// typed, a device that checks the person, a key that cannot leave it.
func atBest(d authenticator.Description) assurance.Trait {
	t := d.Traits
	if t.Has(assurance.Held) && d.Guessable {
		t |= assurance.Known
	}
	if t.Has(assurance.PhishingResistant) {
		t |= assurance.UserVerified | assurance.HardwareBound
	}
	return t
}
