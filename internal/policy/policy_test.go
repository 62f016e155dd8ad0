package policy

import "testing"

func standard() Known {
	return Known{
		Groups:           []string{"admins", "contractors", "staff", "oncall"},
		Kinds:            []string{"password", "totp", "hotp", "passkey", "recoverycode", "accesspass", "smscode"},
		Actions:          []string{"sign-in", "account.recover", "authenticator.enroll", "authenticator.remove", "account.create", "policy.change", "application.command", "audit.search"},
		Reading:          []string{"audit.search"},
		Applications:     []string{"countersign", "vpn", "wiki", "edge-router"},
		ApplicationKinds: []string{"web", "wiki", "vpn", "network-device", "ssh", "code"},
		Tiers:            []string{"standard", "control-plane"},
		Protocols:        []string{"browser", "forward-auth", "radius", "tacacs"},
		AccountKinds:     []string{"person", "service"},
	}
}

func compile(t testing.TB, document string) *Policy {
	t.Helper()
	p, err := Compile([]byte(document), standard())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaults(t *testing.T) {
	for name, document := range map[string]string{"default": string(Default()), "for codes": string(DefaultForCodes())} {
		results := compile(t, document).Test()
		if len(results) < 10 {
			t.Errorf("%s: %d tests", name, len(results))
		}
		for _, r := range results {
			if !r.OK {
				t.Errorf("%s: line %d: %s: want %s, got %s (%v)", name, r.Line, r.Name, r.Want, r.Got, r.Reasons)
			}
		}
	}
}
