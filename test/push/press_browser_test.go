package push

import (
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: in a browser, removing a way to sign in and "this was not me" take two
// presses, the second under what it is about, and one may turn back before it. It also
// takes the pictures of these pages.
func TestPressInTheBrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	b := testbed.Chromium(t)
	b.Visit(w.Base + "/sign-in")
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click(`form:has(#name) button`)
	b.WaitText("label", "Code from your authenticator app")
	b.Fill("#text-totp", ada.Code())
	b.Click("main form button")
	b.WaitText("main", "This browser")
	servertest.GetsPasskey(ada) // without which nothing could be removed
	w.Later(time.Minute)
	b.Visit(w.Base + "/account")

	b.Click(`form:has(input[value="authenticator.remove"]) button`)
	b.WaitText("h1", "Remove a way to sign in")
	servertest.Screenshot(b, "press-remove")
	b.Click(`main a[href="/account"]`)
	b.WaitText("main", "This browser")

	b.Visit(w.Base + "/account/history")
	b.Click(`form:has(input[value="report.not-me"]) button`)
	b.WaitText("h1", "This was not me")
	servertest.Screenshot(b, "press-not-me")
	if w.Events("alarm.not-me") != 0 || w.Events("credential.removed") != 0 {
		t.Error("something was done before the press")
	}
	b.Click("main form button")
	b.WaitText("main", "Thank you")
	if w.Events("alarm.not-me") != 1 {
		t.Error("what was pressed was not done")
	}
}
