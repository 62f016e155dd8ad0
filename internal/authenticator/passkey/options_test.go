package passkey_test

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator/passkey"
)

func TestOptions(t *testing.T) {
	set := func(rpID string, origins ...string) func(*passkey.Options) {
		return func(o *passkey.Options) { o.RPID, o.Origins = rpID, origins }
	}
	for _, test := range []struct {
		name, say string // say is part of the sentence; empty accepts
		change    func(*passkey.Options)
	}{
		{"as they are", "", func(*passkey.Options) {}},
		{"host itself", "", set("login.example.org", "https://login.example.org")},
		{"localhost", "", set("localhost", "http://localhost:8080", "https://localhost", "http://localhost")},
		{"international", "", set("xn--bcher-kva.example", "https://xn--bcher-kva.example")},
		{"own domain below a shared suffix", "", set("acme.github.io", "https://acme.github.io")},

		{"no rpId", "the host is empty", set("", origin)},
		{"no origin", "no origin is given", set("example.org")},
		{"top-level domain", "public suffix", set("org", "https://example.org")},
		{"second-level suffix", "public suffix", set("co.uk", "https://acme.co.uk")},
		{"private suffix", "public suffix", set("github.io", "https://acme.github.io")},
		{"one-label intranet", "public suffix", set("intranet", "https://intranet")},
		{"address", "an address cannot have passkeys", set("192.0.2.1", "https://192.0.2.1")},
		{"rpId with a port", "not a domain name", set("example.org:443", origin)},
		{"rpId as an origin", "not a domain name", set("https://example.org", origin)},
		{"rpId in capitals", "lower case", set("Example.org", origin)},
		{"rpId not ASCII", "xn--", set("b\u00fccher.example", "https://xn--bcher-kva.example")},
		{"rpId with a trailing dot", "not a domain name", set("example.org.", origin)},
		{"origin elsewhere", "is not on", set("example.org", "https://example.com")},
		{"origin with the suffix only", "is not on", set("example.org", "https://evilexample.org")},
		{"origin above", "is not on", set("login.example.org", "https://example.org")},
		{"http", "without TLS", set("example.org", "http://login.example.org")},
		{"http on a localhost subdomain", "without TLS", set("localhost", "http://x.localhost")},
		{"other scheme", "use https", set("example.org", "ftp://login.example.org")},
		{"no scheme", "the host is empty", set("example.org", "login.example.org")},
		{"wildcard", "not a domain name", set("example.org", "https://*.example.org")},
		{"trailing slash", "write it as browsers do: https://login.example.org", set("example.org", "https://login.example.org/")},
		{"path", "write it as browsers do", set("example.org", "https://login.example.org/sso")},
		{"query", "write it as browsers do", set("example.org", "https://login.example.org?x")},
		{"user", "write it as browsers do", set("example.org", "https://ada@login.example.org")},
		{"default port", "write it as browsers do: https://login.example.org", set("example.org", "https://login.example.org:443")},
		{"port with zeros", "write it as browsers do: https://login.example.org:8443", set("example.org", "https://login.example.org:08443")},
		{"port zero", "no number from 1", set("example.org", "https://login.example.org:0")},
		{"capitals", "lower case", set("example.org", "https://Login.example.org")},
		{"not ASCII", "xn--", set("example.org", "https://l\u00f6gin.example.org")},
		{"address origin", "an address", set("example.org", "https://[::1]")},
		{"control character", "not a URL", set("example.org", "https://login.example.org\x00")},

		{"short timeout", "choose from 1m0s to 10m0s", func(o *passkey.Options) { o.Timeout = time.Second }},
		{"long timeout", "choose from 1m0s to 10m0s", func(o *passkey.Options) { o.Timeout = time.Hour }},
		{"attestation word", "attestation is \"indirect\"; use one of [none direct]", func(o *passkey.Options) { o.Attestation = "indirect" }},
		{"verification word", "user-verification", func(o *passkey.Options) { o.UserVerification = "discouraged" }},
		{"backup word", "backup-eligible", func(o *passkey.Options) { o.BackupEligible = "no" }},
		{"resident word", "resident-key", func(o *passkey.Options) { o.ResidentKey = "yes" }},
		{"counter word", "counter-regression", func(o *passkey.Options) { o.CounterRegression = "ignore" }},
		{"hint", "hint", func(o *passkey.Options) { o.Hints = []string{"phone"} }},
		{"attested without direct", "attestation: direct", func(o *passkey.Options) { o.RequireAttested = true }},
		{"allow list without direct", "attestation: direct", func(o *passkey.Options) { o.AllowAAGUIDs = []string{modelText} }},
		{"attested without roots", "roots to trust", func(o *passkey.Options) { o.RequireAttested, o.Attestation = true, passkey.Direct }},
		{"not an AAGUID", "not an AAGUID", func(o *passkey.Options) { o.DenyAAGUIDs = []string{"yubikey"} }},
		{"half an AAGUID", "not an AAGUID", func(o *passkey.Options) { o.DenyAAGUIDs = []string{"2fc0579f-8113-47ea-b116-bb5a8db920--"} }},
		{"zero AAGUID", "no model", func(o *passkey.Options) { o.DenyAAGUIDs = []string{"00000000-0000-0000-0000-000000000000"} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options()
			test.change(&o)
			_, err := passkey.New(o)
			switch {
			case test.say == "" && err != nil:
				t.Fatal(err)
			case test.say != "" && err == nil:
				t.Fatal("accepted")
			case test.say != "" && !strings.Contains(err.Error(), test.say):
				t.Fatalf("%q does not say %q", err, test.say)
			}
		})
	}
}
