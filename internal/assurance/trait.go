// Package assurance says what has been shown, what must be shown, and what is
// still missing between the two.
//
// It owns the vocabulary of NIST SP 800-63B-4: [Trait], [Evidence],
// [Requirement], and the computed words that relying parties see (AAL, acr,
// amr). It does not know who anybody is, how anything is checked, or what time
// it is: the moment is always an argument. Its neighbours are policy, which
// writes Requirements, and signin, which appends Evidence.
//
// Its one invariant: enough is computed from the evidence each time and never
// stored, and whatever is zero is not enough.
package assurance

import (
	"fmt"
	"math/bits"
	"strings"
)

// Trait is one property of what was shown, as a bit. A set of traits is the
// union of its bits.
type Trait uint16

// The traits. Their text (see [Trait.String]) is stored and shown; a number is
// never written down, so the order here may change and the words may not.
const (
	// Known is a password: a password, a PIN that we check ourselves.
	Known Trait = 1 << iota
	// Held is control of a thing: a token, a key, a phone.
	Held
	// UserVerified is a check of the person by their own device (a biometric or
	// a local PIN) that the device vouched for in a signature. It counts as the
	// second factor of a multi-factor cryptographic authenticator.
	UserVerified
	// PhishingResistant is verifier-name or channel binding
	// (SP 800-63B-4 section 3.2.5). Nothing typed ever has it.
	PhishingResistant
	// HardwareBound is a private key that cannot be exported, as an attestation
	// or a cleared backup-eligible flag says.
	HardwareBound
	// Restricted marks authenticators with known weaknesses (SP 800-63B-4
	// section 3.2.9): SMS, voice, mail. Policy can refuse them; it never helps
	// to meet a Requirement.
	Restricted
	// Vouched is a temporary access pass: another person answered for this one.
	Vouched
	// Recovery is a saved recovery code. It is a held thing that its owner is
	// down to, so nothing that grants by itself accepts it as the only one.
	Recovery
	// Delegated is an automation key: an administrator approved in advance exactly
	// what it is used for. It says nothing of a person.
	Delegated
	// Mailed is a code that came by mail. It says that somebody reads an address,
	// and helps to meet nothing but [RecoveryCodes].
	Mailed
	// Foreign is the word of another organisation's identity provider. It helps to meet nothing,
	// and what has it counts for nobody who administers.
	Foreign
	// Asserted is that provider's word, where an administrator takes it, that it checked a second
	// factor. It helps to meet nothing but [TwoFactorsElsewhere].
	Asserted
	// Tentative marks what a rule linked to an account and its owner has not confirmed. It
	// helps to meet nothing, and the engine demands something held beside it.
	Tentative
	// AppPassword is a password for one device, which its owner made with two factors for one
	// service of one application. It helps to meet nothing but [DevicePassword].
	AppPassword

	traitCount = iota
)

var traitWords = [traitCount]string{
	"known", "held", "user-verified", "phishing-resistant", "hardware-bound",
	"restricted", "vouched", "recovery", "delegated", "mailed",
	"foreign", "asserted", "tentative", "app-password",
}

// Has reports whether t contains every bit of want.
func (t Trait) Has(want Trait) bool { return t&want == want }

// Count is how many traits the set has.
func (t Trait) Count() int { return bits.OnesCount16(uint16(t)) }

// OnlyKnown reports whether it is known and held by nothing: a password, and no PIN in
// front of a code.
func (t Trait) OnlyKnown() bool { return t.Has(Known) && !t.Has(Held) }

// String returns the words of the set, joined by "+"; "none" for the empty set.
func (t Trait) String() string {
	if t == 0 {
		return "none"
	}
	var words []string
	for i, w := range traitWords {
		if t&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return strings.Join(words, "+")
}

// ParseTrait reads what [Trait.String] writes. An unknown word is an error, so
// that a stored or configured typo never means "no traits".
func ParseTrait(s string) (Trait, error) {
	if s == "none" {
		return 0, nil
	}
	var t Trait
next:
	for word := range strings.SplitSeq(s, "+") {
		for i, w := range traitWords {
			if w == word {
				t |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("assurance: unknown trait %q", word)
	}
	return t, nil
}

// MarshalText and UnmarshalText store a set by its words.
func (t Trait) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (t *Trait) UnmarshalText(b []byte) error {
	p, err := ParseTrait(string(b))
	if err == nil {
		*t = p
	}
	return err
}

// each calls f for every single trait in the set.
func (t Trait) each(f func(i int, one Trait)) {
	for rest := t; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros16(uint16(rest))
		f(i, 1<<i)
	}
}
