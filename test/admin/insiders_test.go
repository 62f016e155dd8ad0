package admin

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/audit"
	"countersign/internal/admin/nouns"
	"countersign/internal/admin/site"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// who may ask for each command: an administrator, the help desk, and an automation
// key that was issued for it. A command that is not here fails the test.
var whoMay = map[string]string{
	"overview.show": "a-k", "checklist.show": "a-k", "checklist.test-mail": "a-k", "checklist.put-away": "a-k", "checklist.bring-back": "a-k", "account.create": "a-k", "account.list": "a-k", "account.show": "a-k", "account.suspend": "a-k", "account.clear-risk": "a-k",
	"account.resume": "a-k", "account.set-end": "a-k", "account.open": "a-k", "account.remove": "a-k", "account.stage": "a-k", "account.preview": "a-k", "account.import": "a-k", "account.rename": "a-k", "account.set-display": "a-k", "account.set-mail": "a-k", "account.set-external": "a-k", "account.links": "a-k", "account.link": "a-k", "account.unlink": "a-k", "group.set-display": "a-k", "group.set-external": "a-k", "pass.issue": "a-k", "pass.invite": "a-k", "pass.letter": "a-k", "pass.uninvite": "a-k", "pass.invitations": "a-k", "recovery.list": "ahk", "recovery.open": "ah-", "recovery.confirm": "a--", "recovery.stop": "ahk",
	"key.issue": "a--", "session.end": "a-k", "connection.list": "a-k", "connection.end": "a-k", "authenticator.revoke": "a-k", "prompts.show": "a-k", "quiet.clear": "a-k", "rollover.show": "a-k", "provisioning.list": "a-k", "provisioning.show": "a-k", "provisioning.compare": "a-k", "provisioning.set": "a-k", "provisioning.mend": "a-k", "provisioning.release": "a-k", "provisioning.remove": "a-k", "rollover.announce": "a-k", "rollover.switch": "a-k", "rollover.retire": "a-k", "certificate.assign": "a-k",
	"token.list": "a-k", "token.stage": "a-k", "token.preview": "a-k", "token.import": "a-k", "token.assign": "a-k", "token.resync": "a-k", "token.pin": "a-k", "token.lost": "a-k",
	"token.return": "a-k", "token.revoke": "a-k", "offline.list": "a-k", "offline.issue": "a-k", "offline.reconcile": "a-k", "offline.revoke": "a-k",
	"group.list": "a-k", "group.show": "a-k", "group.create": "a-k", "group.remove": "a-k", "group.member.add": "a-k", "group.member.remove": "a-k",
	"application.list": "a-k", "application.show": "a-k", "application.snippet": "a-k", "application.test": "a-k", "application.set": "a-k", "application.remove": "a-k",
	"upstream.list": "a-k", "upstream.show": "a-k", "upstream.test": "a-k", "upstream.set": "a-k", "upstream.accept-key": "a-k", "upstream.link": "a-k", "upstream.unlink": "a-k", "upstream.remove": "a-k",
	"partner.list": "a-k", "partner.show": "a-k", "partner.report": "a-k", "partner.create": "a-k", "partner.change": "a-k", "partner.delegate": "a-k", "partner.approve": "a-k", "partner.end": "a-k", "partner.stop": "a-k", "partner.remove": "a-k",
	"policy.show": "a-k", "policy.check": "a-k", "policy.test": "a-k", "policy.explain": "a-k", "policy.diff": "a-k", "policy.versions": "a-k", "policy.change": "a-k",
	"coverage.show": "a-k", "coverage.declare": "a-k", "coverage.withdraw": "a-k", "drill.record": "a-k", "drill.begin": "a-k", "drill.list": "a-k", "drill.show": "a-k", "drill.results": "a-k", "audit.search": "a-k", "audit.checkpoint": "a-k",
	"stream.list": "a-k", "stream.show": "a-k", "stream.create": "a-k", "stream.update": "a-k", "stream.remove": "a-k", "stream.set-status": "a-k", "stream.add-subject": "a-k", "stream.remove-subject": "a-k", "stream.verify": "a-k", "stream.poll": "a-k",
	"source.list": "a-k", "source.show": "a-k", "source.create": "a-k", "source.update": "a-k", "source.renew": "a-k", "source.set-status": "a-k", "source.remove": "a-k",
	"audit.alarms": "a-k", "audit.seen": "a-k", "site.export": "a-k", "site.plan": "a-k", "site.apply": "a-k",
}

