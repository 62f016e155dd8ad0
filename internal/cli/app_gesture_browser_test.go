package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// The promise: in a real browser whose device can check its owner, the app is
// bound with a gesture and asks for it before each approval; nobody shown, nothing
// is approved and the person can try again; to refuse takes none.
func TestAppGestureInChromium(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	desk := w.person()
	desk.get("/sign-in")
	desk.signIn("ada", ada.code())

	phone := testbed.Chromium(t)
	finger := phone.Passkey()
	finger.Verifies(false)
	phone.Visit(w.base + "/app/#bind=" + desk.offered())
	phone.Click("#bind")
	phone.WaitText("#problem", "did not check that it is you")
	screenshot(phone, "app-unchecked")
	finger.Verifies(true)
	phone.Click("#bind")
	phone.WaitText("#owner", "ada")
	desk.post("/account/setup", "authenticator", "push", "text", phone.Text("#confirmation"))
	desk.sees("Added: Countersign app")
	phone.Click("#added")
	w.later(25 * time.Hour)
	if n := len(finger.Credentials()); n != 1 {
		t.Fatalf("the device has %d credentials", n)
	}

	vpn := equipment{w, "a-secret-of-the-equipment"}
	out := vpn.ask("ada", passphrase, "")
	state, number := last(t, stateAttribute, out), last(t, appNumber, out)
	phone.Fill("#number", number)
	phone.Click("#look button")
	phone.WaitText("#application", "vpn")
	finger.Verifies(false)
	phone.Click("#approve")
	phone.WaitText("#problem", "did not check that it is you")
	phone.WaitText("#found h1", "Is this you?")
	screenshot(phone, "app-approve-unchecked")
	if w.events("approval.approved") != 0 {
		t.Error("approved without a gesture")
	}
	finger.Verifies(true)
	phone.Click("#approve")
	phone.WaitText("#done", "Approved")
	if out := vpn.ask("ada", "", state); !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}

	finger.Verifies(false)
	phone.Fill("#number", last(t, appNumber, vpn.ask("ada", passphrase, "")))
	phone.Click("#look button")
	phone.WaitText("#application", "vpn")
	phone.Click("#deny")
	phone.WaitText("#done", "Refused")
}
