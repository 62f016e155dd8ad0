package main

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// office is a world with an administrator who can say every command. Grants are
// obtained under a policy that a password and a code meet, so that the policy
// in force can be another one.
type office struct {
	*world
	ada    *person
	secret string
}

const (
	first = `account.new && action == "authenticator.enroll"`
	plain = "rules:\n  - {name: first, when: '" + first + "', require: access-pass}\n  - {name: all, when: '!(" + first + ")', require: two-factors}\n"
)

func newOffice(t *testing.T) *office {
	w, ada := withVPN(t)
	o := &office{world: w, ada: ada}
	o.change(func(ctx context.Context, tx *store.Tx) error {
		group, err := w.admin.Directory.FindGroup(ctx, tx, directory.Administrators)
		if err != nil {
			return err
		}
		d, err := w.admin.Directory.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		return w.admin.Directory.AddMember(ctx, tx, group, d)
	})
	o.policy(plain)
	o.secret = w.signedIn(ada)
	o.later(time.Minute)
	return o
}

// change writes without a command, as set-up does.
func (o *office) change(fn func(ctx context.Context, tx *store.Tx) error) {
	o.t.Helper()
	ctx := context.Background()
	err := o.db.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.set-up", Outcome: "ok"})
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) policy(body string) {
	o.t.Helper()
	o.change(func(ctx context.Context, tx *store.Tx) error {
		_, err := o.admin.Rules.Save(ctx, tx, body, "test")
		return err
	})
}

// grant is the engine's, under the plain policy; the one in force comes back.
func (o *office) grant(c admin.Command) signin.Grant {
	o.t.Helper()
	ctx := context.Background()
	inForce, err := o.admin.Rules.Latest(ctx, o.db)
	if err != nil {
		o.t.Fatal(err)
	}
	if inForce.Body != plain {
		o.policy(plain)
		defer o.policy(inForce.Body)
	}
	s, err := o.engine.Check(ctx, signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Session: o.secret, Protocol: "browser", Medium: prompt.Browser})
	if err != nil || s.State != signin.Granted {
		o.t.Fatalf("%s: %v %s %v", c.Action(), s.State, s.Reason, err)
	}
	return s.Grant
}

func (o *office) try(c admin.Command) (any, error) {
	o.t.Helper()
	return o.admin.Do(context.Background(), o.grant(c), c)
}

func do1[T any](o *office, c admin.Command) T {
	o.t.Helper()
	got, err := o.try(c)
	if err != nil {
		o.t.Fatalf("%s: %v", c.Action(), err)
	}
	return got.(T)
}

// What explain says is what the engine then does, for each of these.
func TestExplainSaysWhatHappens(t *testing.T) {
	o := newOffice(t)
	o.policy("networks: {office: [203.0.113.0/24]}\nrules:\n  - {name: all, require: two-factors}\n  - {name: away, when: '!(source in networks.office)', require: phishing-resistant}\n  - {name: no codes, when: 'application.name == \"wiki\"', refuse: [totp]}\n")
	for _, c := range []struct {
		from string
		want bool
	}{{"203.0.113.9", true}, {"198.51.100.7", false}} {
		x := do1[admin.PolicyExplanation](o, &admin.PolicyExplain{Account: "ADA", Application: "vpn", Source: c.from})
		r := line("ada", passphrase, o.ada.code())
		r.Source = netip.MustParseAddr(c.from)
		s := o.begin(r)
		if x.Possible != c.want || (s.State == signin.Granted) != c.want {
			t.Errorf("from %s: explain says %v (%s), the engine %v (%s)", c.from, x.Possible, x.Answer, s.State, s.Reason)
		}
		if x.Rules[0].Rule != "all" || len(x.Rules)+len(x.Others) != 3 || x.Protocol != "radius" {
			t.Errorf("%+v", x)
		}
		o.later(time.Minute)
	}
	x := do1[admin.PolicyExplanation](o, &admin.PolicyExplain{Account: "ada", Application: "wiki", Source: "203.0.113.9"})
	if x.Possible || !strings.Contains(x.Answer, "nothing more to show") {
		t.Errorf("with codes refused: %+v", x)
	}
	if b, _ := o.try(&admin.PolicyExplain{Account: "nobody"}); b != nil {
		t.Errorf("an account that is not there is explained: %v", b)
	}
	if _, err := o.try(&admin.PolicyExplain{Account: "ada", Source: "at home"}); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a wrong address: %v", err)
	}
	o.later(31 * 24 * time.Hour)
	r := signin.Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Single}
	if x, err := o.engine.Explain(context.Background(), r, o.now()); err != nil || x.Possible || x.Reason != "dormant" {
		t.Errorf("a dormant account: %+v %v", x, err)
	}
}

