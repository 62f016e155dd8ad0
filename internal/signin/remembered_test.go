package signin

import (
	"context"
	"encoding/base64"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// A browser in which an account was let in is known for that account alone, wherever it
// is, and whatever was guessed from there.
func TestStandingOfARememberedBrowser(t *testing.T) {
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
	g, err := newGuesses(p.DB, p.Keys, p.Limits, p.Now)
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
		if err := g.ledger.write(t.Context(), tx, []guessRow{{subject: "source/198.51.100.7", count: suspectAfter, since: store.Unix(now)}}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.accounts", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	x := &examiner{db: p.DB, accounts: p.accounts(), guesses: g}
	hers := (&Engine{guesses: x.guesses}).Remember(Grant{&grant{account: ids["ada"]}})
	for _, c := range []struct {
		name, browser, from string
		after               time.Duration
		want                standing
	}{
		{"ada", hers, "192.0.2.80", 0, known}, {"ada", hers, "198.51.100.7", 0, known}, {"ADA", hers, "192.0.2.80", 0, known}, {"ada", hers, "", 0, known},
		{"ada", "", "192.0.2.80", 0, strange}, {"ada", "", "198.51.100.7", 0, suspect}, {"bob", hers, "192.0.2.80", 0, strange}, {"bob", hers, "198.51.100.7", 0, suspect},
		{"nobody", hers, "192.0.2.80", 0, strange}, {"", hers, "192.0.2.80", 0, strange}, {"ada", hers + "x", "192.0.2.80", 0, strange},
		{"ada", hers, "192.0.2.80", BrowserLife, strange}, {"ada", hers, "192.0.2.80", -time.Hour, strange},
	} {
		from, _ := netip.ParseAddr(c.from)
		moved := func() time.Time { return now.Add(c.after) }
		x.guesses.now, x.guesses.places.now = moved, moved
		got, err := x.placeOf(context.Background(), &attempt{Request: Request{Name: c.name, Browser: c.browser, Source: from}})
		if err != nil || c.after == 0 && got.standing != c.want || c.after != 0 && got.standing == known {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
}

// What says that a browser is known is believed as it was given out, and in no other form:
// not for another account or time, and not made up.
func TestWhatSaysThatABrowserIsKnown(t *testing.T) {
	r := newRig(t, anyFactor)
	ada, bob := r.person("ada"), r.person("bob")
	of := func(a directory.Account) []string {
		return strings.Split(r.Remember(Grant{&grant{account: a.ID}}), ".")
	}
	hers := of(ada)
	r.clock.later(time.Hour)
	later, bobs := of(ada), of(bob)
	none := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for what, c := range map[string]struct {
		parts []string
		known bool
	}{
		"as it was given out":        {hers, true},
		"given out later":            {later, true},
		"another's":                  {bobs, false},
		"another's under her name":   {[]string{hers[0], bobs[1], bobs[2]}, false},
		"of another time":            {[]string{hers[0], later[1], hers[2]}, false},
		"without a sum":              {[]string{hers[0], hers[1], ""}, false},
		"with a made-up sum":         {[]string{hers[0], hers[1], none}, false},
		"with half of one":           {[]string{hers[0], hers[1], hers[2][:20]}, false},
		"in another alphabet":        {[]string{hers[0], hers[1], hers[2] + "="}, false},
		"with more":                  {append(slices.Clone(hers), "x"), false},
		"with less":                  {hers[:2], false},
		"of no account":              {[]string{"0", hers[1], hers[2]}, false},
		"of an account of no number": {[]string{"x", hers[1], hers[2]}, false},
		"of no time":                 {[]string{hers[0], "", hers[2]}, false},
		"empty":                      {nil, false},
	} {
		browser := strings.Join(c.parts, ".")
		if r.guesses.places.remembers(browser, ada.ID) != c.known {
			t.Errorf("%s: known is %t", what, !c.known)
		}
		if r.guesses.places.remembers(browser, 0) {
			t.Errorf("%s: known for nobody", what)
		}
	}
}
