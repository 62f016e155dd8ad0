package cli

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/policy"
	"countersign/internal/store"
)

// settingUp is a person who has opened the set-up link.
func (w *world) settingUp() (*person, string) {
	w.t.Helper()
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.person()
	p.get("/setup?code=" + code)
	p.sees("Who will be the first administrator?")
	return p, code
}

func (w *world) policyInForce() string {
	w.t.Helper()
	d, err := w.Rules.Latest(context.Background(), w.DB)
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Body
}

// The promise: who has no passkey sets up an installation with a password and
// codes, is told what that costs, gets in with both and with neither alone, and
// the log says that the policy is the weaker one.
func TestSetUpWithCodes(t *testing.T) {
	w := newWorld(t)
	root, code := w.settingUp()
	root.sees("A typed code can be phished")
	root.sees("the policy here begins weaker")
	root.post("/setup", "code", code, "name", "root", "with", "codes")
	root.sees("lets administrators in with a password and a code, which can be phished")
	if w.policyInForce() != string(policy.DefaultForCodes()) {
		t.Fatal("the policy for codes is not in force")
	}
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: "policy.changed", Limit: 10})
	if err != nil || len(entries) != 1 || entries[0].Reason != "codes-chosen" {
		t.Errorf("the log does not say why the policy is weaker: %v, %v", entries, err)
	}

	root.enrollPassword()
	root.enrollApp()
	w.later(time.Minute)
	root.get("/sign-in")
	root.post("/sign-in", "name", "root", "authenticator", "password", "text", passphrase)
	root.post("/sign-in", "authenticator", "totp", "text", root.code())
	root.sees("Where you are signed in")
	root.sees("add one as soon as you can")
	root.get("/console")
	root.sees("All commands")

	// A passkey can be added with what the administrator has.
	w.later(time.Minute)
	root.get("/account")
	root.post("/account/do", "action", "authenticator.enroll", "object", "passkey")
	root.sees("Create it")

	mallory := w.person()
	mallory.get("/sign-in")
	mallory.post("/sign-in", "name", "root", "authenticator", "password", "text", passphrase)
	mallory.get("/console")
	mallory.sees("Sign in")
	mallory.get("/setup?code=" + code)
	if mallory.status == 200 {
		t.Error("the set-up link was good a second time")
	}
	if again, err := w.Setup.Link(context.Background()); err != nil || again != "" {
		t.Errorf("there is an administrator, and another set-up link (%v)", err)
	}
}

// The promise: with a passkey chosen the policy stays strict, also after a first
// try with codes; and codes as the first thing are not offered.
func TestSetUpWithAPasskeyStaysStrict(t *testing.T) {
	w := newWorld(t)
	first, code := w.settingUp()
	first.post("/setup", "code", code, "name", "root", "with", "codes")

	again, code := w.settingUp()
	again.post("/setup", "code", code, "name", "root", "with", "passkey")
	again.sees("Administrators sign in with a passkey")
	if w.policyInForce() != string(policy.Default()) {
		t.Error("the weaker policy stayed in force")
	}
	if strings.Contains(again.page, `value="totp"`) {
		t.Error("codes are offered, which would lock the administrator out")
	}
	// Who still has the first page open sets nothing up: its pass was replaced. Nor is
	// anybody let in with codes that were set up by the back door.
	first.post("/account/do", "action", "authenticator.enroll", "object", "password")
	if first.status != http.StatusForbidden {
		t.Errorf("with a pass that was replaced a password can be set up: %d", first.status)
	}
	again.enrollPassword()
	again.enrollApp()
	w.later(time.Minute)
	stranger := w.person()
	stranger.get("/sign-in")
	stranger.post("/sign-in", "name", "root", "authenticator", "password", "text", passphrase)
	stranger.sees("You need another way to sign in here")
	for _, p := range []*person{first, again, stranger} {
		p.get("/console")
		if p.status == 200 && strings.Contains(p.page, "All commands") {
			t.Error("a password and codes opened the console")
		}
	}
}

// The promise: a set-up link does not weaken a policy that somebody wrote.
func TestSetUpLinkWeakensNothing(t *testing.T) {
	w := newWorld(t)
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
	mallory, code := w.settingUp()
	mallory.post("/setup", "code", code, "name", "mallory", "with", "codes")
	mallory.sees("set-up does not weaken it")
	if w.policyInForce() != own {
		t.Fatal("the set-up link replaced a policy that somebody wrote")
	}
	// The link is still good for what is not weaker.
	mallory.post("/setup", "code", code, "name", "mallory", "with", "passkey")
	mallory.sees("Administrators sign in with a passkey")
	if w.policyInForce() != own {
		t.Error("the set-up link replaced a policy that somebody wrote")
	}
}
