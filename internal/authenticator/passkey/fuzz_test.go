package passkey

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Whatever a browser sends: no panic, and nothing accepted that the library
// would not accept.
func FuzzCheck(f *testing.F) {
	v := readVectors(f)
	a := v.relyingParty(f)
	type enrolled struct {
		credential authenticator.Credential
		memo       memo
		key        octets
	}
	known := map[string]enrolled{}
	for i, vector := range v.List {
		kept, _, reason := vector.enroll(f, a)
		f.Add(vector.assertion().encode(f))
		if reason != "" {
			continue
		}
		kept.User = octets("handle")
		state, err := kept.encode()
		if err != nil {
			f.Fatal(err)
		}
		c := authenticator.Credential{ID: 1, Account: 1, State: state, Handle: kept.ID.String()}
		m := a.newMemo(typeGet, vectorTime)
		m.Challenge, m.Account, m.Asked = octets(vector.Authentication.Challenge), 1, append(m.Asked, 1)
		known[c.Handle] = enrolled{c, m, kept.Key}
		if i == 0 {
			known[""] = known[c.Handle]
		}
	}
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		handle, _ := a.Discover(prompt.Answer{Data: data})
		e, ok := known[handle]
		if !ok {
			e = known[""]
		}
		sealed := e.memo.encode()
		got, err := a.Check(t.Context(), []authenticator.Credential{e.credential}, sealed, prompt.Answer{Data: data}, vectorTime)
		if err != nil || got.OK != (got.Reason == "") {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.OK && !libraryAccepts(a, e.memo, data, e.key) {
			t.Fatalf("we accept what the library refuses: %s", data)
		}
	})
}

// The same for an enrollment, whose challenge is whatever the client data says,
// so that the attestation is reached.
func FuzzAccept(f *testing.F) {
	v := readVectors(f)
	a := v.relyingParty(f)
	for _, vector := range v.List {
		f.Add(vector.creation().encode(f), []byte(vector.Registration.Challenge))
	}
	p := authenticator.Person{Account: 1, UserHandle: []byte("handle")}
	f.Fuzz(func(t *testing.T, data, challenge []byte) {
		m := a.newMemo(typeCreate, vectorTime)
		m.Account, m.Challenge = 1, challenge
		sealed := m.encode()
		e, err := a.Accept(t.Context(), p, sealed, prompt.Answer{Data: data}, vectorTime)
		if err != nil {
			return
		}
		kept, err := decodeState(e.State)
		if err != nil || kept.ID.String() != e.Handle {
			t.Fatalf("enrolled what cannot be read back: %v", err)
		}
		if _, err := parseKey(kept.Key); err != nil {
			t.Fatal(err)
		}
		if !libraryEnrolls(a, m, data) {
			t.Fatalf("we enroll what the library refuses: %s", data)
		}
	})
}

// The parts of an assertion by themselves, past the JSON and base64 that would
// stop most noise.
func FuzzAssertion(f *testing.F) {
	v := readVectors(f)
	a := v.relyingParty(f)
	kept, _, reason := v.List[0].enroll(f, a)
	if reason != "" {
		f.Fatal(reason)
	}
	m := memo{Type: typeGet, Challenge: octets(v.List[0].Authentication.Challenge)}
	for _, vector := range v.List {
		f.Add([]byte(vector.Authentication.ClientData), []byte(vector.Authentication.AuthData), []byte(vector.Authentication.Signature))
	}
	f.Fuzz(func(t *testing.T, client, auth, signature []byte) {
		r := v.List[0].assertion()
		r.Response.ClientData, r.Response.AuthData, r.Response.Signature = client, auth, signature
		_, _, refused := a.assert(m, r, kept)
		if refused.Reason == "" && !libraryAccepts(a, m, r.encode(t), kept.Key) {
			t.Fatalf("we accept what the library refuses: %x %x %x", client, auth, signature)
		}
	})
}

