package message

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// BenchmarkResponse is a response with its assertion, both signed, and BenchmarkSignatures the
// two RSA signatures in it alone: docs/performance.md has their ratio.
func BenchmarkResponse(b *testing.B) {
	by := strong(b)
	r := response(nil)
	for b.Loop() {
		if _, err := r.Write(by.credential()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignatures(b *testing.B) {
	by, sum := strong(b), sha256.Sum256([]byte("a digest"))
	for b.Loop() {
		for range 2 {
			if _, err := by.key.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// strong is a key as a server has it.
func strong(b *testing.B) pair {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		b.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: began, NotAfter: began.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	return pair{key, c}
}
