package recovery

import (
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise, in a real browser and under the default policy: somebody at the help
// desk opens a recovery with the own passkey, and the person who lost their phone goes
// on in their browser a day later and makes a passkey.
func TestRecoveryInTheBrowser(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{Mails: true}, "http://localhost", nil)
	w.EnrollCodes("bob")
	w.Address("bob", "bob@example.org")
	pass, err := w.Setup.Plant(t.Context(), "helga", "Helga at the desk")
	if err != nil {
		t.Fatal(err)
	}
	w.Join("helga", directory.Helpdesk)
	desk := testbed.Chromium(t)
	desk.Passkey()
	desk.Visit(pass.Link)
	desk.Click("main form button")
	servertest.MakePasskey(desk)
	desk.WaitText("main", "Use a passkey or security key")
	desk.Click("form[data-passkey] button")
	desk.WaitText("main", "This browser")

	bob := desk.Stranger()
	bob.Visit(w.Base + "/sign-in")
	bob.Click(`a[href="/recovery"]`)
	bob.WaitText("h1", "Get back in")
	servertest.Pictures(bob, "recovery-name")
	servertest.Fits(t, bob, "recovery")
	bob.Fill("#name", "bob")
	bob.Click(`form[action="/recovery"] button`)
	bob.WaitText("main", "Call your help desk")
	servertest.Pictures(bob, "recovery-number")
	servertest.Fits(t, bob, "recovery-number")
	number := bob.Text(".transfer")

	desk.Click(".to-console")
	desk.WaitText("h1", "Recoveries")
	desk.Fill("#account", "bob")
	testbed.Eval[bool](desk, `document.querySelector("#check").value = "called-back", true`)
	desk.Fill("#note", "ticket 4711")
	desk.Fill("#browser", number)
	servertest.Pictures(desk, "recoveries-open")
	servertest.Fits(t, desk, "recoveries")
	w.Later(6 * time.Minute) // the sign-in is not fresh any more
	desk.Click(`form[action="/console/new-recovery"] button`)
	desk.WaitText("main", "whose browser shows "+number)
	servertest.Pictures(desk, "recovery-approve")
	desk.Click("form[data-passkey] button")
	desk.WaitText("main", "The recovery was opened")
	desk.WaitText("main", "waiting")
	servertest.Pictures(desk, "recovery-case")
	servertest.Fits(t, desk, "recovery")

	bob.WaitText("main", "A recovery is open for this browser") // the page looks by itself
	servertest.Pictures(bob, "recovery-waiting")
	servertest.Fits(t, bob, "recovery-waiting")
	w.Later(25 * time.Hour)
	bob.Passkey()
	bob.Visit(w.Base + "/recovery")
	bob.WaitText("main", "Your password stays")
	servertest.Pictures(bob, "recovery-ready")
	bob.Click(`form[action="/recovery/go-on"] button`)
	bob.WaitText("label", "Password")
	bob.Fill("#text-password", servertest.Passphrase)
	bob.Click("main form .actions button")
	servertest.MakePasskey(bob)
	bob.WaitText("main", "Added: ")
	servertest.Pictures(bob, "recovery-done")
	if got := w.Events("recovery.collected"); got != 1 {
		t.Errorf("%d passes were taken", got)
	}
}
