package cli

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/audit"
	"countersign/internal/admin/key"
	"countersign/internal/admin/nouns"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// who may ask for each command: an administrator, the help desk, and an automation
// key that was issued for it. A command that is not here fails the test.
var whoMay = map[string]string{
	"overview.show": "a-k", "account.create": "a-k", "account.list": "a-k", "account.show": "a-k", "account.suspend": "a-k", "account.clear-risk": "a-k",
	"account.resume": "a-k", "account.open": "a-k", "account.remove": "a-k", "pass.issue": "a-k", "recovery.list": "ahk", "recovery.open": "ah-", "recovery.confirm": "a--", "recovery.stop": "ahk",
	"key.issue": "a--", "session.end": "a-k", "authenticator.revoke": "a-k", "prompts.show": "a-k", "quiet.clear": "a-k", "certificate.assign": "a-k",
	"token.list": "a-k", "token.stage": "a-k", "token.preview": "a-k", "token.import": "a-k", "token.assign": "a-k", "token.resync": "a-k", "token.pin": "a-k", "token.lost": "a-k",
	"token.return": "a-k", "token.revoke": "a-k", "offline.list": "a-k", "offline.issue": "a-k", "offline.reconcile": "a-k", "offline.revoke": "a-k",
	"group.list": "a-k", "group.show": "a-k", "group.create": "a-k", "group.remove": "a-k", "group.member.add": "a-k", "group.member.remove": "a-k",
	"application.list": "a-k", "application.show": "a-k", "application.set": "a-k", "application.remove": "a-k",
	"policy.show": "a-k", "policy.check": "a-k", "policy.test": "a-k", "policy.explain": "a-k", "policy.diff": "a-k", "policy.versions": "a-k", "policy.change": "a-k",
	"coverage.show": "a-k", "coverage.declare": "a-k", "coverage.withdraw": "a-k", "drill.record": "a-k", "audit.search": "a-k", "audit.checkpoint": "a-k",
	"audit.alarms": "a-k", "audit.seen": "a-k",
}

// key issues an automation key for an action, and says what keeps it from that.
func (o *clerk) key(action string) (string, error) {
	var out key.Key
	err := o.Do(context.Background(), "key.issue", map[string]any{"account": "robot", "actions": []string{action}, "networks": []string{"127.0.0.0/8"}}, &out)
	return out.Key, err
}

// byKey is what a key is granted for a command.
func (w *world) byKey(key string, c admin.Command) signin.Step {
	w.t.Helper()
	step, err := w.Engine.CheckKey(context.Background(), signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Protocol: "api", Source: netip.MustParseAddr("127.0.0.1")}, "apikey", key)
	if err != nil {
		w.t.Fatal(err)
	}
	return step
}

// The promise: every command is for those whom this table names, and a new one is for
// nobody before it is in it; the machine itself does none.
func TestWhoMayDoEachCommand(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	helga := &clerk{w: w, name: "helga", person: w.enrollCodes("helga")}
	w.join("helga", "helpdesk")
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, spec := range nouns.Commands() {
		want, known := whoMay[spec.Action]
		if !known {
			t.Errorf("nobody has said who may do %s", spec.Action)
			continue
		}
		cmd := spec.New()
		got := []byte("---")
		if g, err := ada.grant(t.Context(), cmd); err == nil && g.Covers(signin.Self, cmd.Action(), cmd.Object()) {
			got[0] = 'a'
		}
		if helga.secret == "" {
			w.later(time.Minute)
			if err := helga.signIn(); err != nil {
				t.Fatal(err)
			}
		}
		step, err := w.Engine.Check(t.Context(), signin.Request{Application: signin.Self, Action: cmd.Action(), Object: cmd.Object(), Session: helga.secret, Protocol: "api"})
		if err != nil {
			t.Fatal(err)
		}
		if step.State != signin.Denied {
			got[1] = 'h'
		}
		if key, err := ada.key(spec.Action); err == nil {
			if w.byKey(key, cmd).State == signin.Granted {
				got[2] = 'k'
			}
		} else if failure.ClassOf(err) != failure.Invalid {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is for %s, and should be for %s", spec.Action, got, want)
		}
	}
}

