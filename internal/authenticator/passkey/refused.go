package passkey

import (
	"countersign/internal/authenticator"
	"countersign/internal/language"
)

// Reasons of a refused enrollment beside those of a check.
const (
	reasonAlgorithm      = "wrong-algorithm"
	reasonDuplicate      = "already-enrolled"
	reasonBadAttestation = "wrong-attestation"
)

// advice is one sentence for the person on how to mend what was refused.
var advice = map[string]string{
	reasonMalformed:      "The reply could not be read; try again, or try another browser.",
	reasonStale:          "That took too long; please start again.",
	reasonChallenge:      "This reply belongs to another attempt; please start again.",
	reasonType:           "This reply belongs to another attempt; please start again.",
	reasonFramed:         "This page is shown inside another site; open it in a window of its own and try again.",
	reasonRelyingParty:   "This passkey was made for another site; please start again.",
	reasonPresent:        "The key did not notice you; touch it when it blinks, and try again.",
	reasonVerified:       "The key did not check that it is you; set a PIN or a fingerprint on it, and try again.",
	reasonBackup:         "The key contradicts itself about backups; try another one.",
	reasonAlgorithm:      "This key signs in a way that is not accepted here; try another one.",
	reasonDuplicate:      "This passkey is on your account already.",
	reasonBadAttestation: "The key's proof of its make is not valid; try again, or try another key.",
	reasonAttestation:    "Only keys whose maker vouches for them are accepted here; use a company security key, and let the browser see its make and model.",
	reasonModel:          "This make of key is not accepted here; ask your administrator which ones are.",
	reasonSynced:         "Passkeys that are copied between devices are not accepted here; use a security key or one that stays on its device.",
	reasonRevoked:        "This make of key has a known weakness and is not accepted; use another one.",
}

// refuse names the reason for the audit log and the way out for the person.
func (a *Authenticator) refuse(reason string) error {
	public, ok := advice[reason]
	said := language.Say(public)
	if !ok {
		// The one reason that is about the page: name the right one.
		said = language.Say("Passkeys cannot be added from this page; open %s and try again.", a.options.Origins[0])
	}
	return &authenticator.Refused{Reason: reason, Public: said.String(), Said: said}
}
