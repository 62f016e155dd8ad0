package fault

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// The promise, T1556.006 for smart cards: whatever is done to make the second factor go
// away, a card that would be right lets nobody in, and afterwards it does again.
func TestSmartCardUnderEveryTrick(t *testing.T) {
	database := storetest.StartPostgres(t)
	c := servertest.NewCardTable(t, func(s *server.Settings) { s.Database = database.DSN })
	b := &servertest.Bed{T: t, Guarded: c.World, Database: database}
	card := c.Issue(t, "ada")
	c.Adds(c.Entered(), card)
	// begun is a browser that has shown the card, and where that leads it.
	begun := func() (*servertest.Person, string) {
		p := c.Person()
		p.Get("/sign-in")
		return p, c.Show(servertest.CardAt(p), card)
	}
	// A wait is how long nothing may be said: what is owed an answer is waited for.
	const silence, owed = 6 * time.Second, 2 * time.Minute
	in := func(wait time.Duration, p *servertest.Person, shown string) bool {
		p.Client.Timeout = wait
		r, err := p.Client.Get(shown)
		if err != nil {
			t.Log(errors.Unwrap(err)) // without the address, which bears the statement
			return false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		t.Log(r.Status, err)
		return err == nil && strings.Contains(string(body), "Where you are signed in")
	}
	comes := func() bool { p, shown := begun(); return in(owed, p, shown) }
	if !comes() {
		t.Fatal("before anything was done the card lets nobody in")
	}
	for _, trick := range drill.Tricks {
		p, shown := begun()
		undo, err := b.Trick(t.Context(), trick)
		if err != nil {
			t.Fatal(err)
		}
		if in(silence, p, shown) {
			t.Errorf("%s: the card lets in", trick)
		}
		undo()
		if !comes() {
			t.Errorf("%s: afterwards it lets nobody in", trick)
		}
	}
}
