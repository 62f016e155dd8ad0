package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// What a client may send in between is not used: the path is of what is configured.
func TestPath(t *testing.T) {
	root := testbed.NewAuthority(t, "Root", nil)
	below := testbed.NewAuthority(t, "Staff", root)
	leaf := below.Issue("ada", testbed.NewKey(t).Public())
	for name, try := range map[string]struct {
		configured []*x509.Certificate
		length     int // 0 is refused
	}{
		"root and what is between": {[]*x509.Certificate{root.Certificate, below.Certificate}, 3},
		"the other way round":      {[]*x509.Certificate{below.Certificate, root.Certificate}, 3},
		"what is between alone":    {[]*x509.Certificate{below.Certificate}, 2},
		"the root alone":           {[]*x509.Certificate{root.Certificate}, 0},
		"somebody else's root":     {[]*x509.Certificate{testbed.NewAuthority(t, "Root", nil).Certificate, below.Certificate}, 0},
	} {
		all := Authorities{{Name: "a", Certificates: try.configured, Mapping: IssuerSerial, Purpose: ClientAuth}}
		_, path, err := all.Verify(leaf.Raw, time.Now())
		if len(path) != try.length || (err == nil) != (try.length > 0) {
			t.Errorf("%s: a path of %d, %v", name, len(path), err)
		}
	}
}

// What a real YubiKey attested is read as openssl prints it, up to Yubico's own root;
// with one bit changed it is nothing.
func TestPublishedAttestation(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	certificates := func(text []byte) []*x509.Certificate {
		t.Helper()
		all, err := ReadCertificates(text)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	text := append(read("attestation-9a.pem"), read("attestation-f9.pem")...)
	a := Authority{Attestation: certificates(read("yubico-piv-ca-1.pem"))}
	slot := certificates(text)[0]
	got, err := a.Attest(text, slot, time.Now())
	if want := (Attestation{Serial: 0x01b3bef6, PIN: PINOnce, Touch: TouchNever, Firmware: [3]byte{5, 4, 3}}); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := a.Attest(text, testbed.NewAuthority(t, "x", nil).Certificate, time.Now()); !errors.Is(err, ErrAttestationKey) {
		t.Errorf("another key: %v", err)
	}
	raw := bytes.Clone(slot.Raw)
	raw[bytes.Index(raw, []byte{0x04, 0x02, 0x02, 0x01})+2] = 3 // PIN always
	forged := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), read("attestation-f9.pem")...)
	if _, err := a.Attest(forged, slot, time.Now()); !errors.Is(err, ErrAttestationRoot) {
		t.Errorf("another policy: %v", err)
	}
}

// A certificate must say that it is for just this, and have a key of 112 bits.
func TestPurposeAndKey(t *testing.T) {
	a := testbed.NewAuthority(t, "Staff", nil)
	logon := func(x *x509.Certificate) {
		x.ExtKeyUsage, x.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{smartcardLogon}
	}
	anything := func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }
	enciphering := func(x *x509.Certificate) { x.KeyUsage = x509.KeyUsageKeyEncipherment }
	key := testbed.NewKey(t).Public()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		leaf    *x509.Certificate
		purpose Purpose
		want    Refusal
	}{
		"client":                   {a.Issue("ada", key), ClientAuth, ""},
		"logon":                    {a.Issue("ada", key, logon), SmartcardLogon, ""},
		"client for logon":         {a.Issue("ada", key), SmartcardLogon, WrongUsage},
		"logon for client":         {a.Issue("ada", key, logon), ClientAuth, WrongUsage},
		"anything for client":      {a.Issue("ada", key, anything), ClientAuth, WrongUsage},
		"anything for logon":       {a.Issue("ada", key, anything), SmartcardLogon, WrongUsage},
		"a key that does not sign": {a.Issue("ada", key, enciphering), ClientAuth, WrongUsage},
		"RSA of 1024 bits":         {a.Issue("ada", weak.Public()), ClientAuth, WeakKey},
	} {
		all := Authorities{{Name: "a", Certificates: []*x509.Certificate{a.Certificate}, Mapping: IssuerSerial, Purpose: try.purpose}}
		_, _, err := all.Verify(try.leaf.Raw, time.Now())
		var r Refusal
		errors.As(err, &r)
		if r != try.want || (err == nil) != (try.want == "") {
			t.Errorf("%s: %v, want %q", name, err, try.want)
		}
	}
}
