package revocation

import (
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"countersign/internal/testbed"
)

func FuzzIssuingPoint(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x81, 0x01, 0xff})
	f.Add([]byte{0x30, 0x08, 0xa0, 0x06, 0xa0, 0x04, 0x86, 0x02, 'a', 'b'})
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := readPoint(value)
		if err == nil && s.covers(&x509.Certificate{IsCA: true}) && s.covers(&x509.Certificate{}) && (s.users || s.authorities || len(s.points) > 0) {
			t.Errorf("%+v covers everything", s)
		}
	})
}

func FuzzNonce(f *testing.F) {
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		if nonce, err := nonceOf(data); err != nil && nonce != nil {
			t.Error("a nonce and an error")
		}
	})
}

func FuzzAnswer(f *testing.F) {
	a := testbed.NewAuthority(f, "Staff", nil)
	leaf := a.Issue("ada", testbed.NewKey(f).Public())
	now := time.Now()
	good, err := ocsp.CreateResponse(a.Certificate, a.Certificate, ocsp.Response{Status: ocsp.Revoked, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedAt: now}, a.Key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, answer []byte) {
		if judge(answer, leaf, a.Certificate, nil, true, now) == nil {
			t.Errorf("good: %x", answer)
		}
	})
}

// The question is the library's with a nonce in it, as RFC 6960 has it.
func TestQuestion(t *testing.T) {
	a := testbed.NewAuthority(t, "Staff", nil)
	leaf := a.Issue("ada", testbed.NewKey(t).Public())
	b, err := question(leaf, a.Certificate, make([]byte, nonceSize))
	if err != nil {
		t.Fatal(err)
	}
	q, err := ocsp.ParseRequest(b)
	if err != nil || q.SerialNumber.Cmp(leaf.SerialNumber) != 0 {
		t.Fatalf("%v, %v", q, err)
	}
	in := cryptobyte.String(b)
	var outer cryptobyte.String
	if !in.ReadASN1(&outer, der.SEQUENCE) || !in.Empty() {
		t.Error("something is behind it")
	}
}
