package passkey

import (
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
	"countersign/internal/virtualauth"
)

// libraryAccepts asks go-webauthn about an assertion: an implementation by other
// people with which ours must agree, or be the stricter one.
func libraryAccepts(a *Authenticator, m memo, data []byte, key []byte) bool {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(data)
	if err != nil {
		return false
	}
	return parsed.Verify(m.Challenge.String(), a.options.RPID, "", a.options.Origins, nil, nil,
		protocol.TopOriginExplicitVerificationMode, false, a.options.UserVerification == Required, true, key, protocol.SignaturePolicy{}) == nil
}

// libraryEnrolls is the same for a creation, without metadata.
func libraryEnrolls(a *Authenticator, m memo, data []byte) bool {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(data)
	if err != nil {
		return false
	}
	parameters := []protocol.CredentialParameter{
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
		{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
	}
	_, err = parsed.Verify(m.Challenge.String(), a.options.RPID, a.options.Origins, nil, nil, protocol.TopOriginExplicitVerificationMode,
		false, a.options.UserVerification == Required, true, nil, parameters, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
	return err == nil
}

// Every lie is judged as the library judges it, but for those where we are
// stricter on purpose.
func TestAgreesWithLibrary(t *testing.T) {
	a, err := New(Options{RPID: "example.org", Origins: []string{"https://login.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	stricter := map[string]bool{
		"https://login.example.org:443": true, // compared byte by byte
		"https://LOGIN.example.org":     true,
	}
	lies := map[string]virtualauth.Lie{
		"none": {}, "bogus": {BogusSignature: true}, "rpId": {RPID: "x.example"}, "type": {Type: "webauthn.create"},
		"challenge": {Challenge: make([]byte, 32)}, "framed": {CrossOrigin: true}, "top": {TopOrigin: "https://x.example"},
		"absent": {ClearFlags: 1}, "unverified": {ClearFlags: 4}, "cut": {Truncate: 1}, "no JSON": {ClientData: []byte("{")},
		"extensions": {Extensions: []byte{0xa1, 0x61, 'x', 0xf5}}, "half extensions": {Extensions: []byte{0xa1, 0x61, 'x'}},
		"two extensions": {Extensions: []byte{0xa0, 0xa0}}, "no map": {Extensions: []byte{0x80}}, "empty map": {Extensions: []byte{0xa0}},
	}
	for _, origin := range []string{
		"https://login.example.org:443", "https://LOGIN.example.org", "http://login.example.org", "https://login.example.org.", "null",
		"https://evil-login.example.org", "https://login.example.org:8443", "https://xlogin.example.org",
	} {
		lies[origin] = virtualauth.Lie{Origin: origin}
	}
	for _, algorithm := range []virtualauth.Algorithm{virtualauth.ES256, virtualauth.EdDSA, virtualauth.RS256} {
		k := &virtualauth.Key{Algorithm: algorithm}
		kept := enrollWith(t, a, k)
		for name, lie := range lies {
			k.Lie = lie
			k.Lie.Disobey = true
			question, sealed, err := a.Ask(nil, vectorTime)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := k.Get("https://login.example.org", question.Data)
			if err != nil {
				t.Fatal(err)
			}
			m, reason := a.openMemo(sealed, typeGet, vectorTime)
			if reason != "" {
				t.Fatal(reason)
			}
			ours := a.decides(t, m, reply, kept)
			theirs := libraryAccepts(a, m, reply, kept.Key)
			if ours != theirs && !(theirs && stricter[name]) {
				t.Errorf("algorithm %d, %s: we say %t, the library %t", algorithm, name, ours, theirs)
			}
		}
	}
}

func (a *Authenticator) decides(t testing.TB, m memo, data []byte, kept state) bool {
	t.Helper()
	r, err := parseReply(data)
	if err != nil {
		return false
	}
	_, _, refused := a.assert(m, r, kept)
	return refused.Reason == ""
}

func enrollWith(t testing.TB, a *Authenticator, k *virtualauth.Key) state {
	t.Helper()
	p := authenticator.Person{Account: 1, UserHandle: []byte("handle"), Name: "ada"}
	question, sealed, err := a.Offer(p, vectorTime)
	if err != nil {
		t.Fatal(err)
	}
	data, err := k.Create("https://login.example.org", question.Data)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := a.openMemo(sealed, typeCreate, vectorTime)
	if !libraryEnrolls(a, m, data) {
		t.Fatal("the library does not accept what the virtual authenticator made")
	}
	e, err := a.Accept(t.Context(), p, sealed, prompt.Answer{Data: data}, vectorTime)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := decodeState(e.State)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}
