package signin

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// becomes sets the state of ada's account and nothing else: her session stays.
func becomes(w *servertest.World, state string) {
	w.T.Helper()
	ctx := w.T.Context()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		ada, err := w.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		ada.State = state
		if err := w.Accounts.Update(ctx, tx, ada); err != nil {
			return err
		}
		tx.Announce(directory.Topic(ada.ID))
		return tx.Record(audit.Entry{Event: "test.state", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// The promise: who is suspended is let in nowhere and has no session any more, also where
// nobody's policy says so: whatever they show. Resumed, they sign in as before.
func TestSuspendedWhateverPolicySays(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	w.SetPolicy("rules:\n  - {name: all, require: two-factors}\n")
	const inside = "Where you are signed in"
	browser := w.Person()
	browser.Comes("ada", ada.Secret)
	browser.Get("/account")
	browser.Sees(inside)
	in := func() (line signin.Step, page bool) {
		w.Later(time.Minute)
		line = w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code()))
		w.Later(time.Minute)
		p := w.Person()
		p.Get("/sign-in")
		p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		if servertest.TokenField.MatchString(p.Page) { // else it is over already
			p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
		}
		return line, strings.Contains(p.Page, inside)
	}
	if line, page := in(); line.State != signin.Granted || !page {
		t.Fatalf("before: %v %s, on a page %v", line.State, line.Reason, page)
	}
	becomes(w, directory.Suspended)
	if browser.Get("/account"); strings.Contains(browser.Page, inside) {
		t.Error("the session stands")
	}
	if line, page := in(); line.State != signin.Denied || line.Reason != "suspended" || page {
		t.Errorf("suspended: %v %q, on a page %v", line.State, line.Reason, page)
	}
	becomes(w, directory.Active)
	if line, page := in(); line.State != signin.Granted || !page {
		t.Errorf("resumed: %v %s, on a page %v", line.State, line.Reason, page)
	}
}
