package dbsc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func elliptical(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t testing.TB, key crypto.Signer, challenge string, registers bool) string {
	t.Helper()
	text, err := Signed(key, challenge, registers)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func as(t testing.TB, key crypto.Signer, head, body map[string]any) string {
	t.Helper()
	text, err := SignedAs(key, head, body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A key that registers proves itself later, and is read back from what is kept of it.
func TestBothAlgorithms(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"ES256": elliptical(t, elliptic.P256()), "RS256": rsaKey(t, 2048)} {
		k, challenge, err := Registered(signed(t, key, "first", true))
		if err != nil || challenge != "first" {
			t.Fatalf("%s: %q, %v", name, challenge, err)
		}
		kept, err := ParseKey(k.Stored())
		if err != nil || !bytes.Equal(kept.Thumbprint(), k.Thumbprint()) || string(k.algorithm) != name {
			t.Fatalf("%s: another key comes back: %v", name, err)
		}
		if _, again, err := Registered(strings.Trim(signed(t, key, "first", true), `"`)); err != nil || again != "first" {
			t.Errorf("%s without quotes: %q, %v", name, again, err)
		}
		if challenge, err := kept.Proven(signed(t, key, "second", false)); err != nil || challenge != "second" {
			t.Errorf("%s: %q, %v", name, challenge, err)
		}
	}
}

// head is that of a registration by this key.
func head(key crypto.Signer, alg string) map[string]any {
	return map[string]any{"alg": alg, "typ": proofType, "jwk": jose.JSONWebKey{Key: key.Public()}}
}

// Nothing but a whole proof of one of the two algorithms registers a key.
func TestNoRegistration(t *testing.T) {
	key, other := elliptical(t, elliptic.P256()), elliptical(t, elliptic.P256())
	body := map[string]any{"jti": "c"}
	good := signed(t, key, "c", true)
	parts := strings.Split(strings.Trim(good, `"`), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"dbsc+jwt"}`))
	private := head(key, "ES256")
	private["jwk"] = jose.JSONWebKey{Key: key}
	weak, wide, long := rsaKey(t, 1024), elliptical(t, elliptic.P384()), rsaKey(t, 2048)
	for name, header := range map[string]string{
		"nothing":             "",
		"half a quote":        strings.TrimSuffix(good, `"`),
		"two proofs":          good + "," + good,
		"another's signature": as(t, other, head(key, "ES256"), body),
		"none":                `"` + none + "." + parts[1] + `."`,
		"none with signature": as(t, key, head(key, "none"), body),
		"HS256":               hs256(t, key),
		"ES384":               as(t, key, head(key, "ES384"), body),
		"RS256 by EC":         as(t, key, head(key, "RS256"), body),
		"ES256 by RSA":        as(t, long, head(long, "ES256"), body),
		"a short RSA key":     as(t, weak, head(weak, "RS256"), body),
		"P-384":               as(t, wide, head(wide, "ES256"), body),
		"its private key":     as(t, key, private, body),
		"no key":              signed(t, key, "c", false),
		"another type":        as(t, key, map[string]any{"alg": "ES256", "typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: key.Public()}}, body),
		"no type":             as(t, key, map[string]any{"alg": "ES256", "jwk": jose.JSONWebKey{Key: key.Public()}}, body),
		"a critical header":   as(t, key, map[string]any{"alg": "ES256", "typ": proofType, "crit": []string{"x"}, "x": 1, "jwk": jose.JSONWebKey{Key: key.Public()}}, body),
		"no challenge":        as(t, key, head(key, "ES256"), map[string]any{}),
		"a long challenge":    as(t, key, head(key, "ES256"), map[string]any{"jti": strings.Repeat("c", challengeMost+1)}),
		"a number":            as(t, key, head(key, "ES256"), map[string]any{"jti": 7}),
		"huge":                as(t, key, head(key, "ES256"), map[string]any{"jti": "c", "more": strings.Repeat("x", proofMost)}),
		"another body":        `"` + parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"d"}`)) + "." + parts[2] + `"`,
	} {
		if _, challenge, err := Registered(header); err == nil {
			t.Errorf("%s: it registers, and says %q", name, challenge)
		}
	}
}

// hs256 is a proof whose secret is the public key of somebody.
func hs256(t testing.TB, key crypto.Signer) string {
	t.Helper()
	k, err := newKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	h, err := json.Marshal(head(key, "HS256"))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"jti":"c"}`))
	sum := hmac.New(sha256.New, k.Stored())
	sum.Write([]byte(text))
	return `"` + text + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)) + `"`
}

// A refresh is proven by the key of the session and by no other, whatever key the proof brings.
func TestNoRefresh(t *testing.T) {
	mine, other := elliptical(t, elliptic.P256()), elliptical(t, elliptic.P256())
	k, err := newKey(mine.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]string{
		"another key":                  signed(t, other, "c", false),
		"another key, which it brings": signed(t, other, "c", true),
		"its own key, which it brings": signed(t, mine, "c", true),
		"HS256":                        hs256(t, mine),
	} {
		if _, err := k.Proven(header); err == nil {
			t.Errorf("%s proves it", name)
		}
	}
	if _, err := (Key{}).Proven(signed(t, mine, "c", false)); err == nil {
		t.Error("no key verifies a proof")
	}
	if _, err := ParseKey([]byte("x")); err == nil {
		t.Error("anything is a key")
	}
}

func TestIdentifier(t *testing.T) {
	for header, want := range map[string]string{`"abc"`: "abc", `"abc";x=1`: "abc", "abc": "abc", `"abc" x`: "", `a"bc`: "", `"a\"b"`: "", `""`: "", `"a b"`: ""} {
		if got := Identifier(header); got != want {
			t.Errorf("%s: %q, not %q", header, got, want)
		}
	}
}

// FuzzProof looks for a header that is believed without a signature of the key, or that breaks.
func FuzzProof(f *testing.F) {
	key := elliptical(f, elliptic.P256())
	good := signed(f, key, "c", true)
	for _, s := range []string{good, signed(f, key, "c", false), hs256(f, key), `"a.b.c"`, `"..";x`, "a.b.c", strings.Trim(good, `"`)} {
		f.Add(s)
	}
	own, err := newKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	stranger := elliptical(f, elliptic.P256())
	f.Fuzz(func(t *testing.T, header string) {
		k, challenge, err := Registered(header)
		if err == nil && (challenge == "" || len(k.Stored()) == 0) {
			t.Fatalf("%q registers nothing", header)
		}
		if _, err := ParseKey(k.Stored()); (err == nil) != (len(k.Stored()) > 0) {
			t.Fatalf("%q registers a key that is none", header)
		}
		theirs, _ := newKey(stranger.Public())
		if _, err := theirs.Proven(header); err == nil {
			t.Fatalf("%q is proven by a key that signed nothing", header)
		}
		own.Proven(header)
	})
}
