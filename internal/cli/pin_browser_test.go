package cli

import (
	"testing"

	"countersign/internal/testbed"
)

// The promise: a person sets a PIN on a page that a phone shows whole and a screen
// reader can name, and then signs in with PIN and code.
func TestPINInTheBrowser(t *testing.T) {
	w := newWorld(t)
	desk, again := w.desks()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	w.settled()
	again()
	desk.does("token", "pin", "C-1") // a first one, and then none, so that the page is seen in both states
	desk.does("token", "pin", "C-1", "--none")

	b := testbed.Chromium(t)
	in := func(code string) {
		b.Visit(w.base + "/sign-in")
		b.Fill("#name", "grace")
		b.Fill("#text", passphrase)
		b.Click("main form:not([data-passkey]) button")
		b.Wait("#text-hotp")
		pictures(b, "pin-asked")
		fits(t, b, "pin-asked")
		b.Fill("#text-hotp", code)
		b.Click("main form:not([data-passkey]) button")
		b.WaitText("main", "This browser")
	}
	in(grace.press())
	pictures(b, "pin-none")
	fits(t, b, "pin-none")
	b.Click(`form:has(input[value="authenticator.pin"]) button`)
	b.WaitText("h1", "Set a PIN")
	b.Fill("#pin", "2580")
	b.Fill("#again", "2580")
	b.Click("main form button")
	b.WaitText("main", "guessed first")
	pictures(b, "pin-refused")
	fits(t, b, "pin-refused")
	b.Fill("#pin", ownPIN)
	b.Fill("#again", ownPIN)
	b.Click("main form button")
	b.WaitText("main", "The PIN is set")
	b.WaitText("main", "with a PIN")

	b = b.Stranger() // PIN and code alone
	b.Visit(w.base + "/sign-in")
	pictures(b, "pin-first")
	b.Click("main details summary")
	pictures(b, "pin-first-open")
	fits(t, b, "pin-first-open")
	b.Fill("#token-name", "grace")
	b.Fill("#token-text", ownPIN+grace.press())
	b.Click("main details form button")
	b.WaitText("main", "This browser")

	b = b.Stranger()
	in(ownPIN + grace.press())
	desk.does("token", "pin", "C-1")
	b.Visit(w.base + "/account")
	b.WaitText("main", "was given to you")
	pictures(b, "pin-given")
	fits(t, b, "pin-given")
}
