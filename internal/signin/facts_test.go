package signin

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"countersign/internal/directory"
	"countersign/internal/prompt"
)

// What policy is told, and what a decision says beside its yes.
func TestFactsAndRules(t *testing.T) {
	tab := newTable(t)
	m := tab.matterOf().has("password", "totp").shows("password", "totp")
	m.account.Used = moment.Add(-31 * day)
	m.account.Risk = moment
	m.account.State = directory.Suspended
	f := m.facts(m.account, true)
	if !f.Account.Dormant || !f.Account.AtRisk || !f.Account.Suspended || !f.Account.New || f.Reads {
		t.Errorf("%+v", f)
	}
	f = tab.matterOf().facts(tab.matterOf().account, false)
	if f.Account.Dormant || f.Account.AtRisk || f.Account.Suspended || f.Account.New || f.Reads || f.Application.Name != "wiki" || !f.Now.Equal(moment) {
		t.Errorf("%+v", f)
	}
	if look := tab.matterOf().does("account.list", ""); !look.facts(look.account, false).Reads {
		t.Error("looking is not told to policy")
	}
	if change := tab.matterOf().does("account.create", "bob"); change.facts(change.account, false).Reads {
		t.Error("a change is told to policy as looking")
	}
	other := tab.matterOf()
	other.Action = "account.list"
	if other.facts(other.account, false).Reads {
		t.Error("an application's act of that name is looking")
	}
	m = tab.matterOf().has("password", "totp").shows("password", "totp")
	if d := decide(m); strings.Join(d.rules, ", ") != "people" || d.fresh || d.account.ID != 7 {
		t.Errorf("rules %v, fresh %t", d.rules, d.fresh)
	}
	if d := decide(tab.matterOf().has("password").shows("password")); !d.fresh {
		t.Error("who lacks a second factor is not new")
	}
	if d := decide(tab.matterOf().has("password", "totp")); !d.public.IsZero() || len(d.credentials["totp"]) != 1 || d.credentials["totp"][0].ID != 2 {
		t.Errorf("%q %v", d.public, d.credentials)
	}
}

// Both codes that bring somebody back are to be had only where each of their kinds is.
func TestRecoversByCodes(t *testing.T) {
	all := newTable(t).setting
	if !all.recoversByCodes() {
		t.Error("with both kinds there is no way back by codes")
	}
	for _, kind := range []string{"recoverycode", "mailcode"} {
		less := all
		less.kinds = slices.DeleteFunc(slices.Clone(all.kinds), func(k kindOf) bool { return k.Kind == kind })
		if less.recoversByCodes() {
			t.Errorf("without %s there is a way back by codes", kind)
		}
	}
}

type kindOf = kind

// Who stands where sees what the engine would say of them.
func TestView(t *testing.T) {
	r := newRig(t, anyFactor)
	person := directory.Account{ID: 7, Name: "ada", Kind: directory.Person, State: directory.Active, Created: moment}
	for _, c := range []struct {
		s       Standpoint
		refuses string
		beside  bool
	}{
		{Standpoint{Account: person, Application: Own(), Action: SignIn}, "", false},
		{Standpoint{Account: person, Application: Own(), Action: "account.create"}, "not-administrator", false},
		{Standpoint{Account: person, Application: Own(), Action: "authenticator.enroll"}, "", true},
		{Standpoint{Account: directory.Account{ID: 7, State: directory.Suspended}, Application: Own(), Action: "account.create"}, "suspended", false},
	} {
		v := r.View(c.s)
		if v.Refuses != c.refuses || (v.EngineRequires != nil) != c.beside || v.Delegated {
			t.Errorf("%+v: %+v", c.s, v)
		}
	}
}

// What is shown to sign in, to look and to set up the rest is bound to no act; what is
// shown for an act of our own to that one.
func TestWhatActItIs(t *testing.T) {
	for _, c := range []struct{ application, action, object, want string }{
		{Self, SignIn, "", ""}, {Self, CommandLine, "terminal", ""}, {Self, "account.list", "all", ""}, {"wiki", "account.create", "bob", ""},
		{Self, "authenticator.enroll", SettingUp, ""}, {Self, "authenticator.enroll", "totp", "authenticator.enroll totp"},
		{Self, "account.create", SettingUp, "account.create " + SettingUp}, {Self, Approve, "request 3", Approve + " request 3"}, {Self, "account.create", "bob", "account.create bob"},
	} {
		if got := (Request{Application: c.application, Action: c.action, Object: c.object}).act(reads); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Whom policy denies reads the words of the rule once they are known, and nothing before:
// not after a right password by a medium in which a denial does not tell it from a wrong one.
func TestWhomPolicyDeniesReadsWhy(t *testing.T) {
	tab := newTable(t)
	there := netip.MustParseAddr("203.0.113.7")
	from := func(m *matter) { m.Source = there }
	for name, c := range map[string]struct {
		m    *matter
		want string
	}{
		"with two factors by RADIUS":  {tab.matterOf().has("password", "totp").shows("password", "totp").by(prompt.Line).but(from), "refuse this: not from there."},
		"with a session":              {tab.matterOf().has("password", "totp").holds("password", "totp").but(from), "refuse this: not from there."},
		"with the password on a page": {tab.matterOf().has("password", "totp").shows("password").but(from), "refuse this: not from there."},
		"with the password by RADIUS": {tab.matterOf().has("password", "totp").shows("password").by(prompt.Line).but(from), ""},
		"with a code on a page":       {tab.matterOf().has("password", "totp").shows("totp").but(from), ""},
		"with nothing":                {tab.matterOf().has("password", "totp").but(from), ""},
		"whom no rule is about":       {tab.matterOf().has("password", "totp").shows("password", "totp").but(func(m *matter) { m.account.Kind = "robot" }), "no rule lets you"},
	} {
		d := decide(c.m)
		if d.state != Denied || (c.want == "") != (d.public.IsZero()) || !strings.Contains(d.public.String(), c.want) {
			t.Errorf("%s: %v, %q for %s", name, d.state, d.public, d.reason)
		}
	}
}
