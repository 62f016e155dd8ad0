package oidc

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
)

// A name in a certificate and the same in the settings are one, however it may be written (RFC
// 4514); another one never is.
func TestNamesOfCertificates(t *testing.T) {
	subject := func(n pkix.Name) dn {
		t.Helper()
		der, err := asn1.Marshal(n.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		out, ok := dnOf(der)
		if !ok {
			t.Fatal("it cannot be read")
		}
		return out
	}
	wiki := subject(pkix.Name{Country: []string{"DE"}, Organization: []string{"Example, Inc."}, CommonName: "wiki"})
	for text, same := range map[string]bool{
		`CN=wiki,O=Example\, Inc.,C=DE`:          true,
		`cn=wiki, o=Example\, Inc. , c=DE`:       true,
		`2.5.4.3=wiki,O=Example\2c Inc.,C=DE`:    true,
		`CN=\77iki,O=Example\, Inc.,C=DE`:        true,
		`CN=Wiki,O=Example\, Inc.,C=DE`:          false,
		`C=DE,O=Example\, Inc.,CN=wiki`:          false,
		`CN=wiki,O=Example\, Inc.`:               false,
		`CN=wiki,O=Example\, Inc.,C=DE,DC=org`:   false,
		`CN=wiki+C=DE,O=Example\, Inc.`:          false,
		`CN=wiki,O=Example\, Inc.,C=DE,`:         false,
		`CN=wiki,O=Example, Inc.,C=DE`:           false,
		`CN="wiki",O=Example\, Inc.,C=DE`:        false,
		`CN=#130477696b69,O=Example\, Inc.,C=DE`: false,
		`CN=wiki\00,O=Example\, Inc.,C=DE`:       false,
		`CN=wiki\`:                               false,
		`CN=`:                                    false,
		`wiki`:                                   false,
		``:                                       false,
		`NAME=wiki,O=Example\, Inc.,C=DE`:        false,
		`CN=wiki\,O=Example\\\, Inc.,C=DE`:       false,
	} {
		got, ok := parseDN(text)
		if (ok && slices.Equal(got, wiki)) != same {
			t.Errorf("%s: %q, %t", text, got, ok)
		}
	}
	several, ok := parseDN("CN=wiki+UID=7,O=Example")
	other, ok2 := parseDN("UID=7+CN=wiki,O=Example")
	if !ok || !ok2 || !slices.Equal(several, other) {
		t.Errorf("%q and %q", several, other)
	}
}

// Whatever is written, reading it ends, and what is read has no empty part.
func FuzzDN(f *testing.F) {
	for _, text := range []string{`CN=wiki,O=Example\, Inc.,C=DE`, `CN=a+UID=7`, `2.5.4.3=\e4`, `CN=\`, `=,`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseDN(text)
		if ok && (len(got) == 0 || slices.Contains(got, "")) {
			t.Errorf("%q", got)
		}
	})
}
