package oidc

import (
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/session"
)

// The promise: where the configuration says so, an application is told of a session that nobody
// used for too long, and its tokens are over; a session that is used is not told of. Where it
// does not say so an application keeps what it has while nobody comes here.
func TestAnApplicationIsToldOfAnIdleSession(t *testing.T) {
	for name, ends := range map[string]bool{"they end": true, "they stand": false} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorldFrom(t, server.Settings{Sessions: session.Limits{EndIdle: ends}}, "http://localhost", nil)
			working(t, w)
			looks := func() {
				t.Helper()
				if err := w.Inspect(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
			wiki, ear := listening(w, "wiki", map[string]any{"refresh": "session"})
			p := signedIn(w, ada)
			_, refresh := wiki.tokens(t, p)
			sid, sub := sessionOf(t, wiki.signs(t, p))
			busy := signedInAs(w, bob, "bob")
			wiki.signs(t, busy)
			w.Later(40 * time.Minute)
			if !isSignedIn(busy) {
				t.Fatal("bob's session ended while he used it")
			}
			looks()
			if told := ear.heard(); len(told) != 0 {
				t.Fatalf("it was told of %d sessions that are not idle", len(told))
			}
			w.Later(22 * time.Minute)
			looks()
			status, got := wiki.refresh(t, refresh)
			if !ends {
				if status != 200 || len(ear.heard()) != 0 || isSignedIn(p) {
					t.Errorf("nothing ends sessions that are idle, and its refresh token is answered %d %v, and it was told %d times", status, got, len(ear.heard()))
				}
				return
			}
			fails(t, "an idle session's refresh token", status, got, "invalid_grant")
			if said := wiki.reads(t, ear.waits(t, 1)[0]); said.Sid != sid || said.Sub != sub {
				t.Errorf("it is told of %s of %s, and it is %s of %s", said.Sid, said.Sub, sid, sub)
			}
			looks()
			if reason := ended(w, "session.ended"); reason != "idle" || len(ear.heard()) != 1 || !isSignedIn(busy) {
				t.Errorf("it ended because of %q, and %d were told", reason, len(ear.heard()))
			}
		})
	}
}
