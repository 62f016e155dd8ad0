package certificate

import (
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/language"
	"countersign/internal/pki"
)

// Assign makes of a certificate in PEM what is kept of it, where an administrator
// says whose it is. Nobody has shown its key yet, and whether it was revoked is
// asked whenever it is shown. Any name in it will do: who assigned it was shown
// that name, and a card's is often a number that no account is called by. It counts
// as hardware only where its authority certifies nothing else.
func (a *Authenticator) Assign(text []byte, now time.Time) (authenticator.Enrolled, error) {
	found, err := pki.ReadCertificates(text)
	if err != nil || len(found) != 1 {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: string(pki.Malformed), Public: "That is not one certificate in PEM: it begins with -----BEGIN CERTIFICATE-----, and there is one."}
	}
	seen, err := a.sight(found[0].Raw, now)
	if err != nil {
		refused := refusal(reasonOf(err))
		if why := pki.Because(err); why != "" {
			refused.Said = language.Say("That certificate cannot be used here: %s is not handled here, and whoever marked it as critical forbids to pass over it.", why)
			refused.Public = refused.Said.String()
		}
		return authenticator.Enrolled{}, refused
	}
	kept := state{Authority: seen.authority.Name, Mapping: seen.authority.Mapping, Name: seen.id.Name, Key: seen.id.Key}
	encoded, err := kept.encode()
	return authenticator.Enrolled{State: encoded, Handle: seen.id.Handle, Traits: kept.traits(seen), Label: label(found[0]), Detail: pki.Describe(found[0])}, err
}

var _ authenticator.Assigner = (*Authenticator)(nil)
