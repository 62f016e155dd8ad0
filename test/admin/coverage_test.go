package admin

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/application"
	"countersign/internal/admin/coverage"
	"countersign/internal/admin/group"
	"countersign/internal/admin/key"
	"countersign/internal/admin/policy"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// office is a world with an administrator who can say every command. Grants are
// obtained under a policy that a password and a code meet, so that the policy
// in force can be another one.
type office struct {
	*servertest.World
	ada    *servertest.Person
	secret string
}

const (
	first = `account.new && action == "authenticator.enroll"`
	plain = "rules:\n  - {name: first, when: '" + first + "', require: access-pass}\n  - {name: all, when: '!(" + first + ")', require: two-factors}\n"
)

func newOffice(t *testing.T) *office {
	w, ada := servertest.WithVPN(t)
	o := &office{World: w, ada: ada}
	o.change(func(ctx context.Context, tx *store.Tx) error {
		group, err := w.Groups.Find(ctx, tx, directory.Administrators)
		if err != nil {
			return err
		}
		d, err := w.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		return w.Groups.AddMember(ctx, tx, group, d)
	})
	o.policy(plain)
	o.secret = w.SignedIn(ada)
	o.Later(time.Minute)
	return o
}

// change writes without a command, as set-up does.
func (o *office) change(fn func(ctx context.Context, tx *store.Tx) error) {
	o.T.Helper()
	ctx := context.Background()
	err := o.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.set-up", Outcome: "ok"})
	})
	if err != nil {
		o.T.Fatal(err)
	}
}

func (o *office) policy(body string) {
	o.T.Helper()
	o.change(func(ctx context.Context, tx *store.Tx) error {
		_, err := o.Rules.Save(ctx, tx, body, "test")
		return err
	})
}

// grant is the engine's, under the plain policy; the one in force comes back.
func (o *office) grant(c admin.Command) signin.Grant {
	o.T.Helper()
	ctx := context.Background()
	inForce, err := o.Rules.Latest(ctx, o.DB)
	if err != nil {
		o.T.Fatal(err)
	}
	if inForce.Body != plain {
		o.policy(plain)
		defer o.policy(inForce.Body)
	}
	s, err := o.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Session: o.secret, Protocol: "browser", Medium: prompt.Browser})
	if err != nil || s.State != signin.Granted {
		o.T.Fatalf("%s: %v %s %v", c.Action(), s.State, s.Reason, err)
	}
	return s.Grant
}

func (o *office) try(c admin.Command) (any, error) {
	o.T.Helper()
	return o.Admin.Do(context.Background(), o.grant(c), c)
}

func do1[T any](o *office, c admin.Command) T {
	o.T.Helper()
	if set, ok := c.(*application.Set); ok { // as whoever has just looked at it
		var err error
		if set.Base, err = o.Catalogue.VersionIn(context.Background(), o.DB, set.Name); err != nil {
			o.T.Fatal(err)
		}
	}
	got, err := o.try(c)
	if err != nil {
		o.T.Fatalf("%s: %v", c.Action(), err)
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
		x := do1[policy.Explanation](o, &policy.Explain{Account: "ADA", Application: "vpn", Source: c.from})
		r := servertest.Line("ada", servertest.Passphrase, o.ada.Code())
		r.Source = netip.MustParseAddr(c.from)
		s := o.Begin(r)
		if x.Possible != c.want || (s.State == signin.Granted) != c.want {
			t.Errorf("from %s: explain says %v (%s), the engine %v (%s)", c.from, x.Possible, x.Answer, s.State, s.Reason)
		}
		if x.Rules[0].Rule != "all" || len(x.Rules)+len(x.Others) != 3 || x.Protocol != "radius" {
			t.Errorf("%+v", x)
		}
		o.Later(time.Minute)
	}
	x := do1[policy.Explanation](o, &policy.Explain{Account: "ada", Application: "wiki", Source: "203.0.113.9"})
	if x.Possible || !strings.Contains(x.Answer, "nothing more to show") {
		t.Errorf("with codes refused: %+v", x)
	}
	for _, a := range x.Shows {
		if a.Kind == "totp" && (a.Counts || a.Why != "policy refuses it here") {
			t.Errorf("a refused code is said to count: %+v", a)
		}
	}
	if b, _ := o.try(&policy.Explain{Account: "nobody"}); b != nil {
		t.Errorf("an account that is not there is explained: %v", b)
	}
	if _, err := o.try(&policy.Explain{Account: "ada", Source: "at home"}); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a wrong address: %v", err)
	}
	o.Later(31 * 24 * time.Hour)
	r := signin.Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Single}
	if x, err := o.Engine.Explain(context.Background(), r, o.Now()); err != nil || x.Possible || x.Reason != "dormant" {
		t.Errorf("a dormant account: %+v %v", x, err)
	}
}