// The promise: every command is for those whom this table names, and a new one is for
// nobody before it is in it; the machine itself does none.
func TestWhoMayDoEachCommand(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	helga := &servertest.Clerk{W: w, Name: "helga", Person: w.EnrollCodes("helga")}
	w.Join("helga", "helpdesk")
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
		if g, err := ada.Grant(t.Context(), cmd); err == nil && g.Covers(signin.Self, cmd.Action(), cmd.Object()) {
			got[0] = 'a'
		}
		if helga.Secret == "" {
			w.Later(time.Minute)
			if err := helga.SignIn(); err != nil {
				t.Fatal(err)
			}
		}
		step, err := w.Engine.Check(t.Context(), signin.Request{Application: signin.Self, Action: cmd.Action(), Object: cmd.Object(), Session: helga.Secret, Protocol: "api"})
		if err != nil {
			t.Fatal(err)
		}
		if step.State != signin.Denied {
			got[1] = 'h'
		}
		if key, err := ada.Key(spec.Action); err == nil {
			if servertest.ByKey(w, key, cmd).State == signin.Granted {
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
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada", "bob")[0]
	w.EnrollCodes("grace")
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	w.Suspend("bob")
	bobs := servertest.AuthenticatorsOf(w, "bob")
	try := func(action string, in map[string]any) {
		t.Helper()
		key, err := ada.Key(action)
		if err != nil {
			t.Fatal(err)
		}
		cmd := servertest.Prepared(w, action, in)
		step := servertest.ByKey(w, key, cmd)
		if step.State != signin.Granted {
			t.Fatalf("%s: %s", action, step.Reason)
		}
		before := w.Events("command.refused")
		if _, err := w.Admin.Do(t.Context(), step.Grant, cmd); failure.ClassOf(err) != failure.Refused {
			t.Errorf("a key did %s to an administrator: %v", action, err)
			return
		}
		entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "command.refused", Newest: true, Limit: 1})
		if err != nil || w.Events("command.refused") != before+1 {
			t.Errorf("%s: %d entries, %v", action, w.Events("command.refused")-before, err)
			return
		}
		if e := entries[0]; e.Actor.Name != "robot" || e.Action != action || e.AccountName != "bob" && e.AccountName != "grace" && action != "account.create" && action != "group.remove" && action != "site.apply" || e.Reason == "" {
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
	file := "countersign: 1\ngroups:\n- {name: administrators, display: Administrators, privileged: true}\n"
	var planned site.Difference
	if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": file, "prune": true}, &planned); err != nil {
		t.Fatal(err)
	}
	try("site.apply", map[string]any{"file": file, "prune": true, "changes": planned.Text})
	// What it was issued for, it does to others.
	w.Suspend("grace")
	key, err := ada.Key("account.resume")
	if err != nil {
		t.Fatal(err)
	}
	cmd := servertest.Prepared(w, "account.resume", map[string]any{"name": "grace"})
	if _, err := w.Admin.Do(t.Context(), servertest.ByKey(w, key, cmd).Grant, cmd); err != nil {
		t.Errorf("a key does not do what it was issued for: %v", err)
	}
}

// The promise: nobody alone removes somebody, makes them anew under the same name, and
// comes in as them where applications know people by their names: not an administrator,
// and not whoever has a key for each of these.
func TestNobodyMakesSomebodyAnew(t *testing.T) {
	w := servertest.NewWorld(t)
	office := servertest.OfficeOf(w, "ada", "bob")
	ada, bob := office[0], office[1]
	for _, name := range []string{"grace", "henry"} {
		w.EnrollCodes(name)
	}
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "robot", "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	byKey := func(action string, in map[string]any) error {
		t.Helper()
		key, err := ada.Key(action)
		if err != nil {
			t.Fatal(err)
		}
		cmd := servertest.Prepared(w, action, in)
		_, err = w.Admin.Do(t.Context(), servertest.ByKey(w, key, cmd).Grant, cmd)
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
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
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
	cmd := servertest.Prepared(w, "group.member.remove", map[string]any{"group": "administrators", "account": "ada"})
	if err := w.Admin.PreflightBy(t.Context(), admin.Asker{Session: ada.Secret, Protocol: "api"}, cmd); failure.ClassOf(err) != failure.Refused {
		t.Fatal(err)
	}
	last("last-administrator")
	if n := w.Events("command.refused"); n != 2 {
		t.Errorf("%d entries of two refusals", n)
	}
}

// The promise: the help desk stops no administrator's recovery; and whose recovery is
// stopped is told.
func TestHelpDeskStopsNoAdministratorsRecovery(t *testing.T) {
	w := servertest.NewWorld(t)
	servertest.OfficeOf(w, "ada", "bob")
	helga := &servertest.Clerk{W: w, Name: "helga", Person: w.EnrollCodes("helga")}
	w.Join("helga", "helpdesk")
	err := helga.Do(t.Context(), "recovery.stop", map[string]any{"account": "bob", "reason": "because I say so"}, nil)
	if failure.ClassOf(err) != failure.Refused || failure.ReasonOf(err) != "privileged" || w.Events("command.refused") != 1 {
		t.Errorf("the help desk stopped it: %v (%d entries)", err, w.Events("command.refused"))
	}
}

// The promise: a policy and an application that somebody changed meanwhile are never
// overwritten unseen, by whatever way; the command line says by itself what a change
// is built on.
func TestChangesAreBuiltOnWhatWasSeen(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	desk := w.Shell()
	desk.Login(w.Person(), "ada", ada.Code())
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(body string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mine, emergency := "# mine\n"+string(policy.DefaultForCodes()), "# emergency\n"+string(policy.DefaultForCodes())
	write(mine)
	desk.Refuses("Say which version", "policy", "change", path)
	desk.Does("policy", "show")
	w.SetPolicy(emergency) // another administrator, meanwhile
	desk.Refuses("was changed meanwhile", "policy", "change", path)
	if servertest.PolicyInForce(w) != emergency {
		t.Error("the emergency change was overwritten")
	}
	desk.Does("policy", "show") // and now they have seen it
	desk.Does("policy", "change", path)
	write("# more\n" + mine)
	desk.Does("policy", "change", path) // upon what they saved themselves
	desk.Refuses("was changed meanwhile", "policy", "change", path, "--base", "1")

	settings := filepath.Join(t.TempDir(), "wiki.json")
	if err := os.WriteFile(settings, []byte(`{"hosts":["wiki.test"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	set := []string{"application", "set", "wiki", "--kind", "wiki", "--protocol", "forward-auth", "--settings", settings}
	desk.Does(set...)
	other := w.Shell()
	w.Later(time.Minute)
	other.Login(w.Person(), "ada", ada.Code())
	other.Refuses("There is an application", set...)
	other.Does("application", "show", "wiki")
	other.Does(append(set, "--title", "Wiki")...)
	desk.Refuses("was changed meanwhile", append(set, "--title", "Mine")...)
}

// The promise: the log names who opened an application, and is searched by who did it.
func TestLogNamesWho(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "grace"}, nil); err != nil {
		t.Fatal(err)
	}
	var page audit.Page
	if err := ada.Do(t.Context(), "audit.search", map[string]any{"actor": "ADA", "event": "account.created"}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Entries) != 1 || page.Entries[0].Actor.Name != "ada" || page.Entries[0].AccountName != "grace" {
		t.Errorf("%+v", page.Entries)
	}
	w.Later(time.Minute)
	browser := w.Person()
	browser.Comes("ada", ada.Person.Secret)
	browser.Get("/console/audit?actor=ada&event=account.created")
	browser.Sees(`<td data-label="Who did it"><bdi>ada</bdi>`)
}
