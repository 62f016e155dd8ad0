package signin

import (
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// firstQuestions are those for somebody who has shown nothing: the same for
// every name, whether anybody has it or not.
func (m *matter) firstQuestions() decision {
	d := decision{reason: "nothing-to-ask"}
	if m.Action == Recover {
		return m.firstOfRecovery()
	}
	for _, k := range m.kinds {
		if k.First && opensWith(k.Traits) && k.answersBy(m.Medium) && (m.Name != "" || m.browser()) {
			d.kinds = append(d.kinds, k.Kind)
		}
	}
	if known := slices.IndexFunc(m.kinds, func(k kind) bool { return k.Traits.OnlyKnown() && slices.Contains(d.kinds, k.Kind) }); known >= 0 && !m.browser() {
		d.kinds = []string{m.kinds[known].Kind} // a typed line asks for one thing
	}
	if len(d.kinds) > 0 && m.Medium&(prompt.Line|prompt.Browser) != 0 {
		d.state = Ask
	}
	return d
}

// firstOfRecovery asks whoever gets back in by codes for a saved one, and not first
// for one that is sent: a stranger causes no mail.
func (m *matter) firstOfRecovery() decision {
	for _, k := range m.kinds {
		if k.Traits.Has(assurance.Recovery) && m.Name != "" && m.browser() {
			return decision{state: Ask, kinds: []string{k.Kind}}
		}
	}
	return decision{reason: "nothing-to-ask"}
}

// recoversByCodes reports whether both codes that get somebody back in are to be had
// here at all: the one by mail takes a mail server.
func (s *setting) recoversByCodes() bool {
	var all []assurance.Evidence
	for i, k := range s.kinds {
		all = append(all, assurance.Evidence{Account: 1, Kind: k.Kind, Credential: assurance.CredentialID(i + 1), Traits: k.Traits, Time: time.Unix(0, 0)})
	}
	return assurance.RecoveryCodes().Met(all, time.Unix(0, 0))
}

// choose picks what to ask for: every usable authenticator that helps on a way
// which can be walked to its end. A way may end on another device, which takes
// something that was shown here first.
func (m *matter) choose(missing []assurance.Missing, usable []directory.Credential, d *decision) {
	d.reason = nothingEnrolled
	if m.Medium&(prompt.Line|prompt.Browser) == 0 {
		d.reason = "cannot-ask-here"
		return
	}
	playable := playable(m, usable)
	elsewhere := m.transferable(usable)
	could := union(playable) | elsewhere
	opens := slices.DeleteFunc(slices.Clone(playable), func(c directory.Credential) bool { return c.Traits&(assurance.Known|assurance.Held) == 0 })
	if len(opens) > 0 {
		could |= afterSomething(m).transferable(usable)
	}
	var want assurance.Trait
	for _, way := range missing {
		if lacks := way.Absent | way.Stale; could.Has(lacks) {
			want |= lacks
		}
	}
	if want == 0 {
		d.wants, d.usable = least(missing, could), usable
		return
	}
	d.offer(m.kinds, slices.DeleteFunc(playable, func(c directory.Credential) bool { return c.Traits&want == 0 }))
	switch {
	case elsewhere&want != 0:
		d.kinds = append(d.kinds, OutOfBand)
	case len(d.kinds) == 0: // the rest is elsewhere, behind any of these
		d.offer(m.kinds, opens)
	}
	if len(d.kinds) > 0 {
		d.state, d.reason = Ask, ""
	}
}

// playable are those of the credentials that are answered by this medium itself.
func playable(m *matter, usable []directory.Credential) []directory.Credential {
	return slices.DeleteFunc(slices.Clone(usable), func(c directory.Credential) bool {
		k, known := m.kind(c.Kind)
		return !known || !k.answersBy(m.Medium)
	})
}

// union is all that these could show.
func union(credentials []directory.Credential) (t assurance.Trait) {
	for _, c := range credentials {
		t |= c.Traits
	}
	return t
}

// offer has these asked for, in the order of their kinds.
func (d *decision) offer(kinds []kind, of []directory.Credential) {
	d.credentials = map[string][]directory.Credential{}
	for _, c := range of {
		d.credentials[c.Kind] = append(d.credentials[c.Kind], c)
	}
	for _, k := range kinds {
		if len(d.credentials[k.Kind]) > 0 {
			d.kinds = append(d.kinds, k.Kind)
		}
	}
}

// afterSomething is the same matter once something was shown here. It counts for nothing.
func afterSomething(m *matter) *matter {
	after := *m
	after.shown = append(slices.Clone(m.shown), assurance.Evidence{})
	return &after
}

// showsNumbers reports whether the medium can show what is typed elsewhere.
func (m *matter) showsNumbers() bool { return m.Medium&(prompt.Display|prompt.Browser) != 0 }

// transferable is what an approval on another device could show here: what the
// account's passkeys show, without their resistance to phishing, and what its
// apps show. It takes a medium on which a number can be shown first, and somebody
// who has shown something already, so that a stranger causes nothing. What is in
// quarantine approves nothing.
func (m *matter) transferable(usable []directory.Credential) assurance.Trait {
	if !m.showsNumbers() || len(m.shown) == 0 || m.Action == Approve {
		return 0
	}
	var t assurance.Trait
	for _, c := range usable {
		k, _ := m.kind(c.Kind)
		if (k.remote || c.Traits.Has(assurance.Held|assurance.PhishingResistant)) && !m.now.Before(c.Quarantine) {
			t |= c.Traits &^ assurance.PhishingResistant
		}
	}
	return t
}
