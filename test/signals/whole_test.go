package signals

import (
	"testing"

	"countersign/internal/servertest"
)

// The promise: a factor that is removed at one server ends the sessions that its owner has at
// another, which hears of it, and the owner must sign in again there. Nobody else's session ends.
func TestFactorRemovedThereSessionEndedHere(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		there, here := siteOn(t, ""), siteOn(t, dsn)
		secret := here.hears(there, nil)
		there.tells("branch", map[string]any{"audience": []string{here.Base}, "delivery": "push", "endpoint": secret.Push, "authorization": "Bearer " + secret.Secret})
		there.EnrollCodes("grace")
		grace, hopper := here.EnrollCodes("grace"), here.EnrollCodes("hopper")
		together(there, here)
		there.sends() // what came before
		grace.Comes("grace", grace.Secret)
		hopper.Comes("hopper", hopper.Secret)
		if !grace.Inside() || !hopper.Inside() {
			t.Fatal("they could not sign in")
		}
		before := len(here.told("signal.heeded"))
		gone := servertest.AuthenticatorsOf(there.World, "grace")
		there.does("authenticator.revoke", map[string]any{"account": "grace", "id": gone[len(gone)-1].ID, "reason": "stolen"}, nil)
		together(there, here)
		there.sends()
		heard := here.told("signal.heeded")[before:]
		if len(heard) != 1 || heard[0].AccountName != "grace" || heard[0].Detail["event"] != "credential-change" || heard[0].Detail["source"] != "head-office" || heard[0].Detail["sessions"] == "0" {
			t.Fatalf("the log says %+v; the sender says %+v", heard, there.told("stream."))
		}
		if grace.Inside() {
			t.Error("grace is still inside")
		}
		if !hopper.Inside() {
			t.Error("hopper's session ended")
		}
		together(there, here)
		there.sends()
		if n := len(here.told("signal.heeded")); n != before+1 {
			t.Errorf("it was heard %d times", n-before)
		}
	})
}
