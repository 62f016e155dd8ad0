package bench

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// tokensLive is how many refresh tokens are live in the grown database, ten of each person.
func tokensLive() int {
	if os.Getenv("BENCHSIZE") == "full" {
		return 10_000_000
	}
	return 200_000
}

// refreshes compares a sign-in to an application, and a refresh, where many refresh tokens are
// live with the same where there are few.
func (c *costs) refreshes() {
	small, large := c.openIDOn(""), c.openIDOn(filepath.Join(c.b.TempDir(), "countersign.db"))
	start := time.Now()
	large.cloneTokens(c.b, tokensLive())
	c.b.Logf("%d refresh tokens in %s", tokensLive(), time.Since(start).Round(time.Second))
	a, l := c.turns(4, large.signIn, small.signIn)
	c.dearer(fmt.Sprintf("OpenID: a code and its tokens, with %d live refresh tokens", tokensLive()), "SQLite", a, l, "with a few", "at most 1.20")
	a, l = c.turns(4, large.refresh, small.refresh)
	c.dearer("OpenID: a refresh, the same", "SQLite", a, l, "with a few", "at most 1.20")
}

// openIDWorld is a server with somebody who has a session, and an application that has refresh
// tokens of hers.
type openIDWorld struct {
	*servertest.World
	dsn, session string
	tokens       []string
}

func (c *costs) openIDOn(dsn string) *openIDWorld {
	w := &openIDWorld{World: servertest.NewWorldOn(c.b, dsn), dsn: dsn}
	servertest.PlantApplication(w.World, application.Application{Name: "bench", Kind: "wiki", Tier: application.Standard, Protocol: "oidc"},
		map[string]any{"client_id": "bench", "client_secret": benchSecret, "redirect_uris": []string{"https://bench.example.org/callback"}, "refresh": "session"})
	w.session = w.SignedIn(w.EnrollCodes("ada"))
	for range 4 {
		w.tokens = append(w.tokens, c.begins(w.World, w.session))
	}
	return w
}

func (w *openIDWorld) signIn(int) error {
	_, _, err := tokensOf(w.World, w.session)
	return err
}

func (w *openIDWorld) refresh(worker int) error {
	next, err := asksTokens(w.World, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {w.tokens[worker]}})
	w.tokens[worker] = next
	return err
}

// cloneTokens copies what one client was given until there are n rows: of other people and other
// sessions, each a second older than the next. Nobody reads the copies, which have no MAC of their own.
func (w *openIDWorld) cloneTokens(b *testing.B, n int) {
	b.Helper()
	db := storetest.File(b, w.dsn)
	db.SetMaxOpenConns(1)
	for _, s := range []string{"pragma synchronous = off", "pragma cache_size = -1000000"} {
		if _, err := db.Exec(s); err != nil {
			b.Fatal(err)
		}
	}
	const each = 50_000
	for from := 0; from < n; from += each {
		_, err := db.Exec(`with recursive g(i) as (select $1 union all select i + 1 from g where i < $2)
			insert into oauth_grant (id, account, client, session, step, payload, created, expires, ended, mac)
			select unhex(printf('%016x', ($3 - ($4 - i) * 1000) << 16) || hex(randomblob(8))), 1000000 + i / 10, r.client, hex(randomblob(12)), r.step, r.payload, r.created, r.expires + i * 1000, 0, r.mac
			from g, (select * from oauth_grant where step > 0 limit 1) r`, from, min(from+each, n)-1, time.Now().UnixMilli(), n)
		if err != nil {
			b.Fatal(err)
		}
	}
	var rows, payload int
	if err := db.QueryRow("select count(*), max(length(payload)) from oauth_grant").Scan(&rows, &payload); err != nil || rows < n {
		b.Fatalf("%d rows, %v", rows, err)
	}
	b.Logf("%d rows with %d bytes that are sealed", rows, payload)
}
