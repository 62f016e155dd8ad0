package passkey_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/virtualauth"
)

const signer = "mds.example"

// metadata returns Metadata pinned to the CA, with this BLOB loaded.
func metadata(t testing.TB, ca *virtualauth.CA, number int, models ...virtualauth.Model) *passkey.Metadata {
	t.Helper()
	m, err := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{ca.Root()}, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	reload(t, m, ca, number, models...)
	return m
}

func reload(t testing.TB, m *passkey.Metadata, ca *virtualauth.CA, number int, models ...virtualauth.Model) {
	t.Helper()
	if _, err := m.Load(blob(t, ca, number, models...), 0, now); err != nil {
		t.Fatal(err)
	}
}

func blob(t testing.TB, ca *virtualauth.CA, number int, models ...virtualauth.Model) []byte {
	t.Helper()
	b, err := ca.Blob(virtualauth.Blob{Number: number, NextUpdate: now.AddDate(0, 1, 0), Signer: signer, Models: models})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMetadataVouches(t *testing.T) {
	authority, maker := newCA(t), newCA(t)
	described := virtualauth.Model{AAGUID: model, Description: "Test  Key\n9000", Roots: []*x509.Certificate{newCA(t).Root(), maker.Root()}, KeyProtection: []string{"hardware", "secure_element"}}
	software := described
	software.KeyProtection = []string{"software"}
	for name, test := range map[string]struct {
		models   []virtualauth.Model
		hardware bool
		label    string
	}{
		"described": {[]virtualauth.Model{described}, true, "Test Key 9000"},
		"software":  {[]virtualauth.Model{software}, false, "Test Key 9000"},
		"unknown":   {nil, false, "Passkey"},
	} {
		o := options()
		o.Attestation, o.MDS = passkey.Direct, metadata(t, authority, 1, test.models...)
		a := open(t, o)
		k := &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: maker}
		e, err := enrollment(t, a, k, ada)
		if err != nil || e.Label != test.label || e.Traits.Has(assurance.HardwareBound) != test.hardware {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		if got := signIn(t, a, k, credential(e, ada, 1)); !got.OK || got.Traits.Has(assurance.HardwareBound) != test.hardware {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The root of one model says nothing about another.
func TestRootOfAnotherModel(t *testing.T) {
	authority, cheap, dear := newCA(t), newCA(t), newCA(t)
	o := options()
	o.Attestation, o.AllowAAGUIDs = passkey.Direct, []string{modelText}
	o.MDS = metadata(t, authority, 1,
		virtualauth.Model{AAGUID: model, Roots: []*x509.Certificate{dear.Root()}},
		virtualauth.Model{AAGUID: [16]byte{5}, Roots: []*x509.Certificate{cheap.Root()}})
	_, err := enrollment(t, open(t, o), &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: cheap}, ada)
	refusedAs(t, err, "not-attested")
}

// Statuses act on keys that are already enrolled, from the next check on.
func TestStatuses(t *testing.T) {
	authority, maker := newCA(t), newCA(t)
	const all = proven | assurance.HardwareBound
	good := virtualauth.Model{AAGUID: model, Roots: []*x509.Certificate{maker.Root()}, Reports: []virtualauth.Report{{Status: "FIDO_CERTIFIED_L1"}}}
	yesterday, tomorrow := now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)
	for _, test := range []struct {
		report   virtualauth.Report
		reason   string
		traits   assurance.Trait
		required bool // keys must be attested
		enrolls  bool
	}{
		{virtualauth.Report{Status: "UPDATE_AVAILABLE"}, "", all, true, true},
		{virtualauth.Report{Status: "REVOKED"}, "metadata-revoked", 0, false, false},
		{virtualauth.Report{Status: "REVOKED", From: tomorrow}, "", all, false, true},
		{virtualauth.Report{Status: "REVOKED", From: yesterday}, "metadata-revoked", 0, false, false},
		{virtualauth.Report{Status: "REVOKED", Until: yesterday}, "", all, false, true},
		{virtualauth.Report{Status: "USER_KEY_REMOTE_COMPROMISE"}, "metadata-revoked", 0, false, false},
		{virtualauth.Report{Status: "USER_VERIFICATION_BYPASS"}, "", all &^ assurance.UserVerified, false, false},
		{virtualauth.Report{Status: "USER_KEY_PHYSICAL_COMPROMISE"}, "", all &^ assurance.HardwareBound, false, false},
		{virtualauth.Report{Status: "ATTESTATION_KEY_COMPROMISE"}, "", all &^ assurance.HardwareBound, false, false},
		{virtualauth.Report{Status: "ATTESTATION_KEY_COMPROMISE"}, "not-attested", 0, true, false},
		{virtualauth.Report{Status: "RETIRED"}, "", all, true, false},
	} {
		t.Run(test.report.Status, func(t *testing.T) {
			o := options()
			o.Attestation, o.RequireAttested, o.MDS = passkey.Direct, test.required, metadata(t, authority, 1, good)
			a := open(t, o)
			k := &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: maker}
			c := enroll(t, a, k, ada)
			if got := signIn(t, a, k, c); got.Traits != all {
				t.Fatalf("before: %+v", got)
			}
			bad := good
			// A later good report does not undo a bad one.
			bad.Reports = append([]virtualauth.Report{test.report}, good.Reports...)
			reload(t, o.MDS, authority, 2, bad)
			if got := signIn(t, a, k, c); got.Reason != test.reason || got.Traits != test.traits {
				t.Fatalf("after: %+v", got)
			}
			_, err := enrollment(t, a, &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: maker}, eve)
			if test.enrolls {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refusedAs(t, err, "metadata-revoked")
		})
	}
}

func TestNumbersOnlyRise(t *testing.T) {
	authority := newCA(t)
	m := metadata(t, authority, 5)
	for _, test := range []struct {
		number, last int
		ok           bool
	}{{4, 0, false}, {5, 5, true}, {6, 7, false}, {6, 6, true}, {5, 0, false}} {
		loaded, err := m.Load(blob(t, authority, test.number), test.last, now)
		if (err == nil) != test.ok || test.ok && loaded.Number != test.number {
			t.Errorf("number %d after %d: %+v, %v", test.number, test.last, loaded, err)
		}
	}
	if loaded, ok := m.Loaded(); !ok || loaded.Number != 6 || !loaded.NextUpdate.Equal(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %t", loaded, ok)
	}
}

func TestBlobsRefused(t *testing.T) {
	authority, stranger := newCA(t), newCA(t)
	good := string(blob(t, authority, 1))
	parts := strings.Split(good, ".")
	header := func(text string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[1] + "." + parts[2]
	}
	flipped := parts[1][:20] + "A" + parts[1][21:]
	misnamed, err := authority.Blob(virtualauth.Blob{Number: 1, NextUpdate: now, Signer: "other.example"})
	if err != nil {
		t.Fatal(err)
	}
	root := base64.StdEncoding.EncodeToString(stranger.Root().Raw)
	for name, test := range map[string]struct {
		blob, say string
		at        time.Time
	}{
		"good":                {good + "\n", "", now},
		"empty":               {"", "not a signed metadata BLOB", now},
		"two parts":           {parts[0] + "." + parts[1], "not a signed metadata BLOB", now},
		"bad base64":          {good + "!", "bad base64url", now},
		"other payload":       {parts[0] + "." + flipped + "." + parts[2], "signature is wrong", now},
		"no signature":        {parts[0] + "." + parts[1] + ".", "signature is wrong", now},
		"unsigned":            {header(`{"alg":"none"}`), "no certificates", now},
		"certificates by URL": {header(`{"alg":"ES256","x5u":"https://mds.example/chain"}`), "by URL", now},
		"own root":            {header(`{"alg":"ES256","x5c":["` + root + `"]}`), "not to be trusted", now},
		"certificate noise":   {header(`{"alg":"ES256","x5c":["AAAA"]}`), "cannot be read", now},
		"certificate no text": {header(`{"alg":"ES256","x5c":["*"]}`), "not base64", now},
		"header noise":        {header(`[]`), "header cannot be read", now},
		"stranger's":          {string(blob(t, stranger, 1)), "not to be trusted", now},
		"other name":          {string(misnamed), "not to be trusted", now},
		"expired":             {good, "not to be trusted", now.AddDate(100, 0, 0)},
	} {
		m, err := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{authority.Root()}, Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Load([]byte(test.blob), 0, test.at)
		switch _, loaded := m.Loaded(); {
		case test.say == "" && (err != nil || !loaded):
			t.Errorf("%s: %v", name, err)
		case test.say != "" && (err == nil || loaded || !strings.Contains(err.Error(), test.say)):
			t.Errorf("%s: %v, loaded %t; want %q", name, err, loaded, test.say)
		}
	}
	if _, err := passkey.NewMetadata(passkey.MetadataSource{}); err == nil {
		t.Error("metadata without a root")
	}
}

// The signature's algorithm is not the attacker's to choose.
func TestBlobAlgorithm(t *testing.T) {
	authority := newCA(t)
	parts := strings.Split(string(blob(t, authority, 1)), ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{"none", "HS256", "RS256", "ES384", ""} {
		parts[0] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(header), "ES256", algorithm, 1)))
		m, _ := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{authority.Root()}})
		if _, err := m.Load([]byte(strings.Join(parts, ".")), 0, now); err == nil {
			t.Errorf("%q was accepted", algorithm)
		}
	}
}

// FIDO's own example verifies under FIDO's example root, and under no other.
func TestPublishedBlob(t *testing.T) {
	example, err := os.ReadFile("testdata/mds-example-blob.jwt")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/mds-example-root.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	m, err := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{root}})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := m.Load(example, 0, now)
	if err != nil || loaded.Models == 0 || loaded.Number == 0 {
		t.Fatalf("%+v, %v", loaded, err)
	}
	t.Logf("%+v", loaded)
	other, _ := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{newCA(t).Root()}})
	if _, err := other.Load(example, 0, now); err == nil {
		t.Fatal("accepted under another root")
	}
}

// Metadata that was never loaded knows no model, so nothing counts as attested.
func TestMetadataNotLoaded(t *testing.T) {
	m, err := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{newCA(t).Root()}})
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Attestation, o.RequireAttested, o.MDS = passkey.Direct, true, m
	_, err = enrollment(t, open(t, o), &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: newCA(t)}, ada)
	refusedAs(t, err, "not-attested")
}
