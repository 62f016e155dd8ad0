package signin

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// A browser in which an account was let in is known for that account alone, wherever it
// is, and whatever was guessed from there.
func TestPriorityOfARememberedBrowser(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "remembered.db")}) // with keys of its own
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	keys, err := keyring.Open(t.Context(), db, keyring.NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	p := Parts{DB: db, Keys: keys, Accounts: directory.NewAccounts(directory.Parts{DB: db, Keys: keys}), Credentials: directory.NewCredentials(directory.Parts{DB: db, Keys: keys}), Now: func() time.Time { return now }}
	ids := map[string]assurance.AccountID{}
	if p.Limits, err = p.Limits.Check(); err != nil {
		t.Fatal(err)
	}
	var after time.Duration
	g, err := throttle.New(p.DB, p.Keys, p.Limits, func() time.Time { return now.Add(after) })
	if err != nil {
		t.Fatal(err)
	}
	err = db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		for _, name := range []string{"ada", "bob"} {
			a, err := p.Accounts.Create(t.Context(), tx, directory.NewAccount{Name: name})
			if err != nil {
				return err
			}
			ids[name] = a.ID
		}
		for i := range 10 { // so many wrong answers put an address behind others
			by := throttle.Requester{Origin: throttle.Origin{Source: netip.MustParseAddr("198.51.100.7")}, Name: fmt.Sprint("somebody", i)}
			b, _, err := g.Read(t.Context(), tx, by, throttle.Target{Kind: "password"})
			if err == nil {
				err = g.Charge(t.Context(), tx, &b)
			}
			if err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test.accounts", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	x := &examiner{db: p.DB, accounts: p.accounts(), throttle: g}
	hers := (&Engine{throttle: g}).Remember(Grant{&grant{account: ids["ada"]}})
	plain := func(from netip.Addr) throttle.Position { // by the address alone
		t.Helper()
		p, err := g.Position(t.Context(), db, throttle.Origin{Source: from})
		if err != nil || p.Known() {
			t.Fatalf("%s: %+v, %v", from, p, err)
		}
		return p
	}
	for _, c := range []struct {
		name, browser, from string
		after               time.Duration
		known               bool
	}{
		{"ada", hers, "192.0.2.80", 0, true}, {"ada", hers, "198.51.100.7", 0, true}, {"ADA", hers, "192.0.2.80", 0, true}, {"ada", hers, "", 0, true},
		{"ada", "", "192.0.2.80", 0, false}, {"ada", "", "198.51.100.7", 0, false}, {"bob", hers, "192.0.2.80", 0, false}, {"bob", hers, "198.51.100.7", 0, false},
		{"nobody", hers, "192.0.2.80", 0, false}, {"", hers, "192.0.2.80", 0, false}, {"ada", hers + "x", "192.0.2.80", 0, false},
		{"ada", hers, "192.0.2.80", BrowserLife, false}, {"ada", hers, "192.0.2.80", -time.Hour, false},
	} {
		from, _ := netip.ParseAddr(c.from)
		after = c.after
		want := plain(from)
		if c.known {
			want = want.AsKnown()
		}
		got, err := x.placeOf(t.Context(), &attempt{Request: Request{Name: c.name, Browser: c.browser, Source: from}})
		if err != nil || got != want {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
	var wrong int64
	if err := db.QueryRow(t.Context(), `select count from guess where subject = 'source/198.51.100.7'`).Scan(&wrong); err != nil || wrong != 10 {
		t.Errorf("%d wrong answers, %v", wrong, err)
	}
}