// The parts of an attestation by themselves: its statement in any format over
// any authenticator data.
func FuzzAttestation(f *testing.F) {
	v := readVectors(f)
	a := v.relyingParty(f)
	for _, vector := range v.List {
		var parts struct {
			Format    string                  `cbor:"fmt"`
			Statement webauthncbor.RawMessage `cbor:"attStmt"`
			AuthData  []byte                  `cbor:"authData"`
		}
		if err := webauthncbor.Unmarshal(vector.Registration.Attestation, &parts); err != nil {
			f.Fatal(err)
		}
		f.Add(parts.Format, []byte(parts.Statement), parts.AuthData, []byte(vector.Registration.ClientData))
	}
	f.Fuzz(func(t *testing.T, format string, statement, auth, client []byte) {
		object := &protocol.AttestationObject{Format: format, RawAuthData: auth}
		if webauthncbor.Unmarshal(statement, &object.AttStatement) != nil || object.AuthData.Unmarshal(auth) != nil {
			return
		}
		var r reply
		r.RawID, r.Response.ClientData = object.AuthData.AttData.CredentialID, client
		kept, reason := a.created(memo{Type: typeCreate}, &r, object)
		if reason == "" && len(kept.Key) == 0 {
			t.Fatal("created without a key")
		}
		hash := sha256.Sum256(client)
		if v, ok := a.attest(object, hash[:], vectorTime); v.trusted && (!ok || object.Format == None) {
			t.Fatal("trusted and not valid")
		}
	})
}

// A key has one text, and reads back as the same key.
func FuzzKey(f *testing.F) {
	v := readVectors(f)
	a := v.relyingParty(f)
	for _, vector := range v.List {
		if _, object, _ := vector.enroll(f, a); object != nil {
			f.Add([]byte(object.AuthData.AttData.CredentialPublicKey))
		}
	}
	f.Fuzz(func(t *testing.T, cose []byte) {
		if key, err := parseKey(cose); err == nil && key == nil {
			t.Fatal("no key and no error")
		}
		canonical, err := canonicalKey(cose)
		if err != nil {
			return
		}
		if again, err := canonicalKey(canonical); err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%x became %x became %x, %v", cose, canonical, again, err)
		}
	})
}

func FuzzBlob(f *testing.F) {
	example, err := os.ReadFile("testdata/mds-example-blob.jwt")
	if err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile("testdata/mds-example-root.pem")
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("e30.e30."))
	payload := strings.Split(string(example), ".")[1]
	f.Fuzz(func(t *testing.T, blob []byte) {
		m, err := NewMetadata(MetadataSource{Roots: []*x509.Certificate{root}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Load(blob, 0, vectorTime); err == nil && !bytes.Contains(blob, []byte(payload)) {
			t.Fatal("a payload that FIDO did not sign was accepted")
		}
	})
}

// The payload behind a signature is parsed as carefully as one before it.
func FuzzCatalogue(f *testing.F) {
	example, err := os.ReadFile("testdata/mds-example-blob.jwt")
	if err != nil {
		f.Fatal(err)
	}
	payload, err := rawURL.DecodeString(strings.Split(string(example), ".")[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte(`{"no":1,"nextUpdate":"2026-01-01","entries":[{"aaguid":"2fc0579f-8113-47ea-b116-bb5a8db9202a","statusReports":[{"status":"REVOKED","effectiveDate":"x"}]}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := parseCatalogue(payload)
		if err != nil {
			return
		}
		for g, m := range c.models {
			m.statuses(vectorTime)
			label(g, m.description)
		}
	})
}

// What is taken for an origin is written as browsers write it.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://login.example.org", "https://login.example.org:8443", "http://localhost", "https://[::1]", "https://a@b", "https://A.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		host, err := originHost(origin)
		if err != nil {
			return
		}
		rest, ok := strings.CutPrefix(origin, "https://"+host)
		if !ok && origin != "http://localhost" && !strings.HasPrefix(origin, "http://localhost:") {
			t.Fatalf("%q has the host %q", origin, host)
		}
		if ok && rest != "" && rest[0] != ':' {
			t.Fatalf("%q goes on with %q", origin, rest)
		}
	})
}

// A memo is read as it was written, and whatever else is refused: also one that promises
// more than it holds.
func FuzzMemo(f *testing.F) {
	f.Add([]byte(memo{}.encode()))
	f.Add([]byte(`{"t":"webauthn.get"}`))
	f.Add([]byte(memo{Type: typeGet, Challenge: make(octets, challengeSize), RPID: "login.example.org", Issued: 1 << 41, Account: 7, Asked: []assurance.CredentialID{1, 1 << 40}, Verify: true}.encode()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := decodeMemo(b)
		if !ok {
			return
		}
		again, ok := decodeMemo(m.encode())
		if !ok || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}
