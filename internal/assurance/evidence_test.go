package assurance_test

import (
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
)

// A PIN and a code of one token are two factors and say so; a code twice, or a
// password twice, are one.
func TestPINAndCodeAreTwoFactors(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shown := func(kind string, id assurance.CredentialID, traits assurance.Trait) assurance.Evidence {
		return assurance.Evidence{Account: 7, Kind: kind, Credential: id, Traits: traits, Time: now}
	}
	method := func(kind string) string { return map[string]string{"password": "pwd"}[kind] }
	both := []assurance.Evidence{shown("hotp", 5, assurance.Held|assurance.Known)}
	if !assurance.TwoFactors().Met(both, now) || assurance.AAL(both) != 2 || assurance.ACR(both) != "urn:countersign:aal2" {
		t.Errorf("PIN and code are AAL%d", assurance.AAL(both))
	}
	if assurance.Phishing().Met(both, now) || assurance.Hardware().Met(both, now) {
		t.Error("PIN and code resist phishing")
	}
	if amr := assurance.AMR(both, method); !slices.Equal(amr, []string{"mfa", "otp", "pin"}) {
		t.Errorf("their amr is %v", amr)
	}
	if amr := assurance.AMR([]assurance.Evidence{shown("password", 1, assurance.Known), shown("hotp", 5, assurance.Held)}, method); !slices.Equal(amr, []string{"mfa", "otp", "pwd"}) {
		t.Errorf("a password and a code are %v", amr)
	}
	for what, evidence := range map[string][]assurance.Evidence{
		"two tokens":      {shown("hotp", 5, assurance.Held), shown("totp", 6, assurance.Held)},
		"a password":      {shown("password", 1, assurance.Known)},
		"a code alone":    {shown("hotp", 5, assurance.Held)},
		"the code after":  assurance.Append(both, shown("hotp", 5, assurance.Held)),
		"nothing":         nil,
		"a PIN long past": {{Account: 7, Kind: "hotp", Credential: 5, Traits: assurance.Held | assurance.Known, Time: now.Add(-2 * assurance.Forever)}},
	} {
		if assurance.TwoFactors().Met(evidence, now) {
			t.Errorf("two factors are %s", what)
		}
		if slices.Contains(assurance.AMR(evidence, method), "pin") && what != "a PIN long past" {
			t.Errorf("%s has a PIN", what)
		}
	}
}
