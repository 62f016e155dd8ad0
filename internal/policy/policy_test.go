package policy

import (
	"net/netip"
	"slices"
	"testing"
)

func standard() Known {
	return Known{
		Groups:           []string{"admins", "contractors", "staff", "oncall"},
		Kinds:            []string{"password", "totp", "hotp", "passkey", "recoverycode", "accesspass", "smscode"},
		Actions:          []string{"sign-in", "account.recover", "app-password", "authenticator.enroll", "authenticator.remove", "account.create", "policy.change", "application.command", "audit.search"},
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

// The rules of a new installation are all told, each with its text.
func TestDefaultRules(t *testing.T) {
	p, err := Compile(Default(), standard())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range DefaultRules() {
		names = append(names, r.Name)
		alone, err := Compile([]byte("rules:\n"+r.Text+"\n"), standard())
		if err != nil || !slices.Equal(alone.Rules(), []string{r.Name}) {
			t.Errorf("%s by itself: %v\n%s", r.Name, err, r.Text)
		}
	}
	if !slices.Equal(names, p.Rules()) {
		t.Errorf("the rules are %v, and told are %v", p.Rules(), names)
	}
}

// An address is in every network of the document that holds it, however it is
// written, and an unknown one in none.
func TestNetworksOfAnAddress(t *testing.T) {
	p := compile(t, "networks: {office: [10.20.0.0/16, \"2001:db8:20::/48\"], lab: [10.20.7.0/24], other: [192.0.2.0/24]}\nrules:\n  - {name: all, require: two-factors}\n")
	for address, want := range map[string][]string{"10.20.7.1": {"lab", "office"}, "::ffff:10.20.8.1": {"office"}, "2001:db8:20::1": {"office"}, "10.21.0.1": nil} {
		if got := p.Networks(netip.MustParseAddr(address)); !slices.Equal(got, want) {
			t.Errorf("%s is in %v, want %v", address, got, want)
		}
	}
	if got := p.Networks(netip.Addr{}); got != nil {
		t.Errorf("an unknown address is in %v", got)
	}
}
