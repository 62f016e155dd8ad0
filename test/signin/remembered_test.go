package signin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// siege has so many wrong answers come from everywhere that strangers wait from the
// first one on.
func siege(w *servertest.World) {
	w.T.Helper()
	err := w.DB.Housekeep(w.T.(*testing.T).Context(), "test", func(tx *store.Tx) error {
		return servertest.Wears(w, tx, "installation", 0, 5000)
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// guessedAt has strangers guess at all that somebody has until it is closed to them.
func guessedAt(w *servertest.World, name string) {
	w.T.Helper()
	err := w.DB.Housekeep(w.T.(*testing.T).Context(), "test", func(tx *store.Tx) error {
		rows, err := tx.Query(w.T.(*testing.T).Context(), `select credential.id, account.id from credential join account on account.id = credential.account where account.name = $1`, name)
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
			if err := servertest.Wears(w, tx, "credential/"+strconv.FormatInt(id, 10), owner, 20); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// keeps is a cookie that a browser has, or nil.
func keeps(p *servertest.Person, name string) *http.Cookie {
	base, _ := url.Parse(p.W.Base)
	for _, c := range p.Client.Jar.Cookies(base) {
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
	w := servertest.NewWorld(t)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	signedIn := func(name string, who *servertest.Person) *servertest.Person {
		p := w.Person()
		p.Comes(name, who.Secret)
		return p
	}
	hers, his := signedIn("ada", ada), signedIn("bob", bob)
	kept := keeps(hers, "countersign-browser")
	if kept == nil {
		t.Fatal("the browser keeps nothing")
	}
	tries := func(p *servertest.Person) bool {
		t.Helper()
		w.Later(time.Minute)
		siege(w)
		guessedAt(w, "ada")
		p.Client.Transport = farAway("198.51.100.7")
		if strings.Contains(p.Page, `action="/sign-out"`) {
			p.Post("/sign-out")
		}
		p.Get("/sign-in")
		p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		if !strings.Contains(p.Page, `value="totp"`) {
			return false
		}
		p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
		return p.Inside()
	}
	base, _ := url.Parse(w.Base)
	with := func(value string) *servertest.Person {
		p := w.Person()
		c := *kept
		c.Value = value
		p.Client.Jar.SetCookies(base, []*http.Cookie{&c})
		return p
	}
	owner, rest, _ := strings.Cut(kept.Value, ".")
	for name, p := range map[string]*servertest.Person{
		"a new browser": w.Person(), "bob's browser": his, "made up": with(kept.Value[:len(kept.Value)-4] + "AAAA"), "nothing": with("x"),
		"another account's number": with(owner + "1." + rest), "bob's with her number": with(owner + strings.TrimLeft(keeps(his, "countersign-browser").Value, "0123456789")),
	} {
		if tries(p) {
			t.Errorf("%s signs in as ada", name)
		}
	}
	p := with(kept.Value)
	p.Get("/account")
	if strings.Contains(p.Page, "Where you are signed in") {
		t.Error("what the browser keeps is a session")
	}
	p.Get("/sign-in")
	hers.Get("/account")
	if !tries(hers) {
		t.Errorf("her own browser is kept out:\n%s", hers.Page)
	}
	w.Later(31 * 24 * time.Hour)
	servertest.Edit(w, "ada", func(a *directory.Account) { a.Used = w.Now().Truncate(time.Microsecond) }) // or she would be dormant
	if tries(with(kept.Value)) {
		t.Error("a browser is remembered for longer than 30 days")
	}
}
