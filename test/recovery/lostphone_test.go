package recovery

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	passes "countersign/internal/admin/pass"
	"countersign/internal/servertest"
)

// The promise: a pass stands in for nothing that its owner still has: it is asked
// for beside it, and the link alone is worth nothing, however often it is tried.
// When what was lost is revoked, the pass leads to setting up a new phone.
func TestLostPhone(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	desk := w.Clerk()
	issue := func() (pass passes.Pass) {
		t.Helper()
		if err := desk.Do(t.Context(), "pass.issue", map[string]any{"account": "ada", "note": "seen in person"}, &pass); err != nil {
			t.Fatal(err)
		}
		return pass
	}

	pass := issue()
	if !strings.Contains(pass.Hint, "must be revoked first") {
		t.Errorf("whoever issues the pass is not told that it will not do: %q", pass.Hint)
	}
	mallory := w.Person()
	servertest.Follows(mallory, pass.Link)
	mallory.Sees("Password")
	for range 3 {
		mallory.Post("/sign-in", "authenticator", "password", "text", "not the password")
	}
	if mallory.Inside() {
		t.Fatal("a pass without the password was let in")
	}
	late := w.Person()
	servertest.Follows(late, pass.Link)
	if late.Sees("no longer good"); late.Status != http.StatusForbidden {
		t.Errorf("a used pass was answered %d", late.Status)
	}

	owner := w.Person()
	servertest.Follows(owner, issue().Link)
	owner.Sees("Password")
	if strings.Contains(owner.Page, `name="name"`) {
		t.Error("who it is was asked again: a name begins anew, without the pass")
	}
	owner.Post("/sign-in", "authenticator", "password", "text", "a slip of the finger")
	owner.Sees("That did not work")
	owner.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	owner.Sees("Code from your authenticator app")
	if owner.Inside() {
		t.Error("pass and password were enough although there is a phone")
	}

	servertest.Revokes(w, desk, "ada", "totp")
	w.Later(9 * time.Hour) // the password was not set with this pass
	if pass = issue(); !strings.Contains(pass.Hint, "has a password, and is asked for it") {
		t.Errorf("whoever issues the pass is told %q", pass.Hint)
	}
	servertest.Follows(mallory, pass.Link)
	mallory.Sees("Password")
	if mallory.Inside() {
		t.Fatal("the pass alone is enough for whoever has a password left")
	}
	servertest.Follows(owner, issue().Link)
	owner.Sees("Password")
	owner.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	owner.Sees("Set up how you sign in")
	owner.EnrollApp()
	if string(owner.Secret) == string(ada.Secret) {
		t.Error("the lost phone was set up again")
	}
	w.Later(25 * time.Hour) // out of quarantine
	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("ada", owner.Code())
	if !p.Inside() {
		t.Error("the new phone does not sign in")
	}
}

// ownToken is the token of a browser's forms, which is another one in each.
var ownToken = regexp.MustCompile(`name="form-token" value="[^"]*"`)

// The promise: a pass is typed on the page for signing in as well; with another name
// or mistyped it is nothing, and the answer does not say whether anybody has the name.
func TestPassIsTyped(t *testing.T) {
	w := servertest.NewWorld(t)
	pass, err := w.Setup.Plant(t.Context(), "grace", "")
	if err != nil {
		t.Fatal(err)
	}
	w.EnrollCodes("ada")
	var answers []string
	for _, try := range [][2]string{{"ada", pass.Code}, {"nobody", pass.Code}, {"grace", "0000-0000-0000-0000"}, {"grace", ""}} {
		mallory := w.Person()
		mallory.Get("/sign-in")
		mallory.Sees("Use a temporary access pass")
		mallory.Post("/welcome", "name", try[0], "pass", try[1])
		if mallory.Status != http.StatusForbidden {
			t.Errorf("%q is answered %d", try, mallory.Status)
		}
		answers = append(answers, ownToken.ReplaceAllString(mallory.Page, ""))
		if mallory.Inside() {
			t.Errorf("%q was let in", try)
		}
	}
	for _, page := range answers[1:] {
		if page != answers[0] {
			t.Errorf("two refusals can be told from each other:\n%s\n%s", answers[0], page)
		}
	}
	grace := w.Person()
	grace.Get("/sign-in")
	grace.Post("/welcome", "name", "Grace", "pass", strings.ToLower(pass.Code))
	grace.Sees("Set up how you sign in")
}