// What a protocol cannot play does not count there, and counts where it can.
func TestExplainKnowsWhatCanBePlayed(t *testing.T) {
	o := newOffice(t)
	o.change(func(ctx context.Context, tx *store.Tx) error {
		d, err := o.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		_, err = o.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: "passkey", State: []byte("{}"),
			Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant})
		return err
	})
	o.policy("rules:\n  - {name: all, require: phishing-resistant}\n")
	for application, want := range map[string]bool{"vpn": false, "wiki": true, signin.Self: true} {
		x := do1[policy.Explanation](o, &policy.Explain{Account: "ada", Application: application})
		if x.Possible != want {
			t.Errorf("%s: %s", application, x.Answer)
		}
		for _, a := range x.Shows {
			if a.Kind == "passkey" && (!a.Counts || a.OutOfBand == want) {
				t.Errorf("%s: the passkey counts %v: %s", application, a.Counts, a.Why)
			}
		}
	}
}

// A passkey is no answer to equipment, but a number that is typed where it works is;
// only where the equipment can show the number.
func TestExplainKnowsNumbers(t *testing.T) {
	o := newOffice(t)
	o.withPassword("grace")
	o.change(func(ctx context.Context, tx *store.Tx) error {
		d, err := o.Accounts.Find(ctx, tx, "grace")
		if err != nil {
			return err
		}
		_, err = o.Credentials.Add(ctx, tx, directory.Credential{Account: d.ID, Kind: "passkey", State: []byte("{}"),
			Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant})
		return err
	})
	o.policy(plain)
	settings := func(mode string) json.RawMessage {
		return json.RawMessage(`{"mode":"` + mode + `","clients":[{"name":"old","networks":["127.0.0.1"],"secret":"a-secret-of-the-equipment"}]}`)
	}
	for mode, want := range map[string]bool{"challenge": true, "appended": false} {
		do1[map[string]string](o, &application.Set{Name: "vpn", Kind: "vpn", Protocol: "radius", Settings: settings(mode)})
		x := do1[policy.Explanation](o, &policy.Explain{Account: "grace", Application: "vpn"})
		if x.Possible != want {
			t.Errorf("%s: %s", mode, x.Answer)
		}
		for _, a := range x.Shows {
			if a.Kind == "passkey" && (a.Counts != want || a.OutOfBand != want || want && strings.Contains(a.Traits, "phishing")) {
				t.Errorf("%s: the passkey shows %+v", mode, a)
			}
		}
	}
}

// A hole of one address, or for one account's group, is named before it is saved.
func TestDiffNamesTheHole(t *testing.T) {
	o := newOffice(t)
	o.EnrollCodes("grace")
	do1[group.Group](o, &group.Create{Name: "friends"})
	do1[map[string]string](o, &group.MemberAdd{Group: "friends", Account: "grace"})
	holed := "networks: {hole: [10.1.2.3]}\nrules:\n  - {name: first, when: '" + first + "', require: access-pass}\n" +
		"  - {name: most, when: '!(" + first + ") && !(\"friends\" in account.groups && application.name == \"vpn\" && source in networks.hole)', require: two-factors}\n" +
		"  - {name: friends, when: '\"friends\" in account.groups && !(" + first + ")', require: one-factor}\n"
	d := do1[policy.Difference](o, &policy.Diff{Body: holed})
	if len(d.Changes) != 1 || !d.Exact {
		t.Fatalf("%+v", d)
	}
	if c := d.Changes[0]; c.Effect != "asks less" || c.Accounts != "grace" || c.Application != "vpn" || !strings.Contains(c.Witness, "10.1.2.3") {
		t.Errorf("%+v", c)
	}
	if d := do1[policy.Difference](o, &policy.Diff{Body: plain}); len(d.Changes) != 0 {
		t.Errorf("the policy in force differs from itself: %+v", d)
	}
	d = do1[policy.Difference](o, &policy.Diff{Body: plain + "  - {name: shut, when: 'application.name == \"wiki\"', deny: closed}\n"})
	if len(d.Changes) == 0 || d.Changes[0].Effect != "keeps out" || d.Changes[0].Application != "wiki" {
		t.Errorf("%+v", d)
	}
	// What the engine demands beside policy is the same before and after.
	beside := "  - {name: all, when: '!(" + first + ") && action != \"sign-in.approve\"', require: two-factors}\n  - {name: approve, when: 'action == \"sign-in.approve\"', require: one-factor}\n"
	if d := do1[policy.Difference](o, &policy.Diff{Body: plain[:strings.Index(plain, "  - {name: all")] + beside}); len(d.Changes) != 0 {
		t.Errorf("approving takes a passkey whatever policy says: %+v", d.Changes)
	}
	versions := do1[[]policy.Version](o, &policy.Versions{})
	if len(versions) < 2 || !versions[0].InForce || versions[1].InForce {
		t.Errorf("%+v", versions)
	}
	if d := do1[policy.Difference](o, &policy.Diff{Version: 1}); len(d.Changes) == 0 {
		t.Error("the default policy differs in nothing from a plain one")
	}
	if _, err := o.try(&policy.Diff{Version: 999}); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("a version that is not there: %v", err)
	}
}

