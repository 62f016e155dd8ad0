package signin

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// Whoever was let in from a place within a day is no stranger there, also where somebody
// removed or altered the row that says so: this server knows, and does not ask. What was
// altered is found all the same. Of another's account, another place and after a day it asks.
func TestAPlaceThatThisServerNoted(t *testing.T) {
	for name, c := range map[string]struct{ do, wrong string }{
		"nothing": {},
		"removed": {do: `delete from known_source`},
		"altered": {do: `update known_source set seen = seen + 1`, wrong: store.Altered},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				w := withWorn(t, dsn)
				bob := w.person("bob")
				w.give(bob, "totp", authenticator.Enrolled{Traits: assurance.Held, State: []byte("222222")})
				from := netip.MustParseAddr("203.0.113.7")
				says := func(name, text string, from netip.Addr) Step {
					return w.begin(Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Single, CodeAlone: true, Partner: "nas", Source: from, Opening: []prompt.Answer{typed(AnyCode, text)}})
				}
				sideOf := func(of assurance.AccountID, from netip.Addr) throttle.Side {
					t.Helper()
					b, _, err := w.throttle.Read(t.Context(), w.DB, throttle.Requester{Origin: throttle.Origin{Source: from}}, throttle.Target{Account: of, Kind: "totp"})
					if err != nil {
						t.Fatal(err)
					}
					return b.Side()
				}
				if s := says("ada", "111111", from); s.State != Granted {
					t.Fatalf("%+v", s)
				}
				if c.do != "" {
					storetest.Sabotage(t, w.DB, c.do)
				}
				if got := sideOf(w.ada.ID, from); got != throttle.AtHome {
					t.Errorf("noted a moment ago: %q", got)
				}
				for what, got := range map[string]throttle.Side{"another place": sideOf(w.ada.ID, from.Next()), "another account": sideOf(bob.ID, from)} {
					if got != throttle.Stranger {
						t.Errorf("%s: %q", what, got)
					}
				}
				w.inspect()
				w.clock.Later(24*time.Hour - time.Second)
				if got := sideOf(w.ada.ID, from); got != throttle.AtHome {
					t.Errorf("a day ago: %q", got)
				}
				w.clock.Later(time.Second)
				want := map[bool]throttle.Side{true: throttle.AtHome, false: throttle.Stranger}[c.do == ""]
				if got := sideOf(w.ada.ID, from); got != want {
					t.Errorf("a day later: %q, want %q", got, want)
				}
				if s := says("ada", "111111", from); s.State != Granted {
					t.Fatalf("%+v", s)
				}
				if got := sideOf(w.ada.ID, from); got != throttle.AtHome {
					t.Errorf("let in once more: %q", got)
				}
				var n int
				if err := w.DB.QueryRow(t.Context(), `select count(*) from known_source where seen = $1`, store.Unix(w.clock.Now())).Scan(&n); err != nil || n != 1 {
					t.Errorf("the row was not written anew: %d, %v", n, err)
				}
				if c.wrong == "" {
					storetest.Quiet(t, w.DB)
				} else {
					storetest.Alarmed(t, w.DB, "known_source", fmt.Sprintf("%d source/%s", w.ada.ID, from), c.wrong)
				}
			})
		})
	}
}
