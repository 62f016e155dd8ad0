package push

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
	"countersign/internal/webpush"
)

// gives is what a browser would: the subscription that it has, for this server's key or
// another. This Chromium has no push service to subscribe to.
const gives = `(() => {
	const sub = (endpoint, key) => ({ options: { applicationServerKey: key }, unsubscribe: async () => { window.have = undefined; return true; },
		toJSON: () => ({ endpoint, keys: { p256dh: %q, auth: %q } }) });
	window.have = sub(%q, %s);
	PushManager.prototype.getSubscription = async () => window.have;
	PushManager.prototype.subscribe = async (o) => (window.have = sub(%q, o.applicationServerKey.buffer));
	return true;
})()`

// changed has the worker hear that its subscription changed, in the page, where it can be
// spoken to: its source, with what a worker has and a page has not.
func changed(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../internal/web/app/files/worker.js")
	if err != nil {
		t.Fatal(err)
	}
	return `(async () => {
	const registration = await navigator.serviceWorker.ready;
	const heard = {}, self = {}, importScripts = () => {}, addEventListener = (type, f) => { heard[type] = f; };
	(() => {` + string(source) + `})();
	let done;
	heard.pushsubscriptionchange({ waitUntil: (p) => { done = p; } });
	await done;
	return true;
})()`
}

// The promise: an app that is added again on the same phone is woken, though its browser is
// subscribed already; so is one whose push service gave another address,
// at once; and one whose subscription was made for another server's key gets a new one.
func TestAppIsAddedAgain(t *testing.T) {
	service := testbed.NewPushService(t)
	w := servertest.NewWorldFrom(t, server.Settings{Push: webpush.Options{Inside: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: service.Roots}}, "http://localhost", nil)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	public, secret := service.Keys()
	phone := testbed.Chromium(t)
	phone.AllowNotices(w.Base)
	// add adds the app on a phone whose browser is subscribed already.
	add := func(key string) {
		t.Helper()
		desk := w.Person()
		desk.Get("/sign-in")
		desk.SignIn("ada", ada.Code())
		phone.Visit("about:blank") // so that the next is a page of its own, and not loaded twice
		phone.Visit(w.Base + "/app/#bind=" + desk.Offered())
		testbed.Eval[bool](phone, fmt.Sprintf(gives, public, secret, service.Endpoint, key, service.Endpoint+"/new"))
		phone.Click("#bind")
		phone.WaitText("#owner", "ada")
		desk.Post("/account/setup", "authenticator", "push", "text", phone.Text("#confirmation"))
		desk.Sees("Added: Countersign app")
		phone.Click("#added")
	}
	woken := func(to string, times int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); w.Events("app.address") < times; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the server does not know where the app is: %s", phone.Text("main"))
			}
		}
		w.Later(25 * time.Hour)
		vpn := servertest.Equipment{W: w, Secret: "a-secret-of-the-equipment"}
		vpn.Ask("ada", servertest.Passphrase, "")
		rung := make(chan string, 10)
		servertest.RingsAt(w, rung)
		close(rung)
		at, is := "", false
		for one := range rung {
			at += " " + one
			is = is || strings.HasSuffix(one, to)
		}
		if !is {
			t.Errorf("woken at%s, want %s", at, to)
		}
	}
	add(`unbase64url("BA" + "A".repeat(85)).buffer`)
	woken("/p/ada/new", 1)
	add(`undefined`) // the browser does not say
	woken("/p/ada", 2)
	testbed.Eval[bool](phone, fmt.Sprintf(gives, public, secret, service.Endpoint+"/moved", "undefined", ""))
	testbed.Eval[bool](phone, changed(t))
	woken("/p/ada/moved", 3)
	w.Stop()
}