// The promise: no automation key makes, wakes or changes anybody who is privileged,
// whatever it was issued for, and each try is in the log with who, what and on whom.
func TestKeysLeaveThePrivilegedAlone(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada", "bob")[0]
	w.enrollCodes("grace")
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	w.suspend("bob")
	bobs := w.authenticatorsOf("bob")
	try := func(action string, in map[string]any) {
		t.Helper()
		key, err := ada.key(action)
		if err != nil {
			t.Fatal(err)
		}
		cmd := w.prepared(action, in)
		step := w.byKey(key, cmd)
		if step.State != signin.Granted {
			t.Fatalf("%s: %s", action, step.Reason)
		}
		before := w.events("command.refused")
		if _, err := w.Admin.Do(t.Context(), step.Grant, cmd); failure.ClassOf(err) != failure.Refused {
			t.Errorf("a key did %s to an administrator: %v", action, err)
			return
		}
		entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "command.refused", Newest: true, Limit: 1})
		if err != nil || w.events("command.refused") != before+1 {
			t.Errorf("%s: %d entries, %v", action, w.events("command.refused")-before, err)
			return
		}
		if e := entries[0]; e.Actor.Name != "robot" || e.Action != action || e.AccountName != "bob" && e.AccountName != "grace" && action != "account.create" && action != "group.remove" || e.Reason == "" {
			t.Errorf("the entry says %+v", e)
		}
	}
	try("account.resume", map[string]any{"name": "bob"})
	try("account.suspend", map[string]any{"name": "bob"})
	try("pass.issue", map[string]any{"account": "bob"})
	try("group.member.add", map[string]any{"group": "administrators", "account": "grace"})
	try("group.member.remove", map[string]any{"group": "administrators", "account": "bob"})
	try("authenticator.revoke", map[string]any{"account": "bob", "id": bobs[len(bobs)-1].ID})
	try("account.create", map[string]any{"name": "eve", "groups": []string{"administrators"}})
	try("account.open", map[string]any{"name": "bob", "reason": "asked"})
	if err := ada.Do(t.Context(), "group.create", map[string]any{"name": "board", "privileged": true}, nil); err != nil {
		t.Fatal(err)
	}
	try("group.remove", map[string]any{"name": "board"})
	// What it was issued for, it does to others.
	w.suspend("grace")
	key, err := ada.key("account.resume")
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.prepared("account.resume", map[string]any{"name": "grace"})
	if _, err := w.Admin.Do(t.Context(), w.byKey(key, cmd).Grant, cmd); err != nil {
		t.Errorf("a key does not do what it was issued for: %v", err)
	}
}

// The promise: nobody alone removes somebody, makes them anew under the same name, and
// comes in as them where applications know people by their names: not an administrator,
// and not whoever has a key for each of these.
func TestNobodyMakesSomebodyAnew(t *testing.T) {
	w := newWorld(t)
	office := w.officeOf("ada", "bob")
	ada, bob := office[0], office[1]
	for _, name := range []string{"grace", "henry"} {
		w.enrollCodes(name)
	}
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	byKey := func(action string, in map[string]any) error {
		t.Helper()
		key, err := ada.key(action)
		if err != nil {
			t.Fatal(err)
		}
		cmd := w.prepared(action, in)
		_, err = w.Admin.Do(t.Context(), w.byKey(key, cmd).Grant, cmd)
		return err
	}
	if err := byKey("account.remove", map[string]any{"name": "grace"}); err != nil {
		t.Fatal(err)
	}
	if err := byKey("account.create", map[string]any{"name": "Grace"}); failure.ReasonOf(err) != "a-person-must" {
		t.Errorf("a key makes somebody anew: %v", err)
	}
	if err := ada.Do(t.Context(), "account.remove", map[string]any{"name": "henry"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "henry"}, nil); failure.ReasonOf(err) != "second-person" {
		t.Errorf("one administrator makes somebody anew: %v", err)
	}
	if err := byKey("account.create", map[string]any{"name": "henry"}); failure.ReasonOf(err) != "a-person-must" {
		t.Errorf("a key makes somebody anew whom an administrator removed: %v", err)
	}
	// A second person does, and names that nobody had are for keys as well.
	if err := bob.Do(t.Context(), "account.create", map[string]any{"name": "henry"}, nil); err != nil {
		t.Errorf("a second person does not: %v", err)
	}
	if err := byKey("account.create", map[string]any{"name": "iris"}); err != nil {
		t.Errorf("a key makes nobody new: %v", err)
	}
}

