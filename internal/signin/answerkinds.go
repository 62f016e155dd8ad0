package signin

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// candidates narrows an answer for any code to the kinds whose codes look like it
// and that the account has. Somebody without any is compared with the first.
func (x *examiner) candidates(ctx context.Context, r store.Reader, at *attempt, answer prompt.Answer, opening bool) ([]string, error) {
	shaped, sure := x.candidatesByForm(at, answer, opening)
	if sure {
		return shaped, nil
	}
	account, err := x.claimed(ctx, r, at)
	if err != nil || account.ID == 0 {
		return shaped[:min(1, len(shaped))], err
	}
	credentials, err := x.accounts.credentialsOf(ctx, r, at, account.ID)
	if err != nil {
		return nil, err
	}
	var enrolled []string
	for _, kind := range shaped {
		for _, c := range credentials {
			if c.Kind == kind && c.Status == directory.CredentialActive {
				enrolled = append(enrolled, kind)
				break
			}
		}
	}
	if len(enrolled) == 0 {
		return shaped[:min(1, len(shaped))], nil
	}
	return enrolled, nil
}

// candidatesByForm narrows an answer to the kinds whose codes look like it, without
// looking at anybody. It is sure when there was nothing to narrow down.
func (x *examiner) candidatesByForm(at *attempt, answer prompt.Answer, opening bool) (kinds []string, sure bool) {
	all := x.kindsFor(at, answer, opening)
	if len(all) <= 1 {
		return all, true
	}
	for _, kind := range all {
		if d, ok := x.kinds[kind].(authenticator.Discoverer); ok {
			if _, names := d.Discover(answer); names {
				return []string{kind}, true
			}
			continue // its answers name their own
		}
		if x.digits[kind] == numeric(answer.Text) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, false
}

// ofDigits returns of which kinds that can be typed the answer is digits.
func ofDigits(all []authenticator.Authenticator, now time.Time) (map[string]bool, error) {
	digits := map[string]bool{}
	for _, a := range all {
		if _, names := a.(authenticator.Discoverer); names || a.Describe().Media&typedMedia == 0 {
			continue
		}
		p, _, err := a.Ask(nil, now)
		if err != nil {
			return nil, err
		}
		digits[a.Describe().Kind] = p.Digits > 0
	}
	return digits, nil
}

// typedMedia are those of which all that somebody types is a text.
const typedMedia = prompt.Line | prompt.Single

// numeric reports whether a text looks like one or two codes of digits.
func numeric(s string) bool {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsDigit(r) || unicode.IsSpace(r) }) == ""
}

// kindsFor says which authenticators an answer may be for, in order: those that are
// meant by it, and whose answers its medium can carry at all.
func (x *examiner) kindsFor(at *attempt, answer prompt.Answer, opening bool) []string {
	return slices.DeleteFunc(x.meant(at, answer, opening), func(name string) bool {
		k, known := x.setting.kind(name)
		return !known || !k.answersBy(at.Medium)
	})
}

func (x *examiner) meant(at *attempt, answer prompt.Answer, opening bool) []string {
	switch {
	case answer.Authenticator == "" || answer.Authenticator == AnyCode && !opening:
		var out []string
		for _, a := range at.Asked {
			if how := x.kinds[a.Kind]; how != nil && how.Describe().Media&typedMedia != 0 {
				out = append(out, a.Kind)
			}
		}
		return out
	case answer.Authenticator == AnyCode:
		var out []string
		for _, how := range x.order {
			// What nobody can type unasked is not meant: it answers a challenge.
			if d := how.Describe(); d.Media.Can(prompt.Single) && d.Traits.Has(assurance.Held) && mayOpen(at, d) {
				out = append(out, d.Kind)
			}
		}
		return out
	case opening:
		if how := x.kinds[answer.Authenticator]; how == nil || !mayOpen(at, how.Describe()) {
			return nil
		}
		return []string{answer.Authenticator}
	case at.wasAsked(answer.Authenticator):
		return []string{answer.Authenticator}
	}
	return nil
}

// mayOpen reports whether an answer of this kind may come unasked. Codes are worth
// something only behind what stands before them: a password, or a PIN in the same line
// ([candidate.restrictFirst]). Whoever has not shown that guesses at nothing, and the owner does
// not pay.
func mayOpen(at *attempt, d authenticator.Description) bool {
	switch {
	case !at.showsNothing():
		return true
	case at.Action == Recover:
		return d.Traits.Has(assurance.Recovery)
	}
	return d.First && (opensWith(d.Traits) || withPIN(d.Traits))
}

// showsNothing reports whether nothing is known to stand before an answer of this turn.
func (at *attempt) showsNothing() bool {
	return !at.CodeAlone && !at.proved && len(at.Evidence) == 0 && at.Account == 0
}

// withPIN reports whether a code of these traits has a PIN in front.
func withPIN(t assurance.Trait) bool {
	return t.Has(assurance.Held|assurance.Known) && !t.Has(assurance.PhishingResistant)
}

// restrictFirst drops the credentials that a first answer cannot be for, and says so where
// none are left: those whose codes have nothing in front.
func (q *candidate) restrictFirst(at *attempt) {
	d := q.how.Describe()
	if !at.showsNothing() || at.Action == Recover || opensWith(d.Traits) {
		return
	}
	q.credentials = slices.DeleteFunc(q.credentials, func(c directory.Credential) bool { return !withPIN(c.Traits) })
	if len(q.credentials) == 0 {
		q.refusal = "not-asked"
	}
}

// opensWith reports whether these traits can be the first that somebody shows whose name
// alone is known: a code is not, whether or not some have a PIN in front.
func opensWith(t assurance.Trait) bool {
	code := t.Has(assurance.Held) && !t.Has(assurance.PhishingResistant)
	return !code && t&(assurance.Known|assurance.PhishingResistant|assurance.Vouched) != 0
}
