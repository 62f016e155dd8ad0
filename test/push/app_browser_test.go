package push

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/policy"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
	"countersign/internal/webpush"
)

// The promise: in a real browser the app makes a key that no script reads, is
// woken by a push that says nothing, shows nothing before the number was typed,
// approves a sign-in on equipment, and opens without a network.
func TestAppInChromium(t *testing.T) {
	service := testbed.NewPushService(t)
	w := servertest.NewWorldFrom(t, server.Settings{Push: webpush.Options{Inside: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: service.Roots}}, "http://localhost", nil)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	desk := w.Person()
	desk.Get("/sign-in")
	desk.SignIn("ada", ada.Code())

	phone := testbed.Chromium(t)
	phone.AllowNotices(w.Base)
	phone.Visit(w.Base + "/app/#bind=" + desk.Offered())
	servertest.Screenshot(phone, "app-add")
	if why := phone.Installable(); len(why) > 0 {
		t.Errorf("the browser does not offer to install the app: %v", why)
	}
	phone.Click("#bind")
	phone.WaitText("#owner", "ada")
	servertest.Screenshot(phone, "app-number")
	desk.Post("/account/setup", "authenticator", "push", "text", phone.Text("#confirmation"))
	desk.Sees("Added: Countersign app")
	phone.Click("#added")
	w.Later(25 * time.Hour)

	if kept := testbed.Eval[string](phone, readKey); kept != "InvalidAccessError" {
		t.Errorf("the key can be read out: %s", kept)
	}

	// This Chromium has no push service to subscribe to: the page is given the
	// test's subscription in the place of a real one.
	public, secret := service.Keys()
	testbed.Eval[bool](phone, fmt.Sprintf(`(PushManager.prototype.subscribe = async () => ({ toJSON: () => ({ endpoint: %q, keys: { p256dh: %q, auth: %q } }) }), true)`, service.Endpoint, public, secret))
	phone.Click("#wake")
	phone.WaitText("#done", "This device will be woken")

	vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
	out := vpn.Ask("ada", servertest.Passphrase, "")
	state, number := servertest.Last(t, servertest.StateAttribute, out), servertest.Last(t, appNumber, out)
	for range 2 {
		if err := w.Pusher.WakeAll(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	messages := service.Taken(t)
	if len(messages) != 1 || messages[0] != `{"countersign":"wake"}` {
		t.Fatalf("the push service took %q", messages)
	}
	title := ""
	for range 20 { // the browser's tool drops a message now and then, which is no part of what is tested
		phone.Push(w.Base, "/app/", messages[0])
		if title = testbed.Eval[string](phone, noticed); title != "" {
			break
		}
	}
	if title != "Somebody signs in as you" {
		t.Errorf("the notice is %q", title)
	}
	phone.WaitText("#waits", "Somebody signs in as you") // where the push would not have come
	servertest.Screenshot(phone, "app-waits")
	if text := phone.Text("main"); strings.Contains(text, "vpn") || strings.Contains(text, "Approve it") {
		t.Errorf("before the number was typed the app shows:\n%s", text)
	}
	phone.Fill("#number", number[:3]+" "+number[3:])
	phone.Click("#look button")
	phone.WaitText("#application", "vpn")
	phone.Click("#approve")
	phone.WaitText("#done", "Approved")
	if out := vpn.Ask("ada", "", state); !strings.Contains(out, "Received Access-Accept") {
		t.Fatalf("approved, and yet:\n%s", out)
	}
	phone.Fill("#number", number)
	phone.Click("#look button")
	phone.WaitText("#problem", "No request has that number")
	w.SetPolicy("networks: {office: [203.0.113.0/24]}\n" + string(policy.Default()))
	other, _ := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
	phone.Visit(w.Base + "/app/")
	phone.WaitText("#ask h1", "Approve a sign-in")
	phone.Fill("#number", other)
	phone.Click("#look button")
	phone.WaitText("#place", "In the network office. You were not let in from there")
	servertest.Screenshot(phone, "app-found")
	for _, line := range phone.Console() {
		if !strings.Contains(line, "404") { // the browser notes the refused request
			t.Errorf("the console says %s", line)
		}
	}

	w.Stop()
	phone.Visit(w.Base + "/app/")
	phone.WaitText("#ask h1", "Approve a sign-in")
	phone.Fill("#number", number)
	phone.Click("#look button")
	phone.WaitText("#problem", "cannot be reached")
}

// readKey tries to read the app's private key, and says what became of it.
const readKey = `new Promise((done, failed) => {
	const open = indexedDB.open("countersign-app", 1);
	open.onerror = failed;
	open.onsuccess = () => {
		const get = open.result.transaction("key").objectStore("key").get("app");
		get.onsuccess = () => crypto.subtle.exportKey("pkcs8", get.result.keys.privateKey).then(() => done("read"), (e) => done(e.name));
	};
})`

// noticed waits a little for the notice and returns its title, or nothing.
const noticed = `(async () => {
	const registration = await navigator.serviceWorker.ready;
	for (let i = 0; i < 40; i++) {
		const [n] = await registration.getNotifications();
		if (n) return n.title;
		await new Promise((r) => setTimeout(r, 20));
	}
	return "";
})()`
