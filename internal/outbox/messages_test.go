package outbox

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/language"
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

// What a carrier will never take is tried once, and the log has its answer; one that takes
// nothing is not asked about the next message; and no carrier is handed another's.
func TestCarriersOfMessages(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Now: clock, Log: log}, keyring.NewRoot())
	people := directory.NewAccounts(directory.Parts{DB: db, Keys: keys})
	m, err := New(Parts{DB: db, Keys: keys, Accounts: people, Now: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	queue := func(name, subject string) {
		t.Helper()
		storetest.Change(t, db, func(tx *store.Tx) error {
			a, err := people.Create(t.Context(), tx, directory.NewAccount{Name: name})
			if err == nil {
				_, err = m.Send(t.Context(), tx, Sending{Account: a.ID}, authenticator.Message{To: "+4930123", Subject: subject, Text: name})
			}
			return err
		})
	}
	mail := func(m authenticator.Message) bool { return m.Subject != "" }
	answers := map[string]error{}
	carry := func(takes func(authenticator.Message) bool) (asked []string, taken int, err error) {
		taken, err = m.CarryBy(t.Context(), Carrier{Takes: takes, Carry: func(_ context.Context, message authenticator.Message) error {
			asked = append(asked, message.Text)
			return answers[message.Text]
		}})
		return asked, taken, err
	}
	for i := range carryPage + 1 { // more than one page of another's before it
		queue("mail"+strconv.Itoa(i), "A code")
	}
	queue("sms", "")
	answers["sms"] = failure.New(failure.Invalid, "The gateway answered 400: no such number")
	if asked, taken, err := carry(func(m authenticator.Message) bool { return !mail(m) }); err != nil || taken != 0 || !slices.Equal(asked, []string{"sms"}) {
		t.Errorf("asked %v, %d taken, %v", asked, taken, err)
	}
	said, err := db.AuditLog().Entries(t.Context(), store.Filter{Event: "code.undelivered", Limit: 10})
	if err != nil || len(said) != 1 || said[0].Reason != "permanent" || said[0].AccountName != "sms" || !strings.Contains(said[0].Detail["answer"], "400: no such number") {
		t.Errorf("the log says %+v, %v", said, err)
	}
	answers["mail0"] = failure.New(failure.Unavailable, "The mail server cannot be reached.")
	if asked, taken, err := carry(mail); failure.ClassOf(err) != failure.Unavailable || taken != 0 || len(asked) != 1 {
		t.Errorf("asked %v, %d taken, %v", asked, taken, err)
	}
	if asked, taken, err := carry(mail); err != nil || taken != carryPage || len(asked) != carryPage || slices.Contains(asked, "mail0") {
		t.Errorf("asked %v, %d taken, %v", asked, taken, err)
	}
	now = now.Add(carryPause)
	delete(answers, "mail0")
	if asked, taken, err := carry(mail); err != nil || taken != 1 || !slices.Equal(asked, []string{"mail0"}) {
		t.Errorf("asked %v, %d taken, %v", asked, taken, err)
	}
}

// A worker that hangs keeps its message to itself for longer than it can hang.
func TestALongTryIsNotDoubled(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Now: clock}, keyring.NewRoot())
	people := directory.NewAccounts(directory.Parts{DB: db, Keys: keys})
	m, err := New(Parts{DB: db, Keys: keys, Accounts: people, Now: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Change(t, db, func(tx *store.Tx) error {
		a, err := people.Create(t.Context(), tx, directory.NewAccount{Name: "ada"})
		if err == nil {
			_, err = m.Send(t.Context(), tx, Sending{Account: a.ID}, authenticator.Message{To: "+4930123", Text: "x"})
		}
		return err
	})
	sent := 0
	var slow func(context.Context, authenticator.Message) error
	slow = func(ctx context.Context, _ authenticator.Message) error {
		sent++
		now = now.Add(2 * time.Minute)
		return m.Carry(ctx, slow)
	}
	if err := m.Carry(t.Context(), slow); err != nil || sent != 1 {
		t.Errorf("sent %d times, %v", sent, err)
	}
}

// Carry is CarryBy for one carrier of everything, without the number.
func (m *Messages) Carry(ctx context.Context, carry func(context.Context, authenticator.Message) error) error {
	_, err := m.CarryBy(ctx, Carrier{Carry: carry})
	return err
}

// A code is written in the language of its account, and in the installation's where the account
// has none; what stands behind the text is in no language.
func TestACodeIsInItsOwnersLanguage(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Now: clock, Log: log}, keyring.NewRoot())
	people := directory.NewAccounts(directory.Parts{DB: db, Keys: keys})
	shelf, err := language.NewShelf("")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tag, want string
		in        *language.Shelf
	}{
		"ada": {"de", "123456 ist Ihr Code für Example. Niemand, der Sie anruft, braucht ihn.\n@h #123456", shelf}, "bob": {"", "123456 is your code for Example. Nobody who calls you needs it.\n@h #123456", shelf},
		"carl": {"fr", "123456 is your code for Example. Nobody who calls you needs it.\n@h #123456", shelf}, "dora": {"de", "123456 is your code for Example. Nobody who calls you needs it.\n@h #123456", nil},
	} {
		m, err := New(Parts{DB: db, Keys: keys, Accounts: people, Now: clock, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		m.Speaking(c.in)
		storetest.Change(t, db, func(tx *store.Tx) error {
			a, err := people.Create(t.Context(), tx, directory.NewAccount{Name: name})
			if err != nil {
				return err
			}
			a.Language = c.tag
			if err := people.Update(t.Context(), tx, a); err != nil {
				return err
			}
			_, err = m.Send(t.Context(), tx, Sending{Account: a.ID}, authenticator.Worded("+4930123", authenticator.Wording{Text: language.Say("%s is your code for %s. Nobody who calls you needs it.", "123456", "Example"), Tail: "\n@h #123456"}))
			return err
		})
		var got []string
		err = m.Carry(t.Context(), func(_ context.Context, message authenticator.Message) error {
			got = append(got, message.Text)
			return nil
		})
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s reads %q, %v", name, got, err)
		}
	}
}
