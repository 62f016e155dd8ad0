package saml

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/protocol/saml/message"
)

var began = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// shown are pieces of evidence.
var shown = map[string]assurance.Evidence{
	"password": {Account: 1, Kind: "password", Credential: 1, Traits: assurance.Known, Time: began},
	"code":     {Account: 1, Kind: "totp", Credential: 2, Traits: assurance.Held, Time: began},
	"phone":    {Account: 1, Kind: "push", Credential: 3, Traits: assurance.Held, OutOfBand: true, Time: began},
	"passkey":  {Account: 1, Kind: "passkey", Credential: 4, Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant, Time: began},
	"key":      {Account: 1, Kind: "passkey", Credential: 5, Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant | assurance.HardwareBound, Time: began},
	"card":     {Account: 1, Kind: "certificate", Credential: 6, Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant | assurance.HardwareBound, Time: began},
}

func method(kind string) string {
	return map[string]string{"password": "pwd", "certificate": "sc"}[kind]
}

// What a request demands is answered by what was shown, in the request's own words, and by no
// class that is not true.
func TestClassesOfEvidence(t *testing.T) {
	short := func(uri string) string { return uri[strings.LastIndexAny(uri, ":/")+1:] }
	for _, c := range []struct {
		comparison, asked, with, want string
	}{
		{"", "", "password", "PasswordProtectedTransport"},
		{"", "", "code", "unspecified"},
		{"", "", "password code", "mfa"},
		{"", "", "passkey", "mfa"},
		{"exact", classMFA, "password", "none"},
		{"exact", classMFA, "password code", "mfa"},
		{"exact", classMultiple, "password phone", "multipleauthn"},
		{"exact", classSFA, "code", "sfa"},
		{"exact", classPassword, "passkey", "none"},
		{"exact", classPassword, "password code", "PasswordProtectedTransport"},
		{"exact", classMFA + " " + classSFA, "password", "sfa"},
		{"exact", classMFA + " " + classSFA, "passkey", "mfa"},
		{"exact", oasis + "X509", "passkey", "none"},
		{"exact", oasis + "X509", "card", "X509"},
		{"exact", oasis + "TLSClient", "card", "TLSClient"},
		{"exact", oasis + "SmartcardPKI", "key", "none"},
		{"exact", oasis + "SmartcardPKI", "card", "SmartcardPKI"},
		{"exact", oasis + "MobileTwoFactorContract", "password code", "none"},
		{"exact", oasis + "MobileTwoFactorContract", "password phone", "MobileTwoFactorContract"},
		{"exact", "phr", "password code", "none"},
		{"exact", "phr", "passkey", "phr"},
		{"exact", "phrh", "passkey", "none"},
		{"exact", "phrh", "key", "phrh"},
		{"exact", oasis + "Password", "password", "unknown"},
		{"exact", oasis + "Kerberos", "passkey", "unknown"},
		{"minimum", classPassword, "password", "PasswordProtectedTransport"},
		{"minimum", classPassword, "passkey", "mfa"},
		{"minimum", classMFA, "password", "none"},
		{"minimum", classMFA, "key", "mfa"},
		{"minimum", "phr", "password code", "none"},
		{"maximum", classPassword, "password code", "aal1"},
		{"maximum", classMFA, "password code", "aal2"},
		{"maximum", classUnspecified, "passkey", "unspecified"},
		{"better", classPassword, "password", "none"},
		{"better", classPassword, "password code", "mfa"},
		{"better", classMFA, "password code", "none"},
		{"better", classMFA, "passkey", "phr"},
		{"better", "phrh", "card", "unknown"},
	} {
		wants := message.Context{Comparison: c.comparison, Classes: strings.Fields(c.asked)}
		classes := acceptable(wants)
		got := "unknown"
		if len(classes) > 0 {
			var evidence []assurance.Evidence
			for _, name := range strings.Fields(c.with) {
				evidence = append(evidence, shown[name])
			}
			uri, ok := said(classes, evidence, method)
			if got = short(uri); !ok {
				got = "none"
			}
			if r := demand(wants, classes); ok && r != nil && !r.Met(evidence, began) {
				t.Errorf("%s %s with %s is said, and not what is demanded", c.comparison, c.asked, c.with)
			}
		}
		if got != c.want {
			t.Errorf("%s %s with %s: %s and not %s", c.comparison, c.asked, c.with, got, c.want)
		}
	}
	if r := demand(message.Context{}, acceptable(message.Context{})); r != nil {
		t.Error("where nothing is demanded, nothing is")
	}
	var uris []string
	for _, c := range classes() {
		if slices.Contains(uris, c.uri) {
			t.Errorf("%s is there twice", c.uri)
		}
		uris = append(uris, c.uri)
	}
}
