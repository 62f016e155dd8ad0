package signin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	keys "countersign/internal/admin/key"
	"countersign/internal/prompt"
	"countersign/internal/protocol/yubico"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/web/api"
)

// withKey is a world in which a service has a key for one action, from this machine.
func withKey(t *testing.T) (w *servertest.World, ada *servertest.Person, key string) {
	w = servertest.NewWorld(t)
	ada = w.Administrator("ada")
	sh := w.Shell()
	sh.Login(w.Person(), "ada", ada.Code())
	w.Protect("wiki", map[string]any{"hosts": []string{"wiki.test"}})
	run := func(args ...string) string {
		out, complaint, ok := sh.Run("", args...)
		if !ok {
			t.Fatalf("%v: %s%s", args, out, complaint)
		}
		return out
	}
	run("account", "create", "robot", "--kind", "service")
	var issued keys.Key
	out := run("--json", "key", "issue", "robot", "--action", "account.list", "--network", "127.0.0.0/8", "--days", "30")
	if err := json.Unmarshal([]byte(out), &issued); err != nil {
		t.Fatal(err)
	}
	w.Later(time.Minute)
	return w, ada, issued.Key
}

// The promise: an automation key opens no page and no application, by no way in: it
// comes with a command, and shows nothing anywhere else, in its own network neither.
func TestKeyIsForCommandsOnly(t *testing.T) {
	w, ada, key := withKey(t)

	thief := w.Person()
	thief.Get("/sign-in")
	thief.Post("/sign-in", "name", "robot", "authenticator", "apikey", "text", key)
	thief.Get("/account")
	if strings.Contains(thief.Page, "Where you are signed in") {
		t.Error("a key that was typed into the sign-in form opened the portal")
	}
	thief.Get("/sign-in") // and in the place of an answer to a question that was asked
	thief.Post("/sign-in", "name", "robot", "authenticator", "password", "text", "wrong")
	thief.Post("/sign-in", "authenticator", "apikey", "text", key)
	thief.Get("/account")
	if strings.Contains(thief.Page, "Where you are signed in") {
		t.Error("a key that was typed as the second answer opened the portal")
	}
	for _, medium := range []prompt.Medium{prompt.Browser, prompt.Line, prompt.Line | prompt.Display, prompt.Single, prompt.Single | prompt.Silence, prompt.Silence, prompt.API, 0} {
		for _, protocol := range []string{"browser", "radius", yubico.Protocol, "forward-auth", api.Protocol} {
			for _, application := range []string{signin.Self, "wiki"} {
				for _, as := range []string{"apikey", signin.AnyCode, "password", "yubico-otp", ""} {
					for _, name := range []string{"robot", ""} {
						r := signin.Request{Application: application, Name: name, Protocol: protocol, Medium: medium, Opening: []prompt.Answer{{Authenticator: as, Text: key}}}
						if s := w.Begin(r); s.State == signin.Granted {
							t.Errorf("%s as %q by %s, medium %b: granted", application, as, protocol, medium)
						}
					}
				}
			}
		}
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "evidence.accepted", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.AccountName != "ada" {
			t.Errorf("what %q showed was accepted: %v", e.AccountName, e.Detail)
		}
	}

	// It is still good for what it was issued for, and so is ada's way in.
	req, _ := http.NewRequest("POST", w.Base+api.Root+"commands/account.list", strings.NewReader("{}"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a command with the key: %d", resp.StatusCode)
	}
	w.SignedIn(ada)
}
