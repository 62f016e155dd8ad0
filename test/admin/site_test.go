package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/nouns"
	"countersign/internal/admin/site"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// siteFile is a site with two applications and a policy that names both it and its group.
const siteFile = `countersign: 1
groups:
  - name: administrators
    display: Administrators
    privileged: true
  - name: helpdesk
    display: Help desk
    privileged: true
  - name: staff
    display: All staff
applications:
  - name: notes
    title: Notes
    kind: wiki
    tier: standard
    protocol: forward-auth
    settings:
      hosts: [notes.example.org]
  - name: gate
    title: Gate
    kind: vpn
    protocol: radius
    settings:
      clients:
        - name: router
          networks: [192.0.2.0/24]
          secret: the-secret-of-the-gate
`

// The promise: a file makes the site as it says, with one approval, all of it or nothing;
// applied again it changes nothing; and no secret is in what is shown, approved or written.
func TestASiteIsMadeByAFile(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := servertest.OfficeOf(w, "ada", "bob")[0]
		rules := strings.Replace(string(policy.DefaultForCodes()), "rules:\n", `rules:
  - name: staff read the notes
    when: application.name == "notes" && !("staff" in account.groups)
    deny: the notes are for staff
`, 1)
		file := siteFile + "policy: |\n  " + strings.ReplaceAll(strings.TrimRight(rules, "\n"), "\n", "\n  ") + "\n"
		before := w.Events("application.set")
		var d site.Difference
		do := func(action string, in map[string]any) {
			t.Helper()
			d = site.Difference{}
			if err := ada.Do(t.Context(), action, in, &d); err != nil {
				t.Fatal(err)
			}
		}
		do("site.plan", map[string]any{"file": file})
		planned := d
		if d.Same || !strings.Contains(d.Text, "make group staff") || !strings.Contains(d.Text, "make application notes") || !strings.Contains(d.Text, "change the policy") || strings.Contains(d.Text, "the-secret") {
			t.Fatalf("%+v", d)
		}
		if w.Events("application.set") != before || w.Events("group.created") != 0 {
			t.Fatal("a plan changed something")
		}
		do("site.apply", map[string]any{"file": file, "changes": planned.Text})
		if w.Events("application.set") != before+2 || w.Events("group.created") != 1 || w.Events("policy.changed") == 0 || w.Events("site.applied") != 1 {
			t.Error("the log does not say each thing that was done")
		}
		do("site.plan", map[string]any{"file": file})
		if d.Text != site.Nothing || d.Same || len(d.Changes) != 2 || d.Changes[0].What != site.Extra {
			t.Errorf("a file that was applied differs by more than what it does not name: %+v", d)
		}

		var exported site.Exported
		if err := ada.Do(t.Context(), "site.export", map[string]any{}, &exported); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(exported.File, "the-secret") || !strings.Contains(exported.File, "(hidden)") {
			t.Errorf("exported:\n%s", exported.File)
		}
		do("site.plan", map[string]any{"file": exported.File, "prune": true})
		if !d.Same {
			t.Errorf("what was exported differs: %+v", d)
		}

		// The notes give their host to another, whose name comes first, and goes; so does the rule that names it.
		less := strings.Replace(siteFile, "  - name: notes\n    title: Notes", "  - name: a-notes\n    title: Other notes", 1)
		less = strings.Replace(less, "the-secret-of-the-gate", "(hidden)", 1)
		less = strings.Replace(less, "  - name: staff\n    display: All staff\n", "", 1)
		less += "policy: |\n  " + strings.ReplaceAll(strings.TrimRight(string(policy.DefaultForCodes()), "\n"), "\n", "\n  ") + "\n"
		if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": less}, &d); failure.ClassOf(err) != failure.Conflict || !strings.Contains(failure.Public(err), "notes") {
			t.Fatalf("an application took another's host: %v", err)
		}
		same := less[:strings.Index(less, "policy:")]
		if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": same, "prune": true}, &d); failure.ClassOf(err) != failure.Conflict || !strings.Contains(failure.Public(err), "policy mentions") {
			t.Errorf("what the policy mentions is removed under it: %v", err)
		}
		unnamed := strings.Replace(siteFile, "  - name: notes\n    title: Notes", "  - name: a-notes\n    title: Other notes", 1)
		if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": unnamed, "prune": true}, &d); failure.ClassOf(err) != failure.Conflict || !strings.Contains(failure.Public(err), `policy mentions "notes"`) {
			t.Errorf("an application that the policy mentions is removed under it: %v", err)
		}
		broken := strings.Replace(less, "rules:\n", "rules:\n    - {name: gone, when: application.name == \"notes\", require: two-factors}\n", 1)
		if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": broken, "prune": true}, &d); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("a policy mentions what its own file removes: %v", err)
		}
		do("site.plan", map[string]any{"file": less, "prune": true})
		do("site.apply", map[string]any{"file": less, "prune": true, "changes": d.Text})
		if w.Events("application.removed") != 3 || w.Events("group.removed") != 1 {
			t.Errorf("%+v", d)
		}
		storetest.Quiet(t, w.DB) // what a plan undid is not missed
		gate, err := w.Catalogue.Get(t.Context(), "gate")
		if err != nil || !strings.Contains(string(gate.Settings), "the-secret-of-the-gate") {
			t.Errorf("a hidden secret did not stay: %v", err)
		}
		entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
		if err != nil || len(entries) < 10 {
			t.Fatalf("%d entries: %v", len(entries), err)
		}
		for _, e := range entries {
			for name, value := range e.Detail {
				if strings.Contains(value, "the-secret") {
					t.Errorf("%s has a secret in %s", e.Event, name)
				}
			}
		}
	})
}

