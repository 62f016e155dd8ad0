package signin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"countersign/internal/admin"
	"countersign/internal/admin/nouns"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	words "countersign/internal/text"
)

// The promise: the text that is approved is one line, shows all that it holds, and is
// another for another thing, whatever is typed into any field of any command; a person
// and a service of a like name differ in it; and what is too long to be shown is asked
// of nobody.
func TestApprovedTextHidesNothing(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := servertest.OfficeOf(w, "ada")[0]
	for _, in := range []map[string]any{{"name": "backup"}, {"name": "backups", "kind": "service"}} {
		if err := ada.Do(t.Context(), "account.create", in, nil); err != nil {
			t.Fatal(err)
		}
	}
	person := servertest.Prepared(w, "account.resume", map[string]any{"name": "BACKUP"}).Object()
	service := servertest.Prepared(w, "account.resume", map[string]any{"name": "backups", "account_kind": "person"}).Object()
	if person != "person backup" || service != "service backups" {
		t.Errorf("a person is %q and a service %q", person, service)
	}
	hostile := []string{strings.Repeat("\n", 200) + "administrators", "a\u202Ebd", "x\u200Bz", "\x1b[2J", "in groups administrators", `a" in groups "b`, "\u2066x", "\u2028", "\u3164"}
	for _, spec := range nouns.Commands() {
		if spec.Reads {
			continue
		}
		seen := map[string]string{} // what was asked for, by what is shown of it
		for _, bad := range hostile {
			cmd := spec.New()
			filled, err := fill(cmd, bad)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(filled, cmd); err != nil {
				continue // that field takes no such text
			}
			asked, err := json.Marshal(cmd)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Admin.Prepare(t.Context(), cmd); err != nil {
				t.Errorf("%s: %v", spec.Action, err)
				continue
			}
			object := cmd.Object()
			if !words.Clean(object) {
				t.Errorf("%s shows %q for %q", spec.Action, object, bad)
			}
			if other, twice := seen[object]; twice && other != string(asked) && !strings.Contains(object, "digest") && hashed(object) == "" {
				t.Errorf("%s shows %q for %s and for %s", spec.Action, object, asked, other)
			}
			seen[object] = string(asked)
		}
	}
	long := servertest.Prepared(w, "account.suspend", map[string]any{"name": "backup", "reason": strings.Repeat("because ", 400)})
	step, err := w.Engine.Check(t.Context(), signin.Request{Application: signin.Self, Action: long.Action(), Object: long.Object(), Session: ada.Secret, Protocol: "api"})
	if err != nil || step.State != signin.Denied || !strings.Contains(step.Public, "shown completely") {
		t.Errorf("a text of %d bytes: %v %q (%v)", len(long.Object()), step.State, step.Public, err)
	}
	raw, err := w.Engine.Check(t.Context(), signin.Request{Application: signin.Self, Action: long.Action(), Object: "person ada\u202E", Session: ada.Secret, Protocol: "api"})
	if err != nil || raw.State != signin.Denied {
		t.Errorf("a text with a turned line: %v (%v)", raw.State, err)
	}
}

// fill writes a text into every field of a command that is one.
func fill(cmd admin.Command, value string) ([]byte, error) {
	b, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "account", "display", "mail", "reason", "note", "serial", "group", "title", "file", "host", "login", "row", "until", "kind", "tier", "vouches", "browser", "number", "upload", "digest", "certificate", "body", "purpose"} {
		fields[name] = value
	}
	for _, name := range []string{"groups", "actions", "networks"} {
		fields[name] = []string{value}
	}
	return json.Marshal(fields)
}

// hashed is what follows the word that says that a document is named by its hash.
func hashed(object string) string {
	for _, word := range []string{"document ", "report ", "settings ", "file ", "certificate"} {
		if _, rest, ok := strings.Cut(object, word); ok {
			return rest
		}
	}
	return ""
}

// The promise: whoever approves on a page, on the command line or on a terminal reads
// the server's text, of which a client can choose nothing.
func TestApprovedTextIsTheServers(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	w.EnrollCodes("grace")
	browser := w.Person()
	browser.Comes("ada", ada.Secret)
	w.Later(6 * 60e9)
	browser.Get("/console/commands/account.suspend")
	browser.Post("/console/commands/account.suspend", "input", `{"name":"GRACE","account_kind":"service","reason":"line one\n\n\n\u202eenil owt"}`)
	browser.Sees(`person grace: line one\n\n\n\u{202E}enil owt`)
	browser.Get("/console/commands/account.suspend")
	browser.Post("/console/commands/account.suspend", "input", `{"name":"grace","reason":"`+strings.Repeat("x", 3000)+`"}`)
	if browser.Status == http.StatusOK || strings.Contains(browser.Page, "<h1>Approve</h1>") {
		t.Errorf("a text that is not shown completely is asked for: %d", browser.Status)
	}
	browser.Sees("too long to be shown completely")
}