// What the policy rests on cannot be taken from under it, even when it is empty;
// nor is a group removed from under its members.
func TestGroupInThePolicyStays(t *testing.T) {
	o := newOffice(t)
	remove := &group.Remove{Name: "friends"}
	do1[group.Group](o, &group.Create{Name: "friends"})
	o.policy(plain + "  - {name: out, when: '\"friends\" in account.groups', deny: friends}\n")
	if _, err := o.try(remove); failure.ClassOf(err) != failure.Conflict || !strings.Contains(failure.Public(err), "policy mentions") {
		t.Errorf("an empty group of the policy was removed: %v", err)
	}
	o.policy(plain)
	do1[map[string]string](o, &group.MemberAdd{Group: "friends", Account: "ada"})
	if _, err := o.try(remove); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a group with members was removed: %v", err)
	}
	do1[map[string]string](o, &group.MemberRemove{Group: "friends", Account: "ada"})
	do1[map[string]string](o, remove)
	if o.Events("group.removed") != 1 {
		t.Error("the removal is not in the log")
	}
	if _, err := o.try(&group.Remove{Name: directory.Administrators}); failure.ClassOf(err) != failure.Refused {
		t.Errorf("the administrators' group: %v", err)
	}
}

// strict is a policy under which every row that this office has something for
// is enforced.
const strict = `rules:
  - {name: first, when: 'account.new && action == "authenticator.enroll"', require: access-pass}
  - {name: all, when: '!(account.new && action == "authenticator.enroll")', require: phishing-resistant}
  - {name: fresh, when: 'action != "sign-in" && !(account.new && action == "authenticator.enroll")', require: phishing-resistant, within: 15m}
`

// coverage is coverage.show as a program gets it: through JSON.
func (o *office) coverage() attack.Report {
	o.T.Helper()
	b, err := json.Marshal(do1[attack.Data](o, &coverage.Show{}))
	if err != nil {
		o.T.Fatal(err)
	}
	for _, format := range attack.Formats() {
		if err := attack.Render(io.Discard, b, format); err != nil {
			o.T.Errorf("%s: %v", format, err)
		}
	}
	var r attack.Report
	if err := json.Unmarshal(b, &r); err != nil {
		o.T.Fatal(err)
	}
	return r
}

func (o *office) row(id string) attack.RowState {
	o.T.Helper()
	for _, s := range o.coverage().Rows {
		if s.Row.ID == id {
			return s
		}
	}
	o.T.Fatalf("no row %s", id)
	return attack.RowState{}
}

// is checks a row's state and that what leaves the gap is named.
func (o *office) is(id string, want attack.State, kind attack.GapKind, says ...string) {
	o.T.Helper()
	s := o.row(id)
	if s.State != want {
		o.T.Errorf("%s is %s, not %s: %+v %v", id, s.State, want, s.Gaps, s.Notes)
	}
	if kind == "" {
		return
	}
	i := slices.IndexFunc(s.Gaps, func(g attack.Gap) bool { return g.Kind == kind })
	if i < 0 {
		o.T.Errorf("%s has no gap of kind %s: %+v", id, kind, s.Gaps)
		return
	}
	for _, word := range says {
		if !strings.Contains(s.Gaps[i].Sentence, word) {
			o.T.Errorf("%q does not name %q", s.Gaps[i].Sentence, word)
		}
	}
}

