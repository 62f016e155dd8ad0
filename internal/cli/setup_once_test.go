package cli

import (
	"context"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// rows does something to rows behind everybody's back.
func (w *world) rows(statements ...string) {
	w.t.Helper()
	err := w.DB.Change(context.Background(), audit.Actor{Name: "mallory"}, func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(context.Background(), s); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test.rows", Outcome: "ok"})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// allOf puts every authenticator of an account into a state.
func (w *world) allOf(name, status string) {
	w.t.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		d, err := w.Directory.Find(ctx, tx, name)
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
		w.t.Fatal(err)
	}
}

// setUpLink is the code of a new link, as each start prints one.
func (w *world) setUpLink() string {
	w.t.Helper()
	code, err := w.Setup.Link(context.Background())
	if err != nil || code == "" {
		w.t.Fatalf("no set-up link: %v", err)
	}
	return code
}

// setUpWith is a first administrator, made with a link and a password and codes.
func (w *world) setUpWith(code string) *person {
	w.t.Helper()
	root := w.person()
	root.get("/setup?code=" + code)
	root.post("/setup", "code", code, "name", "root", "with", "codes")
	root.enrollPassword()
	root.enrollApp()
	return root
}

// The promise: set-up is over for good once an administrator has existed. A second
// link, of an earlier start, is nothing after the first one's use: not when the
// administrator's factors are switched off, revoked or gone, not when they are no
// administrator any more, and not when whoever writes to the database deletes what
// says so.
func TestSetUpHappensOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn)
		earlier := w.setUpLink()
		now := w.setUpLink()
		late := w.person()
		late.get("/setup?code=" + earlier)
		late.sees("Who will be the first administrator?") // open in a browser already
		form := late.page
		w.setUpWith(now)

		attack := func(how string) {
			t.Helper()
			mallory := w.person()
			mallory.get("/setup?code=" + earlier)
			if mallory.status == 200 {
				t.Errorf("%s: an earlier link still opens set-up", how)
			}
			late.post("/setup", "code", earlier, "name", "mallory", "with", "codes")
			if late.status == 200 {
				t.Errorf("%s: an earlier link made another administrator", how)
			}
			late.page = form // the page that was open all along
			if code, err := w.Setup.Link(context.Background()); err != nil || code != "" {
				t.Errorf("%s: there is a new set-up link (%v)", how, err)
			}
		}
		attack("with an administrator")
		w.allOf("root", directory.CredentialDisabled)
		attack("with the administrator's factors switched off")
		w.allOf("root", directory.CredentialRevoked)
		attack("with the administrator's factors revoked")
		w.rows(`delete from credential`, `delete from membership`)
		attack("with no administrator at all")
		w.rows(`delete from milestone`)
		attack("with the row deleted that says so")
		if w.events("alarm.set-up-row-missing") == 0 {
			t.Error("a deleted row is no alarm")
		}
		w.rows(`update milestone set account = 99`)
		attack("with the row changed that says so")
	})
}
