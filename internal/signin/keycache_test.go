package signin

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/authenticator/apikey"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// The promise: a key serves the application and the action that it was issued for, from its
// networks; what was granted is remembered for half a minute for exactly that, leaves one entry,
// and is forgotten in the moment in which the key is revoked, its owner is suspended or it ends.
func TestKeyAtAnApplication(t *testing.T) {
	r, _, _ := withAda(t)
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service})
	key, e, err := apikey.Issue(apikey.Terms{Actions: []string{"wiki/sign-in", "wiki/wiki.admin"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: r.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	row := r.give(robot, "apikey", e)
	ask := func(app, action, key string, from netip.Addr) Step {
		t.Helper()
		s, err := r.CheckKey(t.Context(), Request{Application: app, Action: action, Protocol: "forward-auth", Source: from, Method: "GET", Path: "/api", Session: "x"}, "apikey", key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := len(r.events("signin.granted"))
	for range 20 {
		if s := ask("wiki", "", key, home); s.State != Granted || s.Grant.Name() != "robot" || s.Grant.Application() != "wiki" || s.Grant.Source() != home {
			t.Fatalf("%+v", s)
		}
	}
	if n := len(r.events("signin.granted")) - before; n != 1 {
		t.Errorf("%d entries of twenty requests", n)
	}
	for _, k := range []struct {
		app, action, key, why string
		from                  netip.Addr
	}{
		{"wiki", "", key, "other-network", netip.MustParseAddr("198.51.100.1")}, {"wiki", "", key, "other-network", netip.Addr{}}, {"wiki", "wiki.other", key, "other-action", home},
		{"vpn", "", key, "other-action", home}, {Self, "account.list", key, "other-action", home}, {Self, "", key, "other-action", home},
		{"wiki", "", key + "x", "wrong", home}, {"wiki", "", apikey.Prefix + "abcdefghijklmnop_abc", "unknown-key", home},
	} {
		r.is(k.why, ask(k.app, k.action, k.key, k.from), Denied, k.why)
	}
	if s := ask("wiki", "", key, home); s.State != Granted {
		t.Errorf("after refusals: %+v", s)
	}
	r.alter(row, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	r.is("revoked", ask("wiki", "", key, home), Denied, directory.CredentialRevoked)
	r.alter(row, func(c *directory.Credential) { c.Status = directory.CredentialActive })
	if s := ask("wiki", "", key, home); s.State != Granted {
		t.Errorf("active again: %+v", s)
	}
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Get(t.Context(), tx, robot.ID)
		if err != nil {
			return err
		}
		a.State = directory.Suspended
		tx.Announce(directory.Topic(robot.ID))
		return r.people.Update(t.Context(), tx, a)
	})
	if s := ask("wiki", "", key, home); s.State == Granted {
		t.Error("a suspended service is granted")
	}
}

// A key that ends is remembered no longer than it lives.
func TestKeyAtAnApplicationEnds(t *testing.T) {
	r, _, _ := withAda(t)
	robot := r.account(directory.NewAccount{Name: "robot", Kind: directory.Service})
	key, e, err := apikey.Issue(apikey.Terms{Actions: []string{"wiki/sign-in"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: r.Now().Add(10 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	r.give(robot, "apikey", e)
	ask := func() Step {
		t.Helper()
		s, err := r.CheckKey(t.Context(), Request{Application: "wiki", Protocol: "forward-auth", Source: home}, "apikey", key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := ask(); s.State != Granted {
		t.Fatalf("%+v", s)
	}
	r.clock.Later(11 * time.Second)
	r.is("over", ask(), Denied, "expired")
}
