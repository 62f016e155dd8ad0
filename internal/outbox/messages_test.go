package outbox

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A code is carried once, and what is kept of an account is forgotten with it: what waits,
// and what counts against more. What counts no more is swept.
func TestMessagesAreCarriedForgottenAndSwept(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		clock := func() time.Time { return now }
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		db, keys := keyringtest.Open(t, store.Options{DSN: dsn, Now: clock, Log: log}, keyring.NewRoot())
		people := directory.NewAccounts(directory.Parts{DB: db, Keys: keys})
		m, err := New(Parts{DB: db, Keys: keys, Accounts: people, Now: clock, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		change := func(f func(tx *store.Tx) error) {
			t.Helper()
			storetest.Change(t, db, f)
		}
		var ada, bob directory.Account
		change(func(tx *store.Tx) (err error) {
			if ada, err = people.Create(t.Context(), tx, directory.NewAccount{Name: "ada"}); err == nil {
				bob, err = people.Create(t.Context(), tx, directory.NewAccount{Name: "bob"})
			}
			return err
		})
		send := func(a directory.Account) (did bool) {
			t.Helper()
			change(func(tx *store.Tx) (err error) {
				s := Sending{Account: a.ID}
				s.Entry.Source = "192.0.2.7"
				did, err = m.Send(t.Context(), tx, s, authenticator.Message{To: "+4930123", Text: a.Name})
				return err
			})
			return did
		}
		carried := func() (texts []string) {
			t.Helper()
			err := m.Carry(t.Context(), func(_ context.Context, message authenticator.Message) error {
				texts = append(texts, message.Text)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return texts
		}
		count := func(table string) (n int64) {
			t.Helper()
			if err := db.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if !send(ada) || send(ada) || !send(bob) {
			t.Error("each may have one now, and no other at once")
		}
		change(func(tx *store.Tx) error { return m.Forget(t.Context(), tx, bob.ID) })
		if count("message") != 1 || count("sent") != 1 {
			t.Errorf("%d messages and %d that count", count("message"), count("sent"))
		}
		if got := carried(); len(got) != 1 || got[0] != "ada" || len(carried()) != 0 {
			t.Errorf("carried %q", got)
		}
		now = now.Add(25*time.Hour - time.Second)
		for _, left := range []int64{1, 0} {
			if err := m.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := count("sent"); n != left {
				t.Errorf("at %s %d are left", now, n)
			}
			now = now.Add(2 * time.Second)
		}
	})
}
