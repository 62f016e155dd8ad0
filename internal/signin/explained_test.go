package signin

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// explained is an explanation, with what it says of each kind.
type explained struct {
	Explanation
	not map[string]string
}

func explainTo(r *rig, q Request) explained {
	r.t.Helper()
	x, err := r.Explain(r.t.Context(), q, r.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	out := explained{x, map[string]string{}}
	for _, a := range x.Abilities {
		out.not[a.Kind] = a.Not
	}
	return out
}

// What an explanation demands is what policy and the engine do, also of who cannot show
// it; only where the engine refuses before it asks policy is that what it says.
func TestWhatAnExplanationDemands(t *testing.T) {
	r := newRig(t, twoFactors)
	eve, ada := r.person("eve"), r.person("ada")
	r.withPassword(eve)
	r.withPassword(ada)
	r.withCodes(ada)
	mute := r.person("mute")
	for _, c := range []struct {
		why, rules, name string
		demands          assurance.Requirement
		possible         bool
		reason           string
	}{
		{"who can", twoFactors, "ada", assurance.TwoFactors(), true, ""},
		{"who lacks a factor", twoFactors, "eve", assurance.TwoFactors(), false, "nothing-enrolled"},
		{"who has nothing", twoFactors, "mute", assurance.TwoFactors(), false, "nothing-enrolled"},
		{"whom policy denies", denying, "ada", assurance.Deny("closed"), false, "policy: closed"},
		{"who is suspended", twoFactors, "mute", assurance.Deny("suspended"), false, "suspended"},
	} {
		r.rules(c.rules)
		if c.reason == "suspended" {
			r.state(mute, directory.Suspended)
		}
		x := explainTo(r, browses("wiki", c.name))
		why, no := x.Requirement.Denied()
		wantWhy, wantNo := c.demands.Denied()
		if x.Possible != c.possible || x.Reason != c.reason || no != wantNo || no && why != wantWhy || !no && !(x.Requirement.Implies(c.demands) && c.demands.Implies(x.Requirement)) {
			t.Errorf("%s: %t %q, demands %v", c.why, x.Possible, x.Reason, x.Requirement)
		}
	}
}

// What is on another device can be used there once something else was shown, unless policy
// refuses it or it is new; where nothing else can be shown it is no way in.
func TestWhatIsExplainedOfElsewhere(t *testing.T) {
	r := newRig(t, twoFactors)
	ada, eve := r.person("ada"), r.person("eve")
	r.withPassword(ada)
	for _, a := range []directory.Account{ada, eve} {
		r.give(a, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("{}")})
	}
	line := func(name string) Request {
		return Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Line | prompt.Display}
	}
	if x := explainTo(r, line("ada")); !x.Possible || x.not["passkey"] != "" {
		t.Errorf("with a password: %+v", x)
	}
	if x := explainTo(r, line("eve")); x.Possible || x.not["passkey"] != notHere {
		t.Errorf("with nothing else: %+v", x)
	}
	r.rules("rules:\n  - {name: all, require: two-factors, refuse: [passkey]}\n")
	if x := explainTo(r, line("ada")); x.Possible || x.not["passkey"] != "policy refuses it here" {
		t.Errorf("refused by policy: %+v", x)
	}
}

// Of an account whose key serves an action nothing but the key is worth anything there,
// and a key that cannot be read serves nothing.
func TestWhatIsExplainedOfAKey(t *testing.T) {
	r := newRig(t, twoFactors)
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service}, directory.Administrators)
	_, e, err := apikey.Issue(apikey.Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: r.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c := r.give(robot, "apikey", e)
	r.withPassword(robot)
	q := Request{Application: Self, Action: "account.list", Name: "robot", Protocol: "api"}
	if x := explainTo(r, q); !x.Possible || x.not["apikey"] != "" || x.not["password"] != notHere {
		t.Errorf("%+v", x)
	}
	if x := explainTo(r, browses("wiki", "robot")); x.Possible || x.not["apikey"] != notHere || x.not["password"] != "" {
		t.Errorf("to sign in: %+v", x)
	}
	r.alter(c, func(c *directory.Credential) { c.State = []byte("x") })
	if x := explainTo(r, q); x.Possible || x.not["apikey"] == "" {
		t.Errorf("a key that cannot be read: %+v", x)
	}
}