// A hole of one address, or for one account's group, is named before it is saved.
func TestDiffNamesTheHole(t *testing.T) {
	o := newOffice(t)
	o.enrollCodes("grace")
	do1[admin.Group](o, &admin.GroupCreate{Name: "friends"})
	do1[map[string]string](o, &admin.MemberAdd{Group: "friends", Account: "grace"})
	holed := "networks: {hole: [10.1.2.3]}\nrules:\n  - {name: first, when: '" + first + "', require: access-pass}\n" +
		"  - {name: most, when: '!(" + first + ") && !(\"friends\" in account.groups && application.name == \"vpn\" && source in networks.hole)', require: two-factors}\n" +
		"  - {name: friends, when: '\"friends\" in account.groups && !(" + first + ")', require: one-factor}\n"
	d := do1[admin.PolicyDifference](o, &admin.PolicyDiff{Body: holed})
	if len(d.Changes) != 1 || !d.Exact {
		t.Fatalf("%+v", d)
	}
	if c := d.Changes[0]; c.Effect != "asks less" || c.Accounts != "grace" || c.Application != "vpn" || !strings.Contains(c.Witness, "10.1.2.3") {
		t.Errorf("%+v", c)
	}
	if d := do1[admin.PolicyDifference](o, &admin.PolicyDiff{Body: plain}); len(d.Changes) != 0 {
		t.Errorf("the policy in force differs from itself: %+v", d)
	}
	d = do1[admin.PolicyDifference](o, &admin.PolicyDiff{Body: plain + "  - {name: shut, when: 'application.name == \"wiki\"', deny: closed}\n"})
	if len(d.Changes) == 0 || d.Changes[0].Effect != "keeps out" || d.Changes[0].Application != "wiki" {
		t.Errorf("%+v", d)
	}
	versions := do1[[]admin.PolicyVersion](o, &admin.PolicyVersions{})
	if len(versions) < 2 || !versions[0].InForce || versions[1].InForce {
		t.Errorf("%+v", versions)
	}
	if d := do1[admin.PolicyDifference](o, &admin.PolicyDiff{Version: 1}); len(d.Changes) == 0 {
		t.Error("the default policy differs in nothing from a plain one")
	}
	if _, err := o.try(&admin.PolicyDiff{Version: 999}); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("a version that is not there: %v", err)
	}
}

// What the policy rests on cannot be taken from under it.
func TestGroupInThePolicyStays(t *testing.T) {
	o := newOffice(t)
	do1[admin.Group](o, &admin.GroupCreate{Name: "friends"})
	do1[map[string]string](o, &admin.MemberAdd{Group: "friends", Account: "ada"})
	o.policy(plain + "  - {name: out, when: '\"friends\" in account.groups', deny: friends}\n")
	if _, err := o.try(&admin.GroupRemove{Name: "friends"}); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a group of the policy was removed: %v", err)
	}
	o.policy(plain)
	if _, err := o.try(&admin.GroupRemove{Name: "friends"}); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a group with members was removed: %v", err)
	}
	do1[map[string]string](o, &admin.MemberRemove{Group: "friends", Account: "ada"})
	do1[map[string]string](o, &admin.GroupRemove{Name: "friends"})
	if o.events("group.removed") != 1 {
		t.Error("the removal is not in the log")
	}
	if _, err := o.try(&admin.GroupRemove{Name: directory.Administrators}); err == nil {
		t.Error("the administrators' group was removed")
	}
}
