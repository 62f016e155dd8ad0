package oidc

import (
	"countersign/internal/jws"
	"strings"
	"testing"
	"time"
)

// Whatever a client sends for a statement is read to its end or refused, and is somebody's only
// by a key of the settings.
func FuzzStatement(f *testing.F) {
	f.Add(`{"iss":"wiki","sub":"wiki","aud":"https://a","exp":1,"jti":"x"}`)
	f.Add(`{"aud":["a","b"],"exp":1e300,"nbf":-1}`)
	f.Add(`{"exp":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := jws.Parse([]byte(text))
		if !ok {
			return
		}
		if s.Expires.IsZero() || len(s.ID) > 256 {
			t.Errorf("%q is read as %+v", text, s)
		}
		s.Current(time.Now())
		if v, err := paramsOf(s, client{Settings: Settings{ClientID: "wiki"}}); err == nil && v["client_id"] != "wiki" {
			t.Errorf("%q are the parameters %v", text, v)
		}
	})
}

// No text is a statement of a client that has no keys, nor one that its key did not sign.
func FuzzForgedStatement(f *testing.F) {
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(strings.Repeat(".", 20000))
	c := client{Settings: Settings{ClientID: "wiki", Keys: []string{`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`}}} // RFC 7517 appendix A.1
	if keys, err := c.keys(); err != nil || len(keys) != 1 {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := c.read(text, requestType); ok {
			t.Errorf("%q is a statement", text)
		}
		claimed(text)
	})
}

// A private key, a shared one and a short one are no public keys of a client.
func TestKeysOfClients(t *testing.T) {
	for name, key := range map[string]string{
		"private":         `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`,
		"shared":          `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`,
		"off the curve":   `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}`,
		"of 1024 bits":    `{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("u", 170) + `w"}`,
		"no key":          `{}`,
		"no JSON":         `-----BEGIN PUBLIC KEY-----`,
		"of another kind": `{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}`,
		"very long":       `{"kty":"EC","x":"` + strings.Repeat("A", 9000) + `"}`,
	} {
		if _, err := (Settings{Keys: []string{key}}).keys(); err == nil || strings.Contains(err.Error(), "jpsQ") || strings.Contains(err.Error(), "AyM1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