// Each planted gap is named by what leaves it, and goes when it is mended.
func TestCoverageNamesPlantedGaps(t *testing.T) {
	o := newOffice(t)
	o.policy(strict)
	for _, id := range []string{"T1133", "T1213", "T1110", "T1098", "T1098.005", "T1136", "T1556.006", "T1539"} {
		o.is(id, attack.Enforced, "")
	}
	o.is("T1021.001", attack.Open, attack.NothingGuarded, "rdp")

	t.Run("an application without policy", func(t *testing.T) {
		o.policy("rules:\n  - {name: vpn, when: 'application.kind in [\"vpn\", \"directory\"]', require: phishing-resistant, within: 5m}\n")
		o.is("T1213", attack.Partial, attack.NoPolicy, "wiki", "nobody gets in")
		o.is("T1133", attack.Enforced, "")
		o.policy(strict)
		o.is("T1213", attack.Enforced, "")
	})
	t.Run("an application that nobody gets into", func(t *testing.T) {
		o.policy(strict + "  - {name: shut, when: 'application.name == \"wiki\"', deny: closed}\n")
		o.is("T1213", attack.Partial, attack.NobodyLetIn, "Nobody is let in at wiki (deny: closed)")
		o.is("T1133", attack.Enforced, "")
		o.is("T1110", attack.Enforced, "")
		if s := o.row("T1110"); !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.HasPrefix(n, "Nobody is let in at wiki") }) {
			t.Errorf("%v", s.Notes)
		}
		// Nobody is in the group, and one rule is about somebody who gets nothing either.
		do1[group.Group](o, &group.Create{Name: "readers"})
		do1[group.Group](o, &group.Create{Name: "gone"})
		o.EnrollCodes("zoe")
		do1[map[string]string](o, &group.MemberAdd{Group: "gone", Account: "zoe"})
		o.policy("rules:\n  - {name: most, when: 'application.name != \"wiki\"', require: phishing-resistant, within: 5m}\n  - {name: readers, when: 'application.name == \"wiki\" && \"readers\" in account.groups', require: phishing-resistant}\n" +
			"  - {name: gone, when: '\"gone\" in account.groups', deny: gone}\n")
		o.is("T1213", attack.Partial, attack.NobodyLetIn, "wiki", "deny: gone", "no rule")
		// Nor do services get in, whose rule is about their keys, which open no page.
		do1[account.Account](o, &account.Create{Name: "robot", Kind: directory.Service})
		o.policy("rules:\n  - {name: most, when: 'application.name != \"wiki\" && account.kind != \"service\"', require: phishing-resistant, within: 5m}\n  - {name: readers, when: 'application.name == \"wiki\" && \"readers\" in account.groups', require: phishing-resistant}\n" +
			"  - {name: keys, when: 'account.kind == \"service\"', require: automation-key}\n")
		o.is("T1213", attack.Partial, attack.NobodyLetIn, "wiki", "no rule")
		do1[map[string]string](o, &group.MemberAdd{Group: "readers", Account: "ada"})
		o.is("T1213", attack.Enforced, "")
		o.policy(strict)
	})
	t.Run("one address in the whole space", func(t *testing.T) {
		o.policy("networks: {hole: [10.1.2.3]}\nrules:\n  - {name: most, when: '!(application.name == \"vpn\" && source in networks.hole)', require: phishing-resistant, within: 5m}\n  - {name: rest, require: one-factor}\n")
		o.is("T1133", attack.Open, attack.TooWeak, "vpn", "ada", "10.1.2.3", "radius")
		o.is("T1110", attack.Partial, attack.TooWeak, "vpn")
		o.is("T1213", attack.Enforced, "")
	})
	o.policy(strict)
	t.Run("a person with only a password", func(t *testing.T) {
		p := o.withPassword("grace")
		o.is("T1078", attack.Partial, attack.WeakAccount, "grace has only password")
		if a := o.coverage().People; len(a) != 1 || !slices.Equal(a[0].Names, []string{"grace"}) {
			t.Errorf("%+v", a)
		}
		servertest.Edit(o.World, "grace", func(a *directory.Account) { a.Ends = o.Now() })
		o.is("T1078", attack.Enforced, "")
		if a := o.coverage().People; len(a) != 0 {
			t.Errorf("who has ended is weak: %+v", a)
		}
		servertest.Edit(o.World, "grace", func(a *directory.Account) { a.Ends = o.Now().Add(time.Hour) })
		o.is("T1078", attack.Partial, attack.WeakAccount, "grace has only password")
		servertest.Edit(o.World, "grace", func(a *directory.Account) { a.Ends = time.Time{} })
		o.addCodes(p)
		o.is("T1078", attack.Enforced, "")
	})
	// There are no codes by SMS to enroll yet; the row is as they would leave it.
	t.Run("a person with only SMS", func(t *testing.T) {
		o.withPassword("henry")
		var henry directory.Account
		o.change(func(ctx context.Context, tx *store.Tx) error {
			var err error
			if henry, err = o.Accounts.Find(ctx, tx, "henry"); err == nil {
				_, err = o.Credentials.Add(ctx, tx, directory.Credential{Account: henry.ID, Kind: "smscode", Label: "Phone", Traits: assurance.Held | assurance.Restricted})
			}
			return err
		})
		o.is("T1078", attack.Partial, attack.WeakAccount, "henry has no second factor but one that can be taken over (password, smscode)")
		o.change(func(ctx context.Context, tx *store.Tx) error { return o.Accounts.Remove(ctx, tx, henry, 0) })
		o.is("T1078", attack.Enforced, "")
	})
	t.Run("a RADIUS exception", func(t *testing.T) {
		settings := func(exception string) json.RawMessage {
			return json.RawMessage(`{"clients":[{"name":"old","networks":["127.0.0.1"],"secret":"a-secret-of-the-equipment"` + exception + `}]}`)
		}
		end := o.Now().Add(48 * time.Hour).UTC()
		set := &application.Set{Name: "vpn", Kind: "vpn", Protocol: "radius", Settings: settings(`,"message_authenticator_exception":{"reason":"firmware","expires":"` + end.Format(time.RFC3339) + `"}`)}
		do1[map[string]string](o, set)
		o.is("T1133", attack.Partial, attack.Loosened, "old at 127.0.0.1", "Message-Authenticator", "until "+end.Format(time.DateOnly))
		o.is("T1213", attack.Enforced, "")
		if e := o.coverage().Exceptions; len(e) != 1 || e[0].Expires.Unix() != end.Unix() || e[0].Reason != "firmware" || e[0].Application != "vpn" {
			t.Errorf("the inventory: %+v", e)
		}
		o.again(72 * time.Hour) // it ends by itself
		o.is("T1133", attack.Enforced, "")
		set.Settings = settings("")
		do1[map[string]string](o, set)
		if e := o.coverage().Exceptions; len(e) != 0 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("local recovery", func(t *testing.T) {
		end := o.Now().Add(48 * time.Hour).UTC()
		before := o.Recovery
		o.Recovery = func() config.LocalRecovery {
			return config.LocalRecovery{Until: end.Format(time.RFC3339), Reason: "the only key is lost"}
		}
		o.is("T1136", attack.Partial, attack.Loosened, "local_recovery", "until "+end.Format(time.DateOnly))
		o.is("T1213", attack.Enforced, "")
		o.again(72 * time.Hour)
		o.is("T1136", attack.Enforced, "")
		o.Recovery = before
		if e := o.coverage().Exceptions; len(e) != 0 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("a path that asks less", func(t *testing.T) {
		set := &application.Set{Name: "wiki", Kind: "wiki", Protocol: "forward-auth", Settings: json.RawMessage(`{"hosts":["wiki.test"],"rules":[{"path":"/feed","action":"wiki.feed"}]}`)}
		do1[map[string]string](o, set)
		o.policy("rules:\n  - {name: most, when: 'action != \"wiki.feed\"', require: phishing-resistant, within: 5m}\n  - {name: feed, when: 'action == \"wiki.feed\"', require: one-factor}\n")
		o.is("T1213", attack.Open, attack.TooWeak, "wiki.feed", "known, or held")
		o.policy(strict)
		o.is("T1213", attack.Enforced, "")
	})
	t.Run("equipment that checks the password itself", func(t *testing.T) {
		vouched := &application.Set{Name: "switch", Kind: "network-device", Protocol: "radius", Vouches: "password", Settings: json.RawMessage(`{"clients":[{"name":"s","networks":["192.0.2.1"],"secret":"another-secret-of-it"}]}`)}
		do1[map[string]string](o, vouched)
		s := o.row("T1556.004")
		if !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, "switch") }) {
			t.Errorf("%+v", s.Notes)
		}
		o.is("T1556.004", attack.Open, attack.NotAnalysed, "application.command")
	})
	t.Run("an account that was changed in the database from outside", func(t *testing.T) {
		o.tamper("update account set kind = 'service' where name = 'grace'")
		o.is("T1078", attack.Partial, attack.WeakAccount, "grace has a row that failed its integrity check")
	})
	_, secret, _ := strings.Cut("x:a-secret-of-the-equipment", ":")
	if b, err := json.Marshal(do1[attack.Data](o, &coverage.Show{})); err != nil || strings.Contains(string(b), secret) {
		t.Error("a secret is in the report", err)
	}
}