// The promise: what is approved is what is done. A file that comes to something else
// meanwhile, or that fails in its last part, does nothing.
func TestAFileDoesWhatWasApproved(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada", "bob")[0]
	one := "countersign: 1\ngroups:\n- {name: administrators, display: Administrators, privileged: true}\n- {name: staff}\n"
	var d site.Difference
	if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": one}, &d); err != nil {
		t.Fatal(err)
	}
	approved := d.Text
	other := strings.Replace(one, "{name: staff}", "{name: staff, privileged: true}", 1)
	refused := func(what string, in map[string]any, class failure.Class) {
		t.Helper()
		if err := ada.Do(t.Context(), "site.apply", in, &d); failure.ClassOf(err) != class {
			t.Errorf("%s: %v", what, err)
		}
		if n := w.Events("group.created") + w.Events("site.applied"); n != 0 {
			t.Errorf("%s: something was done", what)
		}
	}
	refused("another file under the approval of this one", map[string]any{"file": other, "changes": approved}, failure.Conflict)
	refused("the same file, and what it does not name goes", map[string]any{"file": one, "changes": approved, "prune": true}, failure.Conflict)
	refused("the administrators' group made another kind", map[string]any{"file": strings.Replace(one, "privileged: true", "privileged: false", 1), "changes": approved}, failure.Invalid)
	own := one + "applications:\n- {name: countersign, kind: web, protocol: forward-auth, settings: {hosts: [a.example.org]}}\n"
	refused("an application that is Countersign itself", map[string]any{"file": own, "changes": approved}, failure.Invalid)
	nameless := one + "applications:\n- {name: a b, kind: web, protocol: forward-auth, settings: {hosts: [a.example.org]}}\n"
	refused("an application with no proper name", map[string]any{"file": nameless, "changes": approved}, failure.Invalid)
	refused("no text at all", map[string]any{"file": one, "changes": ""}, failure.Conflict)
	broken := one + "policy: |\n  rules:\n  - name: nobody\n    deny: closed\n"
	refused("a policy by which nobody could administer", map[string]any{"file": broken, "changes": approved}, failure.Refused)
	if err := ada.Do(t.Context(), "group.create", map[string]any{"name": "staff"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := ada.Do(t.Context(), "site.apply", map[string]any{"file": one, "changes": approved}, &d); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("the group was made meanwhile: %v", err)
	}
}