// The promise: what an insider tries and is refused leaves one entry that names them,
// the command, and on whom; also where it was refused before anybody approved it.
func TestRefusedInsidersLeaveAnEntry(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	last := func(reason string) {
		t.Helper()
		entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "command.refused", Newest: true, Limit: 1})
		if err != nil || len(entries) != 1 || entries[0].Actor.Name != "ada" || entries[0].AccountName != "ada" || entries[0].Reason != reason {
			t.Errorf("no entry that it was refused for %s: %+v, %v", reason, entries, err)
		}
	}
	if err := ada.Do(t.Context(), "pass.issue", map[string]any{"account": "ada"}, nil); failure.ClassOf(err) != failure.Refused {
		t.Fatal(err)
	}
	last("own-pass")
	cmd := w.prepared("group.member.remove", map[string]any{"group": "administrators", "account": "ada"})
	if err := w.Admin.SoundBy(t.Context(), admin.Asker{Session: ada.secret, Protocol: "api"}, cmd); failure.ClassOf(err) != failure.Refused {
		t.Fatal(err)
	}
	last("last-administrator")
	if n := w.events("command.refused"); n != 2 {
		t.Errorf("%d entries of two refusals", n)
	}
}

// The promise: the help desk stops no administrator's recovery; and whose recovery is
// stopped is told.
func TestHelpDeskStopsNoAdministratorsRecovery(t *testing.T) {
	w := newWorld(t)
	w.officeOf("ada", "bob")
	helga := &clerk{w: w, name: "helga", person: w.enrollCodes("helga")}
	w.join("helga", "helpdesk")
	err := helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "bob", "reason": "because I say so"}, nil)
	if failure.ClassOf(err) != failure.Refused || failure.ReasonOf(err) != "privileged" || w.events("command.refused") != 1 {
		t.Errorf("the help desk stopped it: %v (%d entries)", err, w.events("command.refused"))
	}
}

// The promise: a policy and an application that somebody changed meanwhile are never
// overwritten unseen, by whatever way; the command line says by itself what a change
// is built on.
func TestChangesAreBuiltOnWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	ada := w.administrator("ada")
	desk := w.shell()
	desk.login(w.person(), "ada", ada.code())
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(body string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mine, emergency := "# mine\n"+string(policy.DefaultForCodes()), "# emergency\n"+string(policy.DefaultForCodes())
	write(mine)
	desk.refuses("Say which version", "policy", "change", path)
	desk.does("policy", "show")
	w.setPolicy(emergency) // another administrator, meanwhile
	desk.refuses("was changed meanwhile", "policy", "change", path)
	if w.policyInForce() != emergency {
		t.Error("the emergency change was overwritten")
	}
	desk.does("policy", "show") // and now they have seen it
	desk.does("policy", "change", path)
	write("# more\n" + mine)
	desk.does("policy", "change", path) // upon what they saved themselves
	desk.refuses("was changed meanwhile", "policy", "change", path, "--base", "1")

	settings := filepath.Join(t.TempDir(), "wiki.json")
	if err := os.WriteFile(settings, []byte(`{"hosts":["wiki.test"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	set := []string{"application", "set", "wiki", "--kind", "wiki", "--protocol", "forward-auth", "--settings", settings}
	desk.does(set...)
	other := w.shell()
	w.later(time.Minute)
	other.login(w.person(), "ada", ada.code())
	other.refuses("There is an application", set...)
	other.does("application", "show", "wiki")
	other.does(append(set, "--title", "Wiki")...)
	desk.refuses("was changed meanwhile", append(set, "--title", "Mine")...)
}

// The promise: the log names who opened an application, and is searched by who did it.
func TestLogNamesWho(t *testing.T) {
	w := newWorld(t)
	ada := w.officeOf("ada")[0]
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "grace"}, nil); err != nil {
		t.Fatal(err)
	}
	var page audit.Page
	if err := ada.Do(t.Context(), "audit.search", map[string]any{"actor": "ADA", "event": "account"}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Entries) != 1 || page.Entries[0].Actor.Name != "ada" || page.Entries[0].AccountName != "grace" {
		t.Errorf("%+v", page.Entries)
	}
	w.later(time.Minute)
	browser := w.person()
	browser.comes("ada", ada.person.secret)
	browser.get("/console/audit?actor=ada&event=account")
	browser.sees("by <bdi>ada</bdi>")
}