// What is not here must be said again in time, and is contradicted by what is.
func TestDeclarations(t *testing.T) {
	o := newOffice(t)
	o.policy(strict)
	until := o.Now().AddDate(0, 0, 3).UTC().Format(time.DateOnly)
	declare := &coverage.Declare{Row: "T1669", Reason: "no wireless network", Until: until}
	do1[coverage.Declared](o, declare)
	o.is("T1669", attack.NotHere, "")
	o.tamper("update declaration set technique = 'T1485'")
	o.is("T1485", attack.Open, attack.NothingGuarded)
	o.is("T1669", attack.Open, attack.NothingGuarded)
	o.tamper("delete from declaration")
	do1[coverage.Declared](o, declare)
	o.again(4 * 24 * time.Hour)
	o.is("T1669", attack.Open, attack.NothingGuarded)
	if s := o.row("T1669"); len(s.Notes) == 0 || !strings.Contains(s.Notes[0], until) {
		t.Errorf("that the declaration ended is not said: %v", s.Notes)
	}
	declare.Until = o.Now().AddDate(0, 6, 0).UTC().Format(time.DateOnly)
	do1[coverage.Declared](o, declare)
	o.is("T1669", attack.NotHere, "")
	do1[map[string]string](o, &coverage.Withdraw{Row: "T1669"})
	o.is("T1669", attack.Open, attack.NothingGuarded)
	do1[coverage.Declared](o, &coverage.Declare{Row: "T1133", Reason: "no VPN", Until: declare.Until})
	o.is("T1133", attack.Partial, attack.Undeclared, "vpn")
	for _, bad := range []*coverage.Declare{{Row: "T0000", Reason: "x", Until: until}, {Row: "T1669", Reason: " ", Until: declare.Until},
		{Row: "T1669", Reason: "x", Until: "2020-01-01"}, {Row: "T1669", Reason: "x", Until: o.Now().AddDate(2, 0, 0).Format(time.DateOnly)}, {Row: "T1669", Reason: "x", Until: "soon"}} {
		if _, err := o.try(bad); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if o.Events("coverage.declared") != 4 || o.Events("coverage.withdrawn") != 1 {
		t.Errorf("%d and %d entries", o.Events("coverage.declared"), o.Events("coverage.withdrawn"))
	}
	// A grant to declare one row declares no other.
	g := o.grant(declare)
	if _, err := o.Admin.Do(t.Context(), g, &coverage.Declare{Row: "T1133", Reason: declare.Reason, Until: declare.Until}); failure.ClassOf(err) != failure.Refused {
		t.Errorf("%v", err)
	}
}

func (o *office) report(age time.Duration, results ...attack.DrillResult) string {
	o.T.Helper()
	at := o.Now().Add(-age)
	var found []attack.Attacked
	for _, t := range do1[coverage.Targets](o, &coverage.DrillBegin{}).Applications {
		found = append(found, attack.Attacked{Name: t.Name, Depends: t.Depends})
		for i := range results {
			if results[i].Time = at; results[i].Application == t.Name {
				results[i].Tries = nil
				for _, door := range t.Doors {
					results[i].Tries = append(results[i].Tries, attack.DrillTry{Door: door, Sent: "the password alone", Answer: "Access-Reject"})
				}
			}
		}
	}
	signed, err := coverage.SignDrill(o.Keys, attack.DrillReport{Began: at.Add(-time.Hour), Ended: at, By: "a test", Applications: found, Results: results})
	if err != nil {
		o.T.Fatal(err)
	}
	return signed
}

// A row is proven by a signed report of the last 30 days, and by nothing else.
func TestDrillsProveForThirtyDays(t *testing.T) {
	o := newOffice(t)
	o.policy(strict)
	passed := attack.DrillResult{Row: "T1133", Application: "vpn", Blocked: attack.Held, Audited: attack.Held, Honest: attack.Held, Control: attack.NotRun, Closed: attack.NotRun}
	failed := passed
	failed.Honest = attack.Failed
	old := o.report(31*24*time.Hour, passed)
	do1[coverage.Recorded](o, &coverage.DrillRecord{Report: old})
	o.is("T1133", attack.Enforced, "")
	if s := o.row("T1133"); len(s.Notes) == 0 || !strings.Contains(s.Notes[0], "more than 30 days ago") {
		t.Errorf("%v", s.Notes)
	}
	fresh := o.report(29*24*time.Hour, passed)
	do1[coverage.Recorded](o, &coverage.DrillRecord{Report: fresh})
	o.is("T1133", attack.Proven, "")
	o.is("T1110", attack.Enforced, "")
	o.policy(strict + "\n# the same, and another version\n") // and what is proven is of the one before
	if o.is("T1133", attack.Enforced, ""); !strings.Contains(strings.Join(o.row("T1133").Notes, " "), "the policy changed since") {
		t.Error(o.row("T1133").Notes)
	}
	do1[coverage.Recorded](o, &coverage.DrillRecord{Report: o.report(29*24*time.Hour-time.Minute, passed)})
	o.is("T1133", attack.Proven, "")
	o.again(2 * 24 * time.Hour)
	o.is("T1133", attack.Enforced, "")
	if got := do1[coverage.Recorded](o, &coverage.DrillRecord{Report: o.report(time.Hour, failed)}); got.Failed != 1 {
		t.Errorf("%+v", got)
	}
	o.is("T1133", attack.Partial, attack.DrillFailed, "vpn")
	o.tamper("update drill_result set passed = 1")
	o.is("T1133", attack.Partial, attack.DrillFailed, "vpn") // what was changed may have failed
	do1[coverage.Recorded](o, &coverage.DrillRecord{Report: o.report(time.Minute, passed)})
	o.is("T1133", attack.Proven, "")
	do1[coverage.Recorded](o, &coverage.DrillRecord{Report: o.report(2*time.Hour, failed)})
	o.is("T1133", attack.Proven, "") // an older report changes nothing

	checkpoint, err := o.DB.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := servertest.NewWorld(t)
	if _, err := coverage.SignDrill(other.Keys, attack.DrillReport{Began: o.Now().Add(-time.Hour), Ended: o.Now(), Results: []attack.DrillResult{passed}}); err == nil {
		t.Error("a result without its time was signed")
	}
	passed.Time = o.Now()
	foreign, err := coverage.SignDrill(other.Keys, attack.DrillReport{Began: o.Now().Add(-time.Hour), Ended: o.Now().Add(time.Second), Results: []attack.DrillResult{passed}})
	if err != nil {
		t.Fatal(err)
	}
	before := o.Events("drill.recorded")
	for name, bad := range map[string]string{
		"another installation's": foreign, "a checkpoint": checkpoint, "nothing": "", "twice": fresh,
		"changed": strings.Replace(o.report(time.Minute, failed), `"failed"`, `"held"`, 1), "of tomorrow": o.report(-24*time.Hour, passed),
	} {
		if _, err := o.try(&coverage.DrillRecord{Report: bad}); err == nil || failure.ClassOf(err) == failure.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o.Events("drill.recorded") != before {
		t.Error("a refused report was recorded")
	}
}

// tamper writes to the database from outside.
func (o *office) tamper(statement string) {
	o.T.Helper()
	o.change(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, statement)
		return err
	})
}