// The administrators' group stays, named or not; and who approves a file reads its changes,
// and not what else it holds.
func TestAFileIsReadWithoutItsSecrets(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada", "bob")[0]
	var d site.Difference
	file := "countersign: 1\ngroups:\n- {name: helpdesk, display: Help desk, privileged: true}\n"
	if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": file, "prune": true}, &d); err != nil || !d.Same {
		t.Errorf("without the administrators: %+v, %v", d, err)
	}
	if err := ada.Do(t.Context(), "site.plan", map[string]any{"file": siteFile}, &d); err != nil {
		t.Fatal(err)
	}
	r, err := w.Admin.Reading(t.Context(), servertest.Command(t, "site.apply", map[string]any{"file": siteFile, "changes": d.Text}))
	if err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprintf("%+v", r); strings.Contains(said, "the-secret") || !strings.Contains(said, "make application gate") {
		t.Errorf("an approval shows %s", said)
	}
}

// The promise: policy asks at least as much for a file as for each thing that it can do. Whoever
// may set applications and not change the policy does not do it by a file.
func TestAFileTakesWhatItsPartsTake(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada", "bob")[0]
	granted := func() bool {
		t.Helper()
		_, err := ada.Grant(t.Context(), servertest.Command(t, "site.apply", map[string]any{"file": "countersign: 1\n", "changes": site.Nothing}))
		return err == nil
	}
	if !granted() {
		t.Fatal("nobody may apply a file")
	}
	session := ada.Secret
	comprising := nouns.Commands().Comprising()
	if len(comprising["site.apply"]) != 15 || len(comprising["account.import"]) != 2 {
		t.Errorf("the commands that do what others do are %v", comprising)
	}
	var pairs [][2]string
	for action, parts := range comprising {
		for _, part := range parts {
			pairs = append(pairs, [2]string{action, part})
		}
	}
	for _, pair := range pairs {
		action, part := pair[0], pair[1]
		w.SetPolicy(strings.Replace(string(policy.DefaultForCodes()), "rules:\n", `rules:
  - name: closed
    when: action == "`+part+`"
    deny: not today
`, 1))
		step, err := w.Engine.Check(t.Context(), signin.Request{Application: signin.Self, Action: action, Object: "from a file: x", Session: session, Protocol: "api"})
		if err != nil || step.State != signin.Denied {
			t.Errorf("with %s denied %s is %s: %v", part, action, step.State, err)
		}
	}
}

// The promise: by the command line a site is exported, planned and applied as the document
// says, with the status that a script asks for.
func TestASiteByTheCommandLine(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh := w.Shell()
	sh.Login(w.Person(), "ada", ada.Code())
	out, complaint, ok := sh.Run("", "export")
	if !ok || !strings.HasPrefix(out, "# Groups, applications") {
		t.Fatalf("%s%s", out, complaint)
	}
	path := filepath.Join(t.TempDir(), "site.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(out)
	if out, complaint, ok := sh.Run("", "site", "plan", "-f", path); !ok || out != "The installation is as the file says.\n" {
		t.Errorf("%s%s", out, complaint)
	}
	write(strings.Replace(siteFile, "the-secret-of-the-gate", "(env GATE_SECRET)", 1))
	if _, complaint, ok := sh.Run("", "site", "plan", "-f", path); ok || !strings.Contains(complaint, "the variable GATE_SECRET is not set") {
		t.Errorf("without the variable: %s", complaint)
	}
	sh.Env = append(sh.Env, "GATE_SECRET=with: a \"quote\" # and more")
	cmd := sh.Command("site", "plan", "-f", path)
	planned, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 4 || !strings.Contains(string(planned), "+ application gate\n") || strings.Contains(string(planned), "quote") {
		t.Fatalf("%v: %s", err, planned)
	}
	w.Later(10 * time.Minute) // or the sign-in is fresh enough, and nothing is asked
	applying := sh.Start("apply", "-f", path)
	w.Person().Approves(applying.Page, "make application gate", "ada", ada.Code())
	if out, complaint, ok := applying.End(); !ok || !strings.Contains(out, "Done.") {
		t.Fatalf("%s%s", out, complaint)
	}
	gate, err := w.Catalogue.Get(t.Context(), "gate")
	if err != nil || !strings.Contains(string(gate.Settings), `with: a \"quote\" # and more`) {
		t.Errorf("the secret is not the variable's: %v", err)
	}
}
