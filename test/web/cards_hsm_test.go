package web

import (
	"html"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: it works with a key that no program can read, and does not without
// the card's PIN.
func TestSmartCardOnPKCS11(t *testing.T) {
	c := servertest.NewCardTable(t)
	badge := testbed.SoftHSM(t)
	leaf := c.Staff.Issue("ada", badge.Public)
	show := func(address string) string {
		t.Helper()
		to, err := badge.Curl(address, c.Endpoint, badge.PIN, leaf, c.Served.Certificate)
		if err != nil || to == "" {
			t.Fatalf("curl is sent to %q, %v", to, err)
		}
		return to
	}
	p := c.Entered()
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	p.Get(show(servertest.CardAt(p)))
	p.Sees("Add it?")
	p.Post("/account/setup", "authenticator", "certificate", "data", html.UnescapeString(servertest.ShownField.FindStringSubmatch(p.Page)[1]))
	p.Sees("Added: Smart card.")
	p = c.Person()
	p.Get("/sign-in")
	p.Get(show(servertest.CardAt(p)))
	p.Sees("Where you are signed in")
	c.Later(time.Minute)

	p = c.Person()
	p.Get("/sign-in")
	if to, err := badge.Curl(servertest.CardAt(p), c.Endpoint, "000000", leaf, c.Served.Certificate); err == nil {
		t.Errorf("without the PIN curl is sent to %q", to)
	}
	c.Staff.Revoke(leaf)
	c.Publish(t)
	p.Get(show(servertest.CardAt(p)))
	p.Sees("That did not work")
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "revoked" {
		t.Errorf("revoked: %q", e.Reason)
	}
}
