package signin

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// withRobot is a service with a key for one action from one network.
func withRobot(t *testing.T) (r *rig, robot directory.Account, key string, c directory.Credential) {
	t.Helper()
	r = newRig(t, twoFactors)
	robot = r.account(directory.NewAccount{Name: "robot", Kind: directory.Service}, directory.Administrators)
	key, e, err := apikey.Issue(apikey.Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Expires: r.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return r, robot, key, r.give(robot, "apikey", e)
}

func beginByKey(r *rig, key string, edit func(q *Request)) Step {
	r.t.Helper()
	q := Request{Application: Self, Action: "account.list", Protocol: "api", Source: home}
	edit(&q)
	s, err := r.CheckKey(r.t.Context(), q, "apikey", key)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// What a key is refused is recorded: whose it is only where the key was right, and with
// what was shown where policy or the account stood against it.
func TestWhatAKeyIsRefused(t *testing.T) {
	r, robot, key, c := withRobot(t)
	same := func(*Request) {}
	r.is("for what it was issued", beginByKey(r, key, same), Granted, "")
	if en := r.last("signin.granted"); en.Account != int64(robot.ID) || en.Action != "account.list" || en.Detail["shown"] != "apikey" || en.Source != home.String() {
		t.Errorf("%+v", en)
	}
	r.is("not quite the key", beginByKey(r, key[:len(key)-1]+"~", same), Denied, "wrong")
	if en := r.last("signin.refused"); en.Account != 0 || en.AccountName != "" || en.Reason != "wrong" {
		t.Errorf("whose it is was told: %+v", en)
	}
	r.is("from elsewhere", beginByKey(r, key, func(q *Request) { q.Source = netip.MustParseAddr("198.51.100.1") }), Denied, "other-network")
	if en := r.last("signin.refused"); en.Account != int64(robot.ID) || en.Source != "198.51.100.1" {
		t.Errorf("%+v", en)
	}
	r.is("for another action", beginByKey(r, key, func(q *Request) { q.Action = "account.create" }), Denied, "other-action")
	r.is("for an application", beginByKey(r, key, func(q *Request) { q.Application = "nowhere"; q.Action = SignIn }), Denied, "other-action")
	if n := len(r.events("alarm.factor-missing")); n != 0 {
		t.Errorf("%d alarms", n)
	}

	r.rules("rules:\n  - {name: all, require: two-factors}\n")
	s := beginByKey(r, key, same)
	if s.State != Denied || s.Reason == "" || s.Public != bland || s.Ticket != "" {
		t.Errorf("policy accepts no keys: %+v", s)
	}
	if en := r.last("signin.refused"); en.Account != int64(robot.ID) || en.AccountName != "robot" || en.Reason != s.Reason {
		t.Errorf("%+v", en)
	}
	r.rules(twoFactors)

	r.state(robot, directory.Suspended)
	if s := beginByKey(r, key, same); s.State != Denied || s.Reason == "" {
		t.Errorf("of one that is suspended: %+v", s)
	}
	r.state(robot, directory.Active)
	r.is("awake again", beginByKey(r, key, same), Granted, "")
	r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialDisabled })
	r.is("switched off", beginByKey(r, key, same), Denied, directory.CredentialDisabled)
	r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialActive })
	r.clock.Later(2 * time.Hour)
	if s := beginByKey(r, key, same); s.State != Denied || s.Reason == "" {
		t.Errorf("after its end: %+v", s)
	}
	if n := len(r.events("signin.granted")); n != 2 {
		t.Errorf("%d grants", n)
	}
}

