package signin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// begun is a browser in which a newcomer's pass was taken.
func begun(w *servertest.World, name string) *servertest.Person {
	w.T.Helper()
	pass, err := w.Setup.Plant(context.Background(), name, "")
	if err != nil {
		w.T.Fatal(err)
	}
	p := w.Person()
	servertest.Follows(p, pass.Link)
	return p
}

// The promise: a newcomer reads who signs in, what is recommended and how far they are, and
// the codes of a recovery sheet are numbered from 1 and come as a file to their browser alone.
func TestNewcomersReadHowFarTheyAre(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := begun(w, "ada")
	ada.Sees("as ")
	if n := strings.Count(ada.Page, ">Recommended<"); n != 1 {
		t.Errorf("%d ways are recommended", n)
	}
	for _, says := range []string{"ada</bdi>", "Enough by itself", "One of two"} {
		ada.Sees(says)
	}
	for _, not := range []string{"1 of 2 done", `href="/account/history"`, `href="/account/applications"`} {
		if strings.Contains(ada.Page, not) {
			t.Errorf("before anything is set up the page has %q", not)
		}
	}
	ada.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	ada.Sees("The same again")
	ada.Post("/account/setup", "authenticator", "password", "text", servertest.Passphrase, "again", "another")
	if ada.Sees("The two are not the same"); ada.Status != http.StatusBadRequest {
		t.Errorf("two passwords are answered %d", ada.Status)
	}
	ada.Post("/account/setup", "authenticator", "password", "text", servertest.Passphrase, "again", servertest.Passphrase)
	ada.Sees("1 of 2 done")
	ada.Sees("The second of two")
	ada.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	codes := servertest.RecoveryCodes.FindAllStringSubmatch(ada.Page, -1)
	if len(codes) != 10 || !strings.HasPrefix(codes[0][1], "1-") || !strings.HasPrefix(codes[9][1], "10-") {
		t.Fatalf("the codes are %v", codes)
	}
	offer := ada.Page
	ada.Post("/account/setup/codes")
	for _, c := range codes {
		ada.Sees(c[1])
	}
	mallory := begun(w, "mallory")
	mallory.Post("/account/setup/codes")
	if mallory.Status == http.StatusOK || strings.Contains(mallory.Page, codes[0][1]) {
		t.Errorf("another browser gets the codes: %d", mallory.Status)
	}
	base, _ := url.Parse(w.Base)
	c := keeps(ada, "countersign-offer")
	c.Path = "/"
	mallory.Client.Jar.SetCookies(base, []*http.Cookie{c})
	mallory.Get("/account")
	if mallory.Post("/account/setup/codes"); mallory.Status == http.StatusOK || strings.Contains(mallory.Page, codes[0][1]) {
		t.Errorf("another account gets the codes with the offer itself: %d", mallory.Status)
	}
	mallory.Get("/account")
	mallory.Post("/account/do", "action", "authenticator.enroll", "object", "totp")
	if mallory.Post("/account/setup/codes"); mallory.Status != http.StatusNotFound {
		t.Errorf("a secret that is no sheet of codes is answered %d", mallory.Status)
	}
	ada.Page = offer
	ada.Post("/account/setup", "authenticator", "recoverycode", "text", codes[9][1])
	ada.Sees("Added: Recovery codes")
	ada.Sees("Sign in") // it was the second of two
}

// The promise: codes come as a file until they are kept, and never again, whoever still has the
// cookie of their offer.
func TestKeptCodesAreNotHandedOutAgain(t *testing.T) {
	w := servertest.NewWorld(t)
	bob := w.EnrollCodes("bob")
	in := w.Person()
	in.Comes("bob", bob.Secret)
	in.Get("/account")
	in.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	offer, code := in.Page, servertest.Last(t, servertest.RecoveryCodes, in.Page)
	kept := keeps(in, "countersign-offer")
	kept.Path = "/"
	in.Post("/account/setup/codes")
	in.Sees(code)
	in.Page = offer
	in.Post("/account/setup", "authenticator", "recoverycode", "text", code)
	in.Sees("Added: Recovery codes")
	base, _ := url.Parse(w.Base)
	in.Client.Jar.SetCookies(base, []*http.Cookie{kept})
	if in.Post("/account/setup/codes"); in.Status == http.StatusOK || servertest.RecoveryCodes.MatchString(in.Page) || strings.Contains(in.Page, code) {
		t.Errorf("codes that are kept are handed out again: %d\n%s", in.Status, in.Page)
	}
}

