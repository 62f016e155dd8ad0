package signin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// noon goes on to the next noon, for stories that count days.
func noon(w *servertest.World) {
	now := w.Now().UTC()
	w.Later(now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now))
}

// The promise: with a password alone nobody gets in; with password and code the
// honest person does, once for each code; and the log verifies.
func TestPasswordAndCodeInTheBrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")

	mallory := w.Person()
	mallory.Get("/sign-in")
	mallory.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	mallory.Sees("Code from your authenticator app")
	mallory.Get("/account")
	mallory.Sees("Sign in")
	mallory.Post("/sign-in", "authenticator", "totp", "text", "000000")
	if mallory.Status == http.StatusOK {
		t.Error("a wrong code was answered 200")
	}

	known, unknown := w.Person(), w.Person()
	for name, p := range map[string]*servertest.Person{"ada": known, "nobody": unknown} {
		p.Get("/sign-in")
		p.Post("/sign-in", "name", name, "authenticator", "password", "text", "not the password")
		p.Page = strings.NewReplacer(name, "NAME").Replace(regexp.MustCompile(`(form-token" value|challenge&#34;:&#34;)[^>]*`).ReplaceAllString(p.Page, ""))
	}
	if known.Status != unknown.Status || known.Page != unknown.Page {
		t.Errorf("a name that exists can be told from one that does not:\n%s\n%s", known.Page, unknown.Page)
	}

	honest := w.Person()
	honest.Get("/sign-in")
	honest.Post("/sign-in", "name", " ADA ", "authenticator", "password", "text", servertest.Passphrase)
	code := ada.Code()
	honest.Post("/sign-in", "authenticator", "totp", "text", code)
	honest.Sees("Where you are signed in")

	replay := w.Person()
	replay.Get("/sign-in")
	replay.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	replay.Post("/sign-in", "authenticator", "totp", "text", code)
	replay.Get("/account")
	replay.Sees("Sign in")
	if w.Events("signin.granted") != 2 { // the welcome pass, and the honest sign-in
		t.Errorf("%d grants in the log", w.Events("signin.granted"))
	}
	report, err := w.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// The promise: equipment lets nobody in by RADIUS without the code, and no code
// twice, also not one that was used in the browser.
func TestRADIUS(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	const secret = "a-secret-of-the-equipment"
	if err := w.PlantApplications(context.Background(), "localhost:1", secret); err != nil {
		t.Fatal(err)
	}
	ask := func(password, state string) string {
		t.Helper()
		in := fmt.Sprintf("User-Name = \"ada\"\nUser-Password = \"%s\"\nNAS-Identifier = \"nas\"\nMessage-Authenticator = 0x00\n", password)
		if state != "" {
			in += "State = " + state + "\n"
		}
		cmd := exec.Command("radclient", "-x", "-r", "1", "-t", "5", w.Radius, "auth", secret)
		cmd.Stdin = strings.NewReader(in)
		out, _ := cmd.CombinedOutput() // radclient exits 1 for a challenge and a reject
		return string(out)
	}
	state := regexp.MustCompile(`State = (0x[0-9a-f]+)`)
	challenge := func() string {
		t.Helper()
		out := ask(servertest.Passphrase, "")
		m := state.FindAllStringSubmatch(out, -1)
		if !strings.Contains(out, "Access-Challenge") || m == nil {
			t.Fatalf("no challenge:\n%s", out)
		}
		return m[len(m)-1][1]
	}
	if out := ask("wrong password", ""); !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong password:\n%s", out)
	}
	if out := ask("000000", challenge()); !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong code:\n%s", out)
	}
	code := ada.Code()
	if out := ask(code, challenge()); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("the right code:\n%s", out)
	}
	if out := ask(code, challenge()); strings.Contains(out, "Received Access-Accept") {
		t.Errorf("a code was accepted twice:\n%s", out)
	}
	if w.Events("alarm.factor-missing") == 0 {
		t.Error("a right password without its code raised no alarm")
	}
}

// plant puts a cookie into a browser, as somebody who can write one does.
func plant(p *servertest.Person, name, value string) {
	p.W.T.Helper()
	base, err := url.Parse(p.W.Base)
	if err != nil {
		p.W.T.Fatal(err)
	}
	p.Client.Jar.SetCookies(base, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
