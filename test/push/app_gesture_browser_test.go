package push

import (
	"context"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: in a real browser whose device can check its owner, the app is
// bound with a gesture and asks for it before each approval; nobody shown, nothing
// is approved and the person can try again; to refuse takes none.
func TestAppGestureInChromium(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	desk := w.Person()
	desk.Get("/sign-in")
	desk.SignIn("ada", ada.Code())

	phone := testbed.Chromium(t)
	finger := phone.Passkey()
	finger.Verifies(false)
	phone.Visit(w.Base + "/app/#bind=" + desk.Offered())
	phone.Click("#bind")
	phone.WaitText("#problem", "did not check that it is you")
	servertest.Screenshot(phone, "app-unchecked")
	finger.Verifies(true)
	phone.Click("#bind")
	phone.WaitText("#owner", "ada")
	desk.Post("/account/setup", "authenticator", "push", "text", phone.Text("#confirmation"))
	desk.Sees("Added: Countersign app")
	phone.Click("#added")
	w.Later(25 * time.Hour)
	if n := len(finger.Credentials()); n != 1 {
		t.Fatalf("the device has %d credentials", n)
	}

	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	out := vpn.Ask("ada", servertest.Passphrase, "")
	state, number := servertest.Last(t, servertest.StateAttribute, out), servertest.Last(t, appNumber, out)
	phone.Fill("#number", number)
	phone.Click("#look button")
	phone.WaitText("#application", "vpn")
	finger.Verifies(false)
	phone.Click("#approve")
	phone.WaitText("#problem", "did not check that it is you")
	phone.WaitText("#found h1", "Is this you?")
	servertest.Screenshot(phone, "app-approve-unchecked")
	if w.Events("approval.approved") != 0 {
		t.Error("approved without a gesture")
	}
	finger.Verifies(true)
	phone.Click("#approve")
	phone.WaitText("#done", "Approved")
	if out := vpn.Ask("ada", "", state); !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}

	finger.Verifies(false)
	phone.Fill("#number", servertest.Last(t, appNumber, vpn.Ask("ada", servertest.Passphrase, "")))
	phone.Click("#look button")
	phone.WaitText("#application", "vpn")
	phone.Click("#deny")
	phone.WaitText("#done", "Refused")
}