// again lets time pass, and signs in anew.
func (o *office) again(d time.Duration) {
	o.T.Helper()
	o.Later(d)
	inForce, err := o.Rules.Latest(o.T.Context(), o.DB)
	if err != nil {
		o.T.Fatal(err)
	}
	o.policy(plain)
	o.secret = o.SignedIn(o.ada)
	o.Later(time.Minute)
	o.policy(inForce.Body)
}

// withPassword is a person who has a password and nothing else yet.
func (o *office) withPassword(name string) *servertest.Person {
	o.T.Helper()
	pass, err := o.Setup.Plant(context.Background(), name, "")
	if err != nil {
		o.T.Fatal(err)
	}
	p := o.Person()
	p.Get(pass.Link)
	_, code, _ := strings.Cut(pass.Link, "code=")
	p.Post("/welcome", "code", code)
	p.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	p.Post("/account/setup", "authenticator", "password", "text", servertest.Passphrase)
	p.Sees("Added: Password")
	return p
}

func (o *office) addCodes(p *servertest.Person) {
	o.T.Helper()
	p.Post("/account/do", "action", "authenticator.enroll", "object", "totp")
	m := servertest.SecretField.FindStringSubmatch(p.Page)
	if m == nil {
		o.T.Fatalf("no secret on the page:\n%s", p.Page)
	}
	var err error
	if p.Secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", "")); err != nil {
		o.T.Fatal(err)
	}
	p.Post("/account/setup", "authenticator", "totp", "text", p.Code())
	p.Sees("Added: ")
	o.Later(time.Minute)
}