// The promise: a page shows the applications that policy lets this person into, and only where
// a browser begins.
func TestMyApplications(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	plant := func(a application.Application, settings map[string]any) { servertest.PlantApplication(w, a, settings) }
	plant(application.Application{Name: "wiki", Title: "The team's wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"*.many.test", "wiki.test"}})
	plant(application.Application{Name: "core", Title: "Core switch", Kind: "network-device", Tier: application.ControlPlane, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"core.test"}})
	plant(application.Application{Name: "vpn", Title: "VPN", Kind: "vpn", Tier: application.Standard, Protocol: "radius"}, map[string]any{"clients": []any{map[string]any{"name": "gate", "network": "192.0.2.0/24", "secret": "a-secret-of-the-equipment"}}})
	ada.Get("/sign-in")
	ada.SignIn("ada", ada.Code())
	ada.Get("/account/applications")
	for _, says := range []string{"The team's wiki", `href="http://wiki.test/"`, "VPN", "by RADIUS"} {
		ada.Sees(says)
	}
	for _, not := range []string{"Core switch", "a-secret-of-the-equipment", "many.test"} {
		if strings.Contains(ada.Page, not) {
			t.Errorf("the page has %q", not)
		}
	}
	stranger := w.Person()
	if stranger.Get("/account/applications"); strings.Contains(stranger.Page, "The team") {
		t.Error("a stranger reads which applications there are")
	}
	newcomer := begun(w, "grace")
	if newcomer.Get("/account/applications"); strings.Contains(newcomer.Page, "The team") || newcomer.Status == http.StatusOK {
		t.Errorf("who only sets up reads which applications there are: %d", newcomer.Status)
	}
}

// The promise: whoever is known gets out in the same browser and begins anew, with nothing of what
// was shown before; a link signs nobody out.
func TestWayOutOfARefusal(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", "wrong")
	if strings.Contains(p.Page, "1 of 2") || strings.Contains(p.Page, "ada</bdi>") {
		t.Error("who has shown nothing reads whose sign-in it is")
	}
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Sees("1 of 2 done")
	p.Sees("ada</bdi>")
	p.Get("/sign-in?errand=own")
	p.Sees("Use a temporary access pass") // from the beginning

	in := w.Person()
	in.Comes("ada", ada.Secret)
	w.Later(20 * time.Minute)
	asked := func() {
		t.Helper()
		in.Get("/account")
		in.Post("/account/do", "action", "authenticator.enroll", "object", "passkey")
		in.Sees("Sign out and begin again")
		in.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
		in.Sees("1 of 2 done")
	}
	asked()
	if in.Get("/sign-out?again=yes"); in.Status == http.StatusOK {
		t.Errorf("a link signs out: %d", in.Status)
	}
	asked()
	in.Post("/sign-out", "again", "yes")
	in.Sees("You are signed out. Begin again here.")
	in.Sees("Use a temporary access pass")
	if in.Get("/account"); in.Inside() || strings.Contains(in.Page, "ada</bdi>") {
		t.Errorf("the session is still there, or what was shown:\n%s", in.Page)
	}
}

// The promise: the same in Chromium: pass, password, the app, signed in.
func TestOnboardingInTheBrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	pass, err := w.Setup.Plant(context.Background(), "ada", "Ada Lovelace")
	if err != nil {
		t.Fatal(err)
	}
	b := testbed.Chromium(t)
	look := func(name string) {
		servertest.Pictures(b, "onboarding-"+name)
		servertest.Fits(t, b, name)
	}
	b.Visit(pass.Link)
	b.Click("main form button")
	b.WaitText("h1", "Set up how you sign in")
	look("first")
	b.Click(`form:has(input[value=password]) button`)
	b.WaitText("main", "The same again")
	look("password")
	b.Fill("#text", servertest.Passphrase)
	b.Fill("#again", servertest.Passphrase)
	b.Click("main form button")
	b.WaitText("main", "1 of 2 done")
	look("second")
	b.Click(`form:has(input[value=recoverycode]) button`)
	b.Wait(".codes")
	look("codes")
	code := b.Text(".codes li:last-child code")
	b.Fill("#text", code)
	b.Click(`form:has(#text) button`)
	b.WaitText("h1", "Sign in")
	look("signin")
	b.Fill("#text-password", servertest.Passphrase)
	b.Click(`form:has(#text-password) button`)
	b.WaitText("main", "1 of 2 done")
	look("half")
	b.Fill("#text-recoverycode", code)
	b.Click(`form:has(#text-recoverycode) button`)
	b.WaitText("main", "This browser")
	look("in")
	b.Visit(w.Base + "/account/applications")
	b.WaitText("h1", "My applications")
	look("applications")
	b.Visit(w.Base + "/account/after/report")
	b.WaitText("h1", "Set a new password now")
	look("after")
	b.Visit(w.Base + "/account/after/removal")
	b.WaitText("h1", "It was removed")
	b.Visit(w.Base + "/app/")
	b.WaitText("h1", "Countersign app")
	look("app")
}

// The promise: what would take the place of what somebody has says so, and what would stand
// beside it does not.
func TestWhatIsReplacedSaysSo(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.Later(time.Minute)
	p := w.Person()
	p.Comes("ada", ada.Secret)
	p.Get("/account")
	for says, want := range map[string]bool{`Change<span class="unseen"> Password</span>`: true, `Set up<span class="unseen"> Password</span>`: false, `Set up<span class="unseen"> Authenticator app</span>`: true, `Set up<span class="unseen"> Recovery codes</span>`: true} {
		if got := strings.Contains(p.Page, says); got != want {
			t.Errorf("the page has %q: %t", says, got)
		}
	}
}
