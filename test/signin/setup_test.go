package signin

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// settingUp is a person who has opened the set-up link.
func settingUp(w *servertest.World) (*servertest.Person, string) {
	w.T.Helper()
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		w.T.Fatal(err)
	}
	p := w.Person()
	p.Get("/setup?code=" + code)
	p.Sees("Who will be the first administrator?")
	return p, code
}

// The promise: who has no passkey sets up an installation with a password and
// codes, is told what that costs, gets in with both and with neither alone, and
// the log says that the policy is the weaker one.
func TestSetUpWithCodes(t *testing.T) {
	w := servertest.NewWorld(t)
	root, code := settingUp(w)
	root.Sees("A typed code can be phished")
	root.Sees("the policy here begins weaker")
	root.Post("/setup", "code", code, "name", "root", "with", "codes")
	root.Sees("lets administrators in with a password and a code, which can be phished")
	if servertest.PolicyInForce(w) != string(policy.DefaultForCodes()) {
		t.Fatal("the policy for codes is not in force")
	}
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: "policy.changed", Limit: 10})
	if err != nil || len(entries) != 1 || entries[0].Reason != "codes-chosen" {
		t.Errorf("the log does not say why the policy is weaker: %v, %v", entries, err)
	}

	root.EnrollPassword()
	root.EnrollApp()
	w.Later(time.Minute)
	root.Get("/sign-in")
	root.Post("/sign-in", "name", "root", "authenticator", "password", "text", servertest.Passphrase)
	root.Post("/sign-in", "authenticator", "totp", "text", root.Code())
	root.Sees("Where you are signed in")
	root.Sees("add one as soon as you can")
	root.Get("/console")
	root.Sees("All commands")

	// A passkey can be added with what the administrator has.
	w.Later(time.Minute)
	root.Get("/account")
	root.Post("/account/do", "action", "authenticator.enroll", "object", "passkey")
	root.Sees("Create it")

	mallory := w.Person()
	mallory.Get("/sign-in")
	mallory.Post("/sign-in", "name", "root", "authenticator", "password", "text", servertest.Passphrase)
	mallory.Get("/console")
	mallory.Sees("Sign in")
	mallory.Get("/setup?code=" + code)
	if mallory.Status == 200 {
		t.Error("the set-up link was good a second time")
	}
	if again, err := w.Setup.Link(context.Background()); err != nil || again != "" {
		t.Errorf("there is an administrator, and another set-up link (%v)", err)
	}
}

// The promise: with a passkey chosen the policy stays strict, also after a first
// try with codes; and codes as the first thing are not offered.
func TestSetUpWithAPasskeyStaysStrict(t *testing.T) {
	w := servertest.NewWorld(t)
	first, code := settingUp(w)
	first.Post("/setup", "code", code, "name", "root", "with", "codes")

	again, code := settingUp(w)
	again.Post("/setup", "code", code, "name", "root", "with", "passkey")
	again.Sees("Administrators sign in with a passkey")
	if servertest.PolicyInForce(w) != string(policy.Default()) {
		t.Error("the weaker policy stayed in force")
	}
	if strings.Contains(again.Page, `value="totp"`) {
		t.Error("codes are offered, which would lock the administrator out")
	}
	// Who still has the first page open sets nothing up: its pass was replaced. Nor is
	// anybody let in with codes that were set up by the back door.
	first.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	if first.Status != http.StatusForbidden {
		t.Errorf("with a pass that was replaced a password can be set up: %d", first.Status)
	}
	again.EnrollPassword()
	again.EnrollApp()
	w.Later(time.Minute)
	stranger := w.Person()
	stranger.Get("/sign-in")
	stranger.Post("/sign-in", "name", "root", "authenticator", "password", "text", servertest.Passphrase)
	stranger.Sees("this also needs a passkey or security key. Ask an administrator to help you")
	for _, p := range []*servertest.Person{first, again, stranger} {
		p.Get("/console")
		if p.Status == 200 && strings.Contains(p.Page, "All commands") {
			t.Error("a password and codes opened the console")
		}
	}
}

// The promise: a set-up link does not weaken a policy that somebody wrote.
func TestSetUpLinkWeakensNothing(t *testing.T) {
	w := servertest.NewWorld(t)
	own := strings.Replace(string(policy.Default()), "within: 15m", "within: 14m", 1)
	err := w.DB.Change(context.Background(), audit.Actor{Name: "root"}, func(tx *store.Tx) error {
		if _, err := w.Rules.Save(context.Background(), tx, own, "root"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "policy.changed", Outcome: "ok"})
	})
	if err != nil {
		t.Fatal(err)
	}
	mallory, code := settingUp(w)
	mallory.Post("/setup", "code", code, "name", "mallory", "with", "codes")
	mallory.Sees("set-up does not weaken it")
	if servertest.PolicyInForce(w) != own {
		t.Fatal("the set-up link replaced a policy that somebody wrote")
	}
	// The link is still good for what is not weaker.
	mallory.Post("/setup", "code", code, "name", "mallory", "with", "passkey")
	mallory.Sees("Administrators sign in with a passkey")
	if servertest.PolicyInForce(w) != own {
		t.Error("the set-up link replaced a policy that somebody wrote")
	}
}