// What is explained of a key, and seen of its account, is what it would be given:
// for its action, in Countersign itself, of a service, while it is active.
func TestWhoIsServedByAKey(t *testing.T) {
	r, robot, _, c := withRobot(t)
	ada := r.person("ada")
	all := func(a directory.Account) []directory.Credential {
		t.Helper()
		out, err := r.credentials.All(t.Context(), r.DB, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	wiki, err := r.judge.application(t.Context(), "wiki")
	if err != nil {
		t.Fatal(err)
	}
	keys := all(robot)
	for _, c := range []struct {
		what   string
		at     Standpoint
		served bool
	}{
		{"for its action", Standpoint{Account: robot, Credentials: keys, Application: Own(), Action: "account.list"}, true},
		{"for another", Standpoint{Account: robot, Credentials: keys, Application: Own(), Action: "account.create"}, false},
		{"elsewhere", Standpoint{Account: robot, Credentials: keys, Application: wiki, Action: "account.list"}, false},
		{"of a person", Standpoint{Account: ada, Credentials: keys, Application: Own(), Action: "account.list"}, false},
		{"without one", Standpoint{Account: robot, Application: Own(), Action: "account.list"}, false},
	} {
		if v := r.View(c.at); v.Delegated != c.served {
			t.Errorf("%s: %t", c.what, v.Delegated)
		}
	}
	q := Request{Application: Self, Action: "account.list", Name: "robot", Protocol: "api"}
	if x, err := r.Explain(t.Context(), q, r.Now()); err != nil || !x.Possible || x.Reason != "" {
		t.Errorf("%+v, %v", x, err)
	}
	r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	if r.View(Standpoint{Account: robot, Credentials: all(robot), Application: Own(), Action: "account.list"}).Delegated {
		t.Error("a revoked key serves")
	}
	if x, err := r.Explain(t.Context(), q, r.Now()); err != nil || x.Possible || x.Reason == "" || len(x.Abilities) != 0 {
		t.Errorf("a revoked key: %+v, %v", x, err)
	}
}

// An explanation without an action is of signing in, policy's refusal of a kind is said
// of it, and what this server does not know is said as well.
func TestWhatIsExplained(t *testing.T) {
	r, ada, _ := withAda(t)
	r.give(ada, "of-before", authenticator.Enrolled{State: []byte("x")})
	r.rules("rules:\n  - {name: all, require: one-factor, refuse: [password]}\n")
	x, err := r.Explain(t.Context(), browses("wiki", "ada"), r.Now())
	if err != nil || x.Facts.Action != SignIn {
		t.Fatalf("%+v, %v", x, err)
	}
	said := map[string]string{}
	for _, a := range x.Abilities {
		said[a.Kind] = a.Not
	}
	if said["password"] != "policy refuses it here" || said["totp"] != "" || said["of-before"] != "this server does not know its kind" {
		t.Errorf("%v", said)
	}
	r.rules("rules:\n  - {name: all, require: phishing-resistant}\n")
	if x, err = r.Explain(t.Context(), browses("wiki", "ada"), r.Now()); err != nil || x.Possible || x.Reason == "" {
		t.Errorf("nothing that is phishing-resistant: %+v, %v", x, err)
	}
	r.rules(twoFactors)
	if x, err = r.Explain(t.Context(), browses("wiki", "ada"), r.Now()); err != nil || !x.Possible {
		t.Errorf("%+v, %v", x, err)
	}
	if n := len(r.events("signin")); n != 0 {
		t.Errorf("%d entries of explanations", n)
	}
}

// While an answer is checked, its credential changes: the answer is nothing then.
type meanwhile struct {
	right
	then *func()
	next []byte // what an answer leaves to be written; nil for nothing, as a passkey on many devices
}

// whileChecked is every kind, of which one is right about everything and has then happen
// while it is checked.
func whileChecked(t *testing.T, kind string, then *func(), next []byte) []authenticator.Authenticator {
	t.Helper()
	kinds := everyKind(t)
	instead(kinds, kind, func(how authenticator.Authenticator) authenticator.Authenticator {
		return meanwhile{right{how}, then, next}
	})
	return kinds
}

func (a meanwhile) Check(ctx context.Context, c []authenticator.Credential, m authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	result, err := a.right.Check(ctx, c, m, answer, now)
	result.Next = a.next
	if f := *a.then; f != nil {
		*a.then = nil
		f()
	}
	return result, err
}

// What was right when it was checked, and is not when it is written, grants nothing:
// checked before the transaction, it is checked again or refused.
func TestWhatChangesWhileItIsChecked(t *testing.T) {
	for _, kind := range []string{"passkey", "password"} {
		var then func()
		kinds := whileChecked(t, kind, &then, []byte("next"))
		r := newRig(t, anyFactor, kinds...)
		ada := r.person("ada")
		c := r.give(ada, kind, authenticator.Enrolled{Traits: r.kinds[kind].Describe().Traits, State: []byte("x")})
		use := func() (Step, error) { return r.Begin(t.Context(), browses("wiki", "ada", typed(kind, "x"))) }
		if s, err := use(); err != nil || s.State != Granted {
			t.Fatalf("%s: %+v, %v", kind, s, err)
		}
		then = func() { r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialRevoked }) }
		if s, err := use(); err == nil && s.State == Granted || err != nil && failure.ClassOf(err) != failure.Conflict {
			t.Errorf("%s, revoked meanwhile: %+v, %v", kind, s, err)
		}
		now, err := r.credentials.Get(t.Context(), r.DB, ada.ID, c.ID)
		if err != nil || now.Status != directory.CredentialRevoked || string(now.State) != "next" {
			t.Errorf("%s: it is %s with %s, %v", kind, now.Status, now.State, err)
		}
		r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialActive })
		then = func() {
			r.change(func(tx *store.Tx) error {
				a, err := r.people.Get(t.Context(), tx, ada.ID)
				if err != nil {
					return err
				}
				a.State = directory.Suspended
				return r.people.Update(t.Context(), tx, a)
			})
		}
		if s, err := use(); err != nil || s.State == Granted {
			t.Errorf("%s, suspended meanwhile: %+v, %v", kind, s, err)
		}
	}
}
