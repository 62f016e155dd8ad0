package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/signingkey"
)

// What is signed here verifies by another's code, and by it alone: by its key, its header and
// its words. Of a thousand signatures some have a number that begins with zeros.
func TestCompactVerifies(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, c := range map[string]struct {
		key   crypto.Signer
		times int
	}{signingkey.ES256: {ec, 1000}, signingkey.RS256: {rs, 3}} {
		var signers Signers
		h, err := signers.of(header{algorithm, "a key", "JWT"})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := signers.of(header{algorithm, "another", "JWT"}); err != nil || again == h {
			t.Errorf("%s: two keys have one header: %v", algorithm, err)
		}
		for range c.times {
			text, err := compact(signingkey.Key{ID: "a key", Algorithm: algorithm, Private: c.key}, h, []byte(`{"sub":"ada"}`))
			if err != nil {
				t.Fatal(err)
			}
			read, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
			if err != nil {
				t.Fatalf("%s: %s: %v", algorithm, text, err)
			}
			plain, err := read.Verify(c.key.Public())
			if err != nil || string(plain) != `{"sub":"ada"}` {
				t.Fatalf("%s: %s: %v", algorithm, text, err)
			}
			said := read.Signatures[0].Protected
			if said.KeyID != "a key" || said.ExtraHeaders["typ"] != "JWT" {
				t.Fatalf("%s: the header is %+v", algorithm, said)
			}
		}
	}
}

// A signature of another curve, and what is no signature at all, is nobody's.
func TestOnlySignaturesOfP256(t *testing.T) {
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := compact(signingkey.Key{Algorithm: signingkey.ES256, Private: wide}, "e30", []byte("{}")); err == nil {
		t.Errorf("P-384 signs as ES256: %s", text)
	}
	for _, der := range []string{"", "\x30\x00", strings.Repeat("\xff", 70)} {
		if out, err := fixed([]byte(der)); err == nil {
			t.Errorf("%x is taken for %x", der, out)
		}
	}
}
