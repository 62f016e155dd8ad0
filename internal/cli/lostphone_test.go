package cli

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	passes "countersign/internal/admin/pass"
	"countersign/internal/directory"
)

// follows opens a pass's link and takes it.
func (p *person) follows(link string) {
	p.w.t.Helper()
	p.get(link)
	_, code, _ := strings.Cut(link, "code=")
	p.post("/welcome", "code", code)
}

// The promise: a pass stands in for nothing that its owner still has: it is asked
// for beside it, and the link alone is worth nothing, however often it is tried.
// When what was lost is revoked, the pass leads to setting up a new phone.
func TestLostPhone(t *testing.T) {
	w, ada := withVPN(t)
	desk := w.clerk()
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
	mallory := w.person()
	mallory.follows(pass.Link)
	mallory.sees("Password")
	for range 3 {
		mallory.post("/sign-in", "authenticator", "password", "text", "not the password")
	}
	if mallory.inside() {
		t.Fatal("a pass without the password was let in")
	}
	late := w.person()
	late.follows(pass.Link)
	if late.sees("no longer good"); late.status != http.StatusForbidden {
		t.Errorf("a used pass was answered %d", late.status)
	}

	owner := w.person()
	owner.follows(issue().Link)
	owner.sees("Password")
	if strings.Contains(owner.page, `name="name"`) {
		t.Error("who it is was asked again: a name begins anew, without the pass")
	}
	owner.post("/sign-in", "authenticator", "password", "text", "a slip of the finger")
	owner.sees("That did not work")
	owner.post("/sign-in", "authenticator", "password", "text", passphrase)
	owner.sees("Code from your authenticator app")
	if owner.inside() {
		t.Error("pass and password were enough although there is a phone")
	}

	w.revokes(desk, "ada", "totp")
	w.later(9 * time.Hour) // the password was not set with this pass
	if pass = issue(); !strings.Contains(pass.Hint, "has a password, and is asked for it") {
		t.Errorf("whoever issues the pass is told %q", pass.Hint)
	}
	mallory.follows(pass.Link)
	mallory.sees("Password")
	if mallory.inside() {
		t.Fatal("the pass alone is enough for whoever has a password left")
	}
	owner.follows(issue().Link)
	owner.sees("Password")
	owner.post("/sign-in", "authenticator", "password", "text", passphrase)
	owner.sees("Set up how you sign in")
	owner.enrollApp()
	if string(owner.secret) == string(ada.secret) {
		t.Error("the lost phone was set up again")
	}
	w.later(25 * time.Hour) // out of quarantine
	p := w.person()
	p.get("/sign-in")
	p.signIn("ada", owner.code())
	if !p.inside() {
		t.Error("the new phone does not sign in")
	}
}

// The promise: a pass is typed on the page for signing in as well; with another name
// or mistyped it is nothing, and the answer does not say whether anybody has the name.
func TestPassIsTyped(t *testing.T) {
	w := newWorld(t)
	pass, err := w.Setup.Plant(t.Context(), "grace", "")
	if err != nil {
		t.Fatal(err)
	}
	w.enrollCodes("ada")
	var answers []string
	for _, try := range [][2]string{{"ada", pass.Code}, {"nobody", pass.Code}, {"grace", "0000-0000-0000-0000"}, {"grace", ""}} {
		mallory := w.person()
		mallory.get("/sign-in")
		mallory.sees("Use a temporary access pass")
		mallory.post("/welcome", "name", try[0], "pass", try[1])
		if mallory.status != http.StatusForbidden {
			t.Errorf("%q is answered %d", try, mallory.status)
		}
		answers = append(answers, mallory.page)
		if mallory.inside() {
			t.Errorf("%q was let in", try)
		}
	}
	for _, page := range answers[1:] {
		if page != answers[0] {
			t.Errorf("two refusals can be told from each other:\n%s\n%s", answers[0], page)
		}
	}
	grace := w.person()
	grace.get("/sign-in")
	grace.post("/welcome", "name", "Grace", "pass", strings.ToLower(pass.Code))
	grace.sees("Set up how you sign in")
}

// authenticatorsOf returns what an account has to sign in with, in every state.
func (w *world) authenticatorsOf(name string) []directory.Credential {
	w.t.Helper()
	ctx := context.Background()
	account, err := w.Directory.Find(ctx, w.DB, name)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := w.Credentials.All(ctx, w.DB, account.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// revokes has an administrator revoke an account's authenticators of a kind.
func (w *world) revokes(desk *clerk, name, kind string) {
	w.t.Helper()
	for _, c := range w.authenticatorsOf(name) {
		if c.Kind != kind || c.Status == directory.CredentialRevoked {
			continue
		}
		if err := desk.Do(context.Background(), "authenticator.revoke", map[string]any{"account": name, "id": c.ID, "reason": "lost"}, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}
