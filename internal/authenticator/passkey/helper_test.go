package passkey_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/prompt"
	"countersign/internal/virtualauth"
)

const origin = "https://login.example.org"

var (
	now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	ada = authenticator.Person{Account: 7, UserHandle: []byte("handle of ada, 32 random bytes.."), Name: "ada", Display: "Ada"}
	eve = authenticator.Person{Account: 8, UserHandle: []byte("handle of eve, 32 random bytes.."), Name: "eve", Display: "Eve"}
)

// model is the AAGUID of the keys in these tests.
var model = [16]byte{0x2f, 0xc0, 0x57, 0x9f, 0x81, 0x13, 0x47, 0xea, 0xb1, 0x16, 0xbb, 0x5a, 0x8d, 0xb9, 0x20, 0x2b}

const modelText = "2fc0579f-8113-47ea-b116-bb5a8db9202b"

func options() passkey.Options {
	return passkey.Options{RPID: "example.org", RPName: "Example", Origins: []string{origin, "https://portal.example.org:8443"}}
}

func open(t testing.TB, o passkey.Options) *passkey.Authenticator {
	t.Helper()
	a, err := passkey.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newCA(t testing.TB) *virtualauth.CA {
	t.Helper()
	ca, err := virtualauth.NewCA("Test attestation root")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// attesting are options that trust one CA for keys of any model.
func attesting(ca *virtualauth.CA) passkey.Options {
	o := options()
	o.Attestation, o.Roots = passkey.Direct, []*x509.Certificate{ca.Root()}
	return o
}

// offer and accept play an enrollment.
func enrollment(t testing.TB, a *passkey.Authenticator, k *virtualauth.Key, p authenticator.Person) (authenticator.Enrolled, error) {
	t.Helper()
	question, memo, err := a.Offer(p, now)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := k.Create(origin, question.Data)
	if err != nil {
		t.Fatal(err)
	}
	return a.Accept(t.Context(), p, memo, answer(reply), now)
}

func enroll(t testing.TB, a *passkey.Authenticator, k *virtualauth.Key, p authenticator.Person) authenticator.Credential {
	t.Helper()
	e, err := enrollment(t, a, k, p)
	if err != nil {
		t.Fatal(err)
	}
	return credential(e, p, 1)
}

func credential(e authenticator.Enrolled, p authenticator.Person, id assurance.CredentialID) authenticator.Credential {
	return authenticator.Credential{ID: id, Account: p.Account, Kind: passkey.Kind, State: e.State, Handle: e.Handle, Created: now}
}

func answer(reply json.RawMessage) prompt.Answer {
	return prompt.Answer{Authenticator: passkey.Kind, Data: reply}
}

// ask poses the question for these credentials and lets the key answer it.
func ask(t testing.TB, a *passkey.Authenticator, k *virtualauth.Key, credentials ...authenticator.Credential) (authenticator.Memo, prompt.Answer) {
	t.Helper()
	question, memo, err := a.Ask(credentials, now)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := k.Get(origin, question.Data)
	if err != nil {
		t.Fatal(err)
	}
	return memo, answer(reply)
}

func check(t testing.TB, a *passkey.Authenticator, memo authenticator.Memo, answer prompt.Answer, credentials ...authenticator.Credential) authenticator.Result {
	t.Helper()
	result, err := a.Check(t.Context(), credentials, memo, answer, now)
	if err != nil {
		t.Fatal(err)
	}
	if result.OK != (result.Reason == "") {
		t.Fatalf("OK is %t and the reason is %q", result.OK, result.Reason)
	}
	if !result.OK && (result.Traits != 0 || result.Once != "" || result.Next != nil || result.Credential != 0 || result.Bound != "") {
		t.Fatalf("a refusal carries more than its reason: %+v", result)
	}
	return result
}

// signIn is an honest sign-in's result.
func signIn(t testing.TB, a *passkey.Authenticator, k *virtualauth.Key, credentials ...authenticator.Credential) authenticator.Result {
	t.Helper()
	memo, reply := ask(t, a, k, credentials...)
	return check(t, a, memo, reply, credentials...)
}

func refusedAs(t testing.TB, err error, reason string) {
	t.Helper()
	var refused *authenticator.Refused
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal as %q", err, reason)
	}
	if refused.Reason != reason {
		t.Fatalf("refused as %q, want %q", refused.Reason, reason)
	}
	if refused.Public == "" {
		t.Fatalf("the refusal %q says nothing to the person", reason)
	}
}
