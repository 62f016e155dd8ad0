package signin

import (
	"context"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// rows does something to rows behind everybody's back.
func rows(w *servertest.World, statements ...string) {
	w.T.Helper()
	err := w.DB.Change(context.Background(), audit.Actor{Name: "mallory"}, func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(context.Background(), s); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test.rows", Outcome: "ok"})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// allOf puts every authenticator of an account into a state.
func allOf(w *servertest.World, name, status string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		d, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err := w.Credentials.All(ctx, tx, d.ID)
		if err != nil {
			return err
		}
		for _, c := range all {
			c.Status = status
			if err := w.Credentials.Update(ctx, tx, c); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test.credentials", Outcome: "ok"})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// setUpLink is the code of a new link, as each start prints one.
func setUpLink(w *servertest.World) string {
	w.T.Helper()
	code, err := w.Setup.Link(context.Background())
	if err != nil || code == "" {
		w.T.Fatalf("no set-up link: %v", err)
	}
	return code
}

// setUpWith is a first administrator, made with a link and a password and codes.
func setUpWith(w *servertest.World, code string) *servertest.Person {
	w.T.Helper()
	root := w.Person()
	root.Get("/setup?code=" + code)
	root.Post("/setup", "code", code, "name", "root", "with", "codes")
	root.EnrollPassword()
	root.EnrollApp()
	return root
}

// The promise: set-up is over for good once an administrator has existed. A second
// link, of an earlier start, is nothing after the first one's use: not when the
// administrator's factors are switched off, revoked or gone, not when they are no
// administrator any more, and not when whoever writes to the database deletes what
// says so.
func TestSetUpHappensOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		earlier := setUpLink(w)
		now := setUpLink(w)
		late := w.Person()
		late.Get("/setup?code=" + earlier)
		late.Sees("Who will be the first administrator?") // open in a browser already
		form := late.Page
		setUpWith(w, now)

		attack := func(how string) {
			t.Helper()
			mallory := w.Person()
			mallory.Get("/setup?code=" + earlier)
			if mallory.Status == 200 {
				t.Errorf("%s: an earlier link still opens set-up", how)
			}
			late.Post("/setup", "code", earlier, "name", "mallory", "with", "codes")
			if late.Status == 200 {
				t.Errorf("%s: an earlier link made another administrator", how)
			}
			late.Page = form // the page that was open all along
			if code, err := w.Setup.Link(context.Background()); err != nil || code != "" {
				t.Errorf("%s: there is a new set-up link (%v)", how, err)
			}
		}
		attack("with an administrator")
		allOf(w, "root", directory.CredentialDisabled)
		attack("with the administrator's factors switched off")
		allOf(w, "root", directory.CredentialRevoked)
		attack("with the administrator's factors revoked")
		rows(w, `delete from credential`, `delete from membership`)
		attack("with no administrator at all")
		rows(w, `delete from milestone`)
		attack("with the row deleted that says so")
		if w.Events("alarm.set-up-row-missing") == 0 {
			t.Error("a deleted row is no alarm")
		}
		rows(w, `update milestone set account = 99`)
		attack("with the row changed that says so")
	})
}