// Who is dormant is named in the rows that dormancy is about, an administrator as
// one, until they are resumed; and nowhere else.
func TestCoverageNamesDormantAdministrators(t *testing.T) {
	o := newOffice(t)
	o.policy(strict)
	o.change(func(ctx context.Context, tx *store.Tx) error {
		group, err := o.Groups.Find(ctx, tx, directory.Administrators)
		if err != nil {
			return err
		}
		for _, name := range []string{"root", "eve"} {
			d, err := o.Accounts.Create(ctx, tx, directory.NewAccount{Name: name})
			if err == nil && name == "root" {
				err = o.Groups.AddMember(ctx, tx, group, d)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	named := func(id, says string) bool {
		return slices.ContainsFunc(o.row(id).Notes, func(n string) bool { return strings.HasPrefix(n, says) })
	}
	if named("T1078", "root") {
		t.Errorf("root is awake: %v", o.row("T1078").Notes)
	}
	o.again(20 * 24 * time.Hour)
	o.again(20 * 24 * time.Hour)
	for _, id := range []string{"T1078", "T1078.001", "T1098.005", "T1556.006"} {
		if !named(id, "root administers Countersign and is dormant") || !named(id, "eve is dormant") {
			t.Errorf("%s: %v", id, o.row(id).Notes)
		}
		o.is(id, attack.Enforced, "")
	}
	if named("T1213", "root") {
		t.Errorf("T1213: %v", o.row("T1213").Notes)
	}
	do1[account.Account](o, &account.Resume{Name: "root"})
	if named("T1078", "root") {
		t.Errorf("root was resumed: %v", o.row("T1078").Notes)
	}
	servertest.Edit(o.World, "eve", func(a *directory.Account) { a.Ends = o.Now() })
	if named("T1078", "eve") {
		t.Errorf("eve has ended, which no resuming mends: %v", o.row("T1078").Notes)
	}
}

// An automation key that opens rows is named with what it does, how long and how it
// is ended; it opens nothing any more when it has ended, and nothing that policy
// keeps from keys.
func TestCoverageNamesAutomationKeys(t *testing.T) {
	o := newOffice(t)
	o.policy(strict)
	do1[account.Account](o, &account.Create{Name: "robot", Kind: directory.Service})
	issue := &key.Issue{Account: "robot", Actions: []string{"account.create", "audit.search"}, Networks: []string{"192.0.2.1/32"}, Days: 1, Note: "drill"}
	o.is("T1136", attack.Enforced, "")
	issued := do1[key.Key](o, issue)
	o.is("T1136", attack.Enforced, "") // nothing is open to keys under this policy
	byKeys := strict[:strings.Index(strict, "  - {name: all")] + `  - {name: all, when: '!(account.new && action == "authenticator.enroll") && account.kind != "service"', require: phishing-resistant, within: 15m}
  - {name: keys, when: 'account.kind == "service" && application.name == "countersign"', require: automation-key}
`
	o.policy(byKeys)
	says := []string{"automation key", strconv.FormatInt(issued.Number, 10) + " of robot", "drill", "until " + issued.Expires.UTC().Format("2006-01-02 15:04"), "account.create", "countersign authenticator revoke robot " + strconv.FormatInt(issued.Number, 10)}
	o.is("T1136", attack.Open, attack.OpenKey, says...)
	o.is("T1098", attack.Open, attack.OpenKey, says...)
	if r := o.coverage(); len(r.Keys) != 1 || !slices.Equal(r.Keys[0].Opens, []string{"T1098", "T1136"}) || !slices.Equal(r.Keys[0].Actions, []string{"account.create"}) {
		t.Errorf("%+v", r.Keys)
	}
	o.again(25 * time.Hour)
	o.is("T1136", attack.Enforced, "")
	if r := o.coverage(); len(r.Keys) != 0 {
		t.Errorf("it ended, and %+v", r.Keys)
	}
}

// A key for an application can be issued where its settings take keys, and for its own actions; then
// coverage counts what comes in by it, and no other service.
func TestCoverageOfKeysAtApplications(t *testing.T) {
	o := newOffice(t)
	o.policy(strings.Replace(strict, `{name: all, when: '`, `{name: all, when: 'account.kind != "service" && `, 1) + `  - {name: keys, when: 'account.kind == "service" && application.name == "wiki"', require: automation-key}
`)
	do1[account.Account](o, &account.Create{Name: "robot", Kind: directory.Service})
	do1[account.Account](o, &account.Create{Name: "idle", Kind: directory.Service})
	issue := &key.Issue{Account: "robot", Actions: []string{"wiki/sign-in"}, Networks: []string{"192.0.2.1/32"}, Days: 1, Note: "backup"}
	o.is("T1213", attack.Enforced, "")
	if _, err := o.try(issue); err == nil || !strings.Contains(err.Error(), "takes no automation keys") {
		t.Errorf("a key for an application that takes none: %v", err)
	}
	set := &application.Set{Name: "wiki", Kind: "wiki", Protocol: "forward-auth", Settings: json.RawMessage(`{"hosts":["wiki.test"],"programs":["automation-key"]}`)}
	do1[map[string]string](o, set)
	o.is("T1213", attack.Enforced, "")
	for action, says := range map[string]string{"wiki/wiki.admin": "has no action", "nowhere/sign-in": "no application", "sign-in": "no action"} {
		if _, err := o.try(&key.Issue{Account: "robot", Actions: []string{action}, Networks: []string{"192.0.2.1/32"}, Days: 1}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a key for %s: %v", action, err)
		}
	}
	do1[key.Key](o, issue)
	s := o.row("T1213")
	if said := fmt.Sprint(s.Gaps); s.State == attack.Enforced || !strings.Contains(said, "robot") || strings.Contains(said, "idle") {
		t.Errorf("%v %s", s.State, said)
	}
	if said := strings.Join(o.coverage().Caveats, "\n"); !strings.Contains(said, "wiki: programs may come with an automation key") {
		t.Errorf("caveats: %s", said)
	}
	o.again(25 * time.Hour)
	o.is("T1213", attack.Enforced, "")
}
