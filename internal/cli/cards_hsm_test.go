package cli

import (
	"html"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// The promise: it works with a key that no program can read, and does not without
// the card's PIN.
func TestSmartCardOnPKCS11(t *testing.T) {
	c := newCardTable(t)
	badge := testbed.SoftHSM(t)
	leaf := c.staff.Issue("ada", badge.Public)
	show := func(address string) string {
		t.Helper()
		to, err := badge.Curl(address, c.endpoint, badge.PIN, leaf, c.served.Certificate)
		if err != nil || to == "" {
			t.Fatalf("curl is sent to %q, %v", to, err)
		}
		return to
	}
	p := c.entered()
	p.get("/account")
	p.post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	p.get(show(p.cardAt()))
	p.sees("Add it?")
	p.post("/account/setup", "authenticator", "certificate", "data", html.UnescapeString(shownField.FindStringSubmatch(p.page)[1]))
	p.sees("Added: Smart card.")
	p = c.person()
	p.get("/sign-in")
	p.get(show(p.cardAt()))
	p.sees("Where you are signed in")
	c.later(time.Minute)

	p = c.person()
	p.get("/sign-in")
	if to, err := badge.Curl(p.cardAt(), c.endpoint, "000000", leaf, c.served.Certificate); err == nil {
		t.Errorf("without the PIN curl is sent to %q", to)
	}
	c.staff.Revoke(leaf)
	c.publish(t)
	p.get(show(p.cardAt()))
	p.sees("That did not work")
	if e := c.latestOf("answer.refused"); e.Reason != "revoked" {
		t.Errorf("revoked: %q", e.Reason)
	}
}
