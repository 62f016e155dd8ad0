package oidc

import (
	"sync"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: a client that is set so and refreshes twice at once gets tokens of one and the same
// line each time; a token that comes later, or is older, ends everything as ever.
func TestARefreshTokenWithinItsGrace(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		p := signedIn(w, ada)
		wiki := newParty(w, "wiki", map[string]any{"refresh": "session", "refresh_grace_seconds": 10})
		_, first := wiki.tokens(t, p)
		var all sync.WaitGroup
		var mu sync.Mutex
		var next []string
		for range 4 {
			all.Go(func() {
				status, got := wiki.refresh(t, first)
				mu.Lock()
				defer mu.Unlock()
				refresh, _ := got["refresh_token"].(string)
				if access, _ := got["access_token"].(string); status != 200 || refresh == "" || !wiki.alive(t, access) {
					t.Errorf("at once: %d %v", status, got["error"])
				}
				next = append(next, refresh)
			})
		}
		all.Wait()
		if len(next) != 4 {
			t.Fatal("not all were answered")
		}
		// Whichever of them goes on, they are of one line: the next use is of a token that was used.
		if status, got := wiki.refresh(t, next[0]); status != 200 {
			t.Fatalf("%d %v", status, got)
		}
		w.Later(11 * time.Second)
		status, got := wiki.refresh(t, next[1])
		fails(t, "after the grace", status, got, "invalid_grant")
		if reason := ended(w, "alarm.token-misused"); reason != "reused" {
			t.Errorf("the alarm says %q", reason)
		}
	})
}

// Two steps back is no grace, nor is another client's, nor another key's, nor where nobody set it.
func TestWhatIsOutsideTheGrace(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	p := signedIn(w, ada)
	wiki := newParty(w, "wiki", map[string]any{"refresh": "session", "refresh_grace_seconds": 10})
	other := newParty(w, "other", map[string]any{"refresh": "session", "refresh_grace_seconds": 10})
	strict := newParty(w, "strict", map[string]any{"refresh": "session"})
	goesOn := func(p *party, token string) string {
		t.Helper()
		status, got := p.refresh(t, token)
		next, _ := got["refresh_token"].(string)
		if status != 200 || next == "" {
			t.Fatalf("%d %v", status, got)
		}
		return next
	}
	_, first := wiki.tokens(t, p)
	goesOn(wiki, goesOn(wiki, first))
	status, got := wiki.refresh(t, first)
	fails(t, "two steps back", status, got, "invalid_grant")
	_, first = wiki.tokens(t, p)
	goesOn(wiki, first)
	status, got = other.refresh(t, first)
	fails(t, "another client", status, got, "invalid_grant")
	status, got = wiki.refresh(t, first)
	fails(t, "after that", status, got, "invalid_grant")
	_, first = strict.tokens(t, p)
	next := goesOn(strict, first)
	status, got = strict.refresh(t, first)
	fails(t, "where nobody set it", status, got, "invalid_grant")
	status, got = strict.refresh(t, next)
	fails(t, "after that", status, got, "invalid_grant")
	if ended(w, "alarm.token-misused") == "" {
		t.Error("there is no alarm")
	}
}
