package passkey

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
)

// vectors are those of WebAuthn Level 3 section 16; see testdata/README.md.
type vectors struct {
	RPID   string   `json:"rpId"`
	Origin string   `json:"origin"`
	Root   hexed    `json:"attestationRoot"`
	List   []vector `json:"vectors"`
}

type vector struct {
	Section      string `json:"section"`
	Title        string `json:"title"`
	ID           hexed  `json:"credentialId"`
	Registration struct {
		Challenge   hexed `json:"challenge"`
		ClientData  hexed `json:"clientDataJSON"`
		Attestation hexed `json:"attestationObject"`
	} `json:"registration"`
	Authentication struct {
		Challenge  hexed `json:"challenge"`
		ClientData hexed `json:"clientDataJSON"`
		AuthData   hexed `json:"authenticatorData"`
		Signature  hexed `json:"signature"`
	} `json:"authentication"`
}

type hexed []byte

func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/webauthn-l3-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil || len(v.List) == 0 {
		t.Fatal(len(v.List), err)
	}
	return v
}

// relyingParty is the one that the vectors were made for. It trusts their root.
func (v vectors) relyingParty(t testing.TB) *Authenticator {
	t.Helper()
	root, err := x509.ParseCertificate(v.Root)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{
		RPID: v.RPID, Origins: []string{v.Origin}, UserVerification: Preferred,
		Attestation: Direct, Roots: []*x509.Certificate{root},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// creation and assertion are the replies as a browser would have sent them.
func (v vector) creation() *reply {
	r := &reply{ID: octets(v.ID).String(), RawID: octets(v.ID), Type: "public-key"}
	r.Response.ClientData, r.Response.Attestation = octets(v.Registration.ClientData), octets(v.Registration.Attestation)
	return r
}

func (v vector) assertion() *reply {
	r := &reply{ID: octets(v.ID).String(), RawID: octets(v.ID), Type: "public-key"}
	r.Response.ClientData, r.Response.AuthData = octets(v.Authentication.ClientData), octets(v.Authentication.AuthData)
	r.Response.Signature = octets(v.Authentication.Signature)
	return r
}

func (r *reply) encode(t testing.TB) []byte {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var vectorTime = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// enroll plays the registration up to the attestation's verdict.
func (v vector) enroll(t testing.TB, a *Authenticator) (state, *protocol.AttestationObject, string) {
	t.Helper()
	r, object, err := parseCreation(v.creation().encode(t))
	if err != nil {
		t.Fatal(err)
	}
	kept, reason := a.created(memo{Type: typeCreate, Challenge: octets(v.Registration.Challenge)}, r, object)
	if reason != "" {
		return kept, object, reason
	}
	hash := sha256.Sum256(r.Response.ClientData)
	verdict, ok := a.attest(object, hash[:], vectorTime)
	if !ok {
		return kept, object, reasonBadAttestation
	}
	kept.Attestation, kept.Attested = verdict.words, verdict.trusted
	return kept, object, ""
}

func TestPublishedVectors(t *testing.T) {
	v := readVectors(t)
	a := v.relyingParty(t)
	// What becomes of each; a word is the reason of the refusal.
	want := map[string]struct {
		enroll, attestation string
		trusted             bool
		check               string
	}{
		"16.2":  {"", "none", false, ""},
		"16.3":  {"", "packed basic_surrogate", false, ""},
		"16.4":  {"cross-origin", "", false, "cross-origin"},
		"16.5":  {"cross-origin", "", false, "cross-origin"},
		"16.6":  {"", "none", false, ""},
		"16.7":  {"", "packed basic_full", true, ""},
		"16.8":  {"wrong-algorithm", "", false, ""}, // ES384 is not asked for
		"16.9":  {"wrong-algorithm", "", false, ""}, // nor ES512
		"16.10": {"", "packed basic_full", true, ""},
		"16.11": {"", "packed basic_full", true, ""},
		// The library knows neither the synthetic TPM maker nor the synthetic
		// roots of Android and Apple, and rightly.
		"16.13": {"wrong-attestation", "", false, ""},
		"16.14": {"wrong-attestation", "", false, ""},
		"16.15": {"wrong-attestation", "", false, ""},
		"16.16": {"", "fido-u2f basic_full", true, ""},
	}
	if len(want) != len(v.List) {
		t.Fatalf("%d vectors, want %d", len(v.List), len(want))
	}
	for _, vector := range v.List {
		t.Run(vector.Section+" "+vector.Title, func(t *testing.T) {
			want := want[vector.Section]
			kept, object, reason := vector.enroll(t, a)
			if reason != want.enroll || kept.Attestation != want.attestation || kept.Attested != want.trusted {
				t.Fatalf("enrolled: %q, %q, %t", reason, kept.Attestation, kept.Attested)
			}
			if reason == reasonAlgorithm {
				return // there is no key to go on with
			}
			kept.Key, _ = canonicalKey(object.AuthData.AttData.CredentialPublicKey)
			m := memo{Type: typeGet, Challenge: octets(vector.Authentication.Challenge)}
			shown := vector.assertion()
			if _, _, refused := a.assert(m, shown, kept); refused.Reason != want.check {
				t.Fatalf("checked: %+v", refused)
			}
			if want.check != "" {
				return
			}
			shown.Response.Signature[len(shown.Response.Signature)-1] ^= 1
			if _, _, refused := a.assert(m, shown, kept); refused.Reason != reasonSignature {
				t.Fatalf("a turned bit: %+v", refused)
			}
		})
	}
}
