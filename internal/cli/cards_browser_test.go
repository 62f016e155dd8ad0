package cli

import (
	"strings"
	"testing"

	"countersign/internal/testbed"
)

// The promise: in a real browser a card is added and signs in with a click, without
// script, and a revoked one is refused.
func TestSmartCardInTheBrowser(t *testing.T) {
	c := newCardTable(t)
	key := testbed.NewKey(t)
	leaf := c.staff.Issue("ada lovelace", key.Public())
	_, port, _ := strings.Cut(c.endpoint, ":")
	b := testbed.ChromiumWithCard(t, "https://"+cardName+":"+port, leaf, key)
	b.Visit(c.base + "/sign-in")
	pictures(b, "card-asked")
	fits(t, b, "card-asked")
	b.Fill("#name", "ada")
	b.Fill("#text", passphrase)
	b.Click(`main form:has(#text) button`)
	b.Fill("#text-totp", c.ada.code())
	b.Click(`main form:has(#text-totp) button`)
	b.WaitText("main", "This browser")
	b.Click(`form:has(input[value="certificate"]) button`)
	b.WaitText("main", "Show the card")
	pictures(b, "card-offer")
	fits(t, b, "card-offer")
	b.Click(`a[href^="https://card.test"]`)
	b.WaitText("main", "Add it?")
	b.Click("details summary")
	pictures(b, "card-shown")
	fits(t, b, "card-shown")
	b.Fill("#label", "My badge")
	b.Click("main form button")
	b.WaitText("main", "My badge")

	stranger := b.Stranger()
	stranger.Visit(c.base + "/sign-in")
	stranger.Click(`a[href^="https://card.test"]`)
	stranger.WaitText("main", "This browser")

	c.staff.Revoke(leaf)
	c.publish(t)
	stranger = b.Stranger()
	stranger.Visit(c.base + "/sign-in")
	stranger.Click(`a[href^="https://card.test"]`)
	stranger.WaitText("main", "That did not work")
	pictures(stranger, "card-refused")
	fits(t, stranger, "card-refused")
	if e := c.latestOf("answer.refused"); e.Reason != "revoked" {
		t.Errorf("the log says %q", e.Reason)
	}
}
