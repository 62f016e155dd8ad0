package certificate

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/language"
	"countersign/internal/pki"
	"countersign/internal/prompt"
)

// Offer begins: the card is shown at the same endpoint as for signing in, for a
// challenge of its own.
func (a *Authenticator) Offer(p authenticator.Person, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	m := newMemo(forSetup, now)
	m.Account = p.Account
	return a.pose(m, "Add a smart card")
}

// Accept binds the certificate of a statement. The answer's Text is an attestation
// of its key in PEM, or empty.
func (a *Authenticator) Accept(_ context.Context, p authenticator.Person, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Enrolled, error) {
	m, s, refused := a.answered(sealed, forSetup, answer, now)
	if refused.Reason == "" && m.Account != p.Account {
		refused.Reason = reasonChallenge
	}
	if refused.Reason != "" {
		return authenticator.Enrolled{}, refusal(refused.Reason)
	}
	seen, err := a.look(s, now)
	if err != nil {
		return authenticator.Enrolled{}, refusal(reasonOf(err))
	}
	if !seen.authority.Owns(seen.id.Name, p.Name, p.Mails) {
		return authenticator.Enrolled{}, refusal(reasonOwner)
	}
	leaf, err := x509.ParseCertificate(s.Certificate)
	if err != nil {
		return authenticator.Enrolled{}, refusal(string(pki.Malformed))
	}
	kept := state{Authority: seen.authority.Name, Mapping: seen.authority.Mapping, Name: seen.id.Name, Key: seen.id.Key}
	detail := s.Detail
	if text := strings.TrimSpace(answer.Text); text != "" {
		attested, err := seen.authority.Attest([]byte(text), leaf, now)
		if err != nil {
			said := language.Say("The attestation is of no use: %s. Leave it out, or mend it.", err)
			return authenticator.Enrolled{}, &authenticator.Refused{Reason: reasonAttest, Public: said.String(), Said: said}
		}
		kept.Attested, kept.Verifies = true, attested.PIN.Verifies()
		detail += "; " + attested.String()
	}
	encoded, err := kept.encode()
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	return authenticator.Enrolled{State: encoded, Handle: seen.id.Handle, Traits: kept.traits(seen), Label: label(leaf), Detail: detail, Once: "c" + m.Challenge}, nil
}

func label(leaf *x509.Certificate) string {
	if name := leaf.Subject.CommonName; name != "" {
		return name
	}
	return "Smart card"
}

// sentences are for those who enroll: they have proved who they are.
var sentences = map[string]string{
	string(pki.Expired):          "The certificate is not valid now: it has expired, or begins later. Ask whoever issued it for a new one.",
	string(pki.UnknownAuthority): "The certificate is not from an authority that is trusted here. Choose another one, or ask your administrator.",
	string(pki.WrongUsage):       "The certificate is not made for signing in. Choose another one.",
	string(pki.WeakKey):          "The certificate's key is too weak. Ask whoever issued it for a new one.",
	string(pki.NoName):           "The certificate does not say exactly one name. Ask whoever issued it for another one.",
	string(pki.Unhandled):        "The certificate, or its authority's, demands something that cannot be handled here. Ask your administrator: the log says what.",
	reasonOwner:                  "The certificate names somebody else. If it is yours, ask your administrator to correct the name on your account.",
	"revoked":                    "The certificate was revoked. Ask whoever issued it for a new one.",
	"no-certificate":             "The browser showed no certificate. Put the card in, and choose its certificate when the browser asks.",
	reasonStale:                  "That took too long. Begin again.",
}

func refusal(reason string) *authenticator.Refused {
	public, ok := sentences[reason]
	switch {
	case ok:
	case strings.HasPrefix(reason, "revocation-"):
		public = "Whether the certificate was revoked cannot be found out now, so it is not accepted. Try again later, and tell your administrator if that goes on."
	default:
		public = "That certificate could not be accepted. Begin again."
	}
	return &authenticator.Refused{Reason: reason, Public: public}
}
