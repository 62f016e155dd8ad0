package cli

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// wears writes what was guessed wrong at a subject, as the engine does.
func (w *world) wears(tx *store.Tx, subject string, owner, count int64) error {
	since := store.Unix(w.now())
	mac := w.Keys.MAC(keyring.Guess, keyring.NewFields().String("guess").String(subject).Int(owner).Int(count).Int(since).Int(0))
	_, err := tx.Exec(context.Background(), `insert into guess (subject, owner, count, since, mac) values ($1,$2,$3,$4,$5)
		on conflict (subject) do update set owner = excluded.owner, count = excluded.count, since = excluded.since, retry = 0, mac = excluded.mac`, subject, owner, count, since, mac)
	return err
}

// besieged has so many wrong answers come from everywhere that strangers wait from the
// first one on.
func (w *world) besieged() {
	w.t.Helper()
	err := w.DB.Housekeep(w.t.(*testing.T).Context(), "test", func(tx *store.Tx) error {
		return w.wears(tx, "installation", 0, 5000)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// guessedAt has strangers guess at all that somebody has until it is closed to them.
func (w *world) guessedAt(name string) {
	w.t.Helper()
	err := w.DB.Housekeep(w.t.(*testing.T).Context(), "test", func(tx *store.Tx) error {
		rows, err := tx.Query(w.t.(*testing.T).Context(), `select credential.id, account.id from credential join account on account.id = credential.account where account.name = $1`, name)
		if err != nil {
			return err
		}
		owners := map[int64]int64{}
		for rows.Next() {
			var id, owner int64
			if err := rows.Scan(&id, &owner); err != nil {
				return err
			}
			owners[id] = owner
		}
		for id, owner := range owners {
			if err := w.wears(tx, "credential/"+strconv.FormatInt(id, 10), owner, 20); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// keeps is a cookie that a browser has, or nil.
func (p *person) keeps(name string) *http.Cookie {
	base, _ := url.Parse(p.w.base)
	for _, c := range p.client.Jar.Cookies(base) {
		if strings.HasSuffix(c.Name, name) {
			return c
		}
	}
	return nil
}

// The promise: while guesses at them come from everywhere, a person who travels types
// password and code in the browser in which they were let in before; another browser there
// does not, nor one that was let in as somebody else, too long ago, or that made it up; and
// what the browser keeps lets nobody in.
func TestRememberedBrowser(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.enrollCodes("ada"), w.enrollCodes("bob")
	signedIn := func(name string, who *person) *person {
		p := w.person()
		p.comes(name, who.secret)
		return p
	}
	hers, his := signedIn("ada", ada), signedIn("bob", bob)
	kept := hers.keeps("countersign-browser")
	if kept == nil {
		t.Fatal("the browser keeps nothing")
	}
	tries := func(p *person) bool {
		t.Helper()
		w.later(time.Minute)
		w.besieged()
		w.guessedAt("ada")
		p.client.Transport = farAway("198.51.100.7")
		if strings.Contains(p.page, `action="/sign-out"`) {
			p.post("/sign-out")
		}
		p.get("/sign-in")
		p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
		if !strings.Contains(p.page, `value="totp"`) {
			return false
		}
		p.post("/sign-in", "authenticator", "totp", "text", ada.code())
		return p.inside()
	}
	base, _ := url.Parse(w.base)
	with := func(value string) *person {
		p := w.person()
		c := *kept
		c.Value = value
		p.client.Jar.SetCookies(base, []*http.Cookie{&c})
		return p
	}
	owner, rest, _ := strings.Cut(kept.Value, ".")
	for name, p := range map[string]*person{
		"a new browser": w.person(), "bob's browser": his, "made up": with(kept.Value[:len(kept.Value)-4] + "AAAA"), "nothing": with("x"),
		"another account's number": with(owner + "1." + rest), "bob's with her number": with(owner + strings.TrimLeft(his.keeps("countersign-browser").Value, "0123456789")),
	} {
		if tries(p) {
			t.Errorf("%s signs in as ada", name)
		}
	}
	p := with(kept.Value)
	p.get("/account")
	if strings.Contains(p.page, "Where you are signed in") {
		t.Error("what the browser keeps is a session")
	}
	p.get("/sign-in")
	hers.get("/account")
	if !tries(hers) {
		t.Errorf("her own browser is kept out:\n%s", hers.page)
	}
	w.later(31 * 24 * time.Hour)
	w.edit("ada", func(a *directory.Account) { a.Used = w.now().Truncate(time.Microsecond) }) // or she would be dormant
	if tries(with(kept.Value)) {
		t.Error("a browser is remembered for longer than 30 days")
	}
}
