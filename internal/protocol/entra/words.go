package entra

import (
	"slices"

	"countersign/internal/assurance"
)

// possible are the classes (acr) of which a factor that its owner holds can say that it is one,
// by Microsoft's table "Supported acr claims". What asks for knowledge or inherence alone cannot be
// said here: a device that checks its owner does not tell by what.
var possible = []string{"possession", "possessionorinherence", "knowledgeorpossession", "knowledgeorpossessionorinherence"}

// classOf is the first of the classes asked for that can be said; empty where none can.
func classOf(asked []string) string {
	for _, a := range asked {
		if slices.Contains(possible, a) {
			return a
		}
	}
	return ""
}

// methodOf is what the request calls the factor that was shown: one word of those that it asks
// for, which is true of the evidence; empty where there is none. Only what its owner holds counts,
// because the password was Entra's to ask. Each word that is tried is a kind of possession in
// Microsoft's table "Supported amr claims".
func methodOf(asked []string, evidence []assurance.Evidence, method func(kind string) string) string {
	for _, strong := range []bool{true, false} {
		for _, e := range slices.Backward(evidence) {
			if !e.Traits.Has(assurance.Held) || e.Traits.Has(assurance.PhishingResistant) != strong {
				continue
			}
			for _, word := range wordsOf(e, method(e.Kind)) {
				if slices.Contains(asked, word) {
					return word
				}
			}
		}
	}
	return ""
}

// wordsOf are the words that are true of a factor, the best first. own is the word of its kind
// (RFC 8176), where it has one.
func wordsOf(e assurance.Evidence, own string) []string {
	switch {
	case e.Traits.Has(assurance.Recovery) || e.Traits.Has(assurance.Mailed) || e.Traits.Has(assurance.Delegated) || e.Traits.Has(assurance.Vouched):
		return nil // Entra has no word for them
	case own == "sc":
		return []string{"sc"}
	case own == "sms":
		return []string{"sms"}
	case own != "":
		return nil
	case e.Traits.Has(assurance.PhishingResistant | assurance.HardwareBound):
		return []string{"fido", "hwk", "pop"}
	case e.Traits.Has(assurance.PhishingResistant):
		return []string{"fido", "swk", "pop"}
	}
	return []string{"otp"}
}
