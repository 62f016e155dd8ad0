package web

import (
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: in a real browser a card is added and signs in with a click, without
// script, and a revoked one is refused.
func TestSmartCardInTheBrowser(t *testing.T) {
	c := servertest.NewCardTable(t)
	key := testbed.NewKey(t)
	leaf := c.Staff.Issue("ada lovelace", key.Public())
	_, port, _ := strings.Cut(c.Endpoint, ":")
	b := testbed.ChromiumWithCard(t, "https://"+servertest.CardName+":"+port, leaf, key)
	b.Visit(c.Base + "/sign-in")
	servertest.Pictures(b, "card-asked")
	servertest.Fits(t, b, "card-asked")
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click(`main form:has(#text) button`)
	b.Fill("#text-totp", c.Ada.Code())
	b.Click(`main form:has(#text-totp) button`)
	b.WaitText("main", "This browser")
	b.Click(`form:has(input[value="certificate"]) button`)
	b.WaitText("main", "Show the card")
	servertest.Pictures(b, "card-offer")
	servertest.Fits(t, b, "card-offer")
	b.Click(`a[href^="https://card.test"]`)
	b.WaitText("main", "Add it?")
	b.Click("details summary")
	servertest.Pictures(b, "card-shown")
	servertest.Fits(t, b, "card-shown")
	b.Fill("#label", "My badge")
	b.Click("main form button")
	b.WaitText("main", "My badge")

	stranger := b.Stranger()
	stranger.Visit(c.Base + "/sign-in")
	stranger.Click(`a[href^="https://card.test"]`)
	stranger.WaitText("main", "This browser")

	c.Staff.Revoke(leaf)
	c.Publish(t)
	stranger = b.Stranger()
	stranger.Visit(c.Base + "/sign-in")
	stranger.Click(`a[href^="https://card.test"]`)
	stranger.WaitText("main", "That did not work")
	servertest.Pictures(stranger, "card-refused")
	servertest.Fits(t, stranger, "card-refused")
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "revoked" {
		t.Errorf("the log says %q", e.Reason)
	}
}
