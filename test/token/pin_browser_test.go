package token

import (
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: a person sets a PIN on a page that a phone shows whole and a screen
// reader can name, and then signs in with PIN and code.
func TestPINInTheBrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	desk, again := desks(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	servertest.Settled(w)
	again()
	desk.Does("token", "pin", "C-1") // a first one, and then none, so that the page is seen in both states
	desk.Does("token", "pin", "C-1", "--none")

	b := testbed.Chromium(t)
	in := func(code string) {
		b.Visit(w.Base + "/sign-in")
		b.Fill("#name", "grace")
		b.Fill("#text", servertest.Passphrase)
		b.Click("main form:not([data-passkey]) button")
		b.Wait("#text-hotp")
		servertest.Pictures(b, "pin-asked")
		servertest.Fits(t, b, "pin-asked")
		b.Fill("#text-hotp", code)
		b.Click("main form:not([data-passkey]) button")
		b.WaitText("main", "This browser")
	}
	in(grace.Press())
	servertest.Pictures(b, "pin-none")
	servertest.Fits(t, b, "pin-none")
	b.Click(`form:has(input[value="authenticator.pin"]) button`)
	b.WaitText("h1", "Set a PIN")
	b.Fill("#pin", "2580")
	b.Fill("#again", "2580")
	b.Click("main form button")
	b.WaitText("main", "guessed first")
	servertest.Pictures(b, "pin-refused")
	servertest.Fits(t, b, "pin-refused")
	b.Fill("#pin", servertest.OwnPIN)
	b.Fill("#again", servertest.OwnPIN)
	b.Click("main form button")
	b.WaitText("main", "The PIN is set")
	b.WaitText("main", "with a PIN")

	b = b.Stranger() // PIN and code alone
	b.Visit(w.Base + "/sign-in")
	servertest.Pictures(b, "pin-first")
	b.Click("main details summary")
	servertest.Pictures(b, "pin-first-open")
	servertest.Fits(t, b, "pin-first-open")
	b.Fill("#token-name", "grace")
	b.Fill("#token-text", servertest.OwnPIN+grace.Press())
	b.Click("main details form button")
	b.WaitText("main", "This browser")

	b = b.Stranger()
	in(servertest.OwnPIN + grace.Press())
	desk.Does("token", "pin", "C-1")
	b.Visit(w.Base + "/account")
	b.WaitText("main", "was given to you")
	servertest.Pictures(b, "pin-given")
	servertest.Fits(t, b, "pin-given")
}
