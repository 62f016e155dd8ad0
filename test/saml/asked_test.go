package saml

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	sp "github.com/crewjam/saml"

	"countersign/internal/servertest"
)

const mfa, phr = "https://refeds.org/profile/mfa", "phr"

// demands has the application ask for classes.
func (wi *wiki) demands(comparison string, class string) {
	wi.sp.RequestedAuthnContext = nil
	if class != "" {
		wi.sp.RequestedAuthnContext = &sp.RequestedAuthnContext{Comparison: comparison, AuthnContextClassRef: class}
	}
}

// status is that of the last response, which asserted nothing.
func (wi *wiki) status() string {
	wi.w.T.Helper()
	wi.mu.Lock()
	defer wi.mu.Unlock()
	if len(wi.failed) == 0 {
		wi.w.T.Fatal("nothing failed")
	}
	b, err := base64.StdEncoding.DecodeString(wi.raw[len(wi.raw)-1])
	if err != nil || strings.Contains(string(b), "Assertion ") {
		wi.w.T.Fatalf("%v %s", err, b)
	}
	return string(b)
}

// inside is ada, signed in at the wiki by password and code.
func inside(t *testing.T) (*servertest.World, *servertest.Person, *servertest.Person, *wiki) {
	t.Helper()
	return insideOf(servertest.NewWorld(t))
}

func insideOf(w *servertest.World) (*servertest.World, *servertest.Person, *servertest.Person, *wiki) {
	w.T.Helper()
	ada := w.EnrollCodes("ada")
	wi := newWiki(w)
	register(w, "wiki", wi.settings())
	browser := w.Person()
	browser.Get(wi.URL + "/page")
	browser.SignIn("ada", ada.Code())
	follow(browser)
	browser.Sees("Welcome")
	return w, ada, browser, wi
}

// The promise: what an application demands is asked for where it is missing, and nothing else
// is; where a person cannot show it the application is told so, and gets no assertion.
func TestClassesThatAreDemanded(t *testing.T) {
	_, ada, browser, wi := inside(t)
	if c := classOf(wi.last()); c != mfa {
		t.Fatalf("by %s", c)
	}
	wi.demands("exact", mfa)
	browser.Get(wi.URL + "/page") // it is there already: nobody is asked
	follow(browser)
	browser.Sees("Welcome")
	wi.demands("exact", phr)
	browser.Get(wi.URL + "/page")
	follow(browser) // she has no passkey
	if s := wi.status(); !strings.Contains(s, "NoAuthnContext") || len(wi.told) != 2 {
		t.Errorf("told %d times, and then %s", len(wi.told), s)
	}
	wi.demands("exact", "urn:example:unknown")
	browser.Get(wi.URL + "/page")
	follow(browser)
	if s := wi.status(); !strings.Contains(s, "NoAuthnContext") {
		t.Errorf("an unknown class: %s", s)
	}
	key := servertest.GetsPasskey(ada)
	wi.demands("exact", phr)
	browser.Get(wi.URL + "/page")
	browser.Sees("passkey")
	if strings.Contains(browser.Page, `type="password"`) {
		t.Error("more is asked for than is missing")
	}
	browser.UsePasskey(key)
	follow(browser)
	if c := classOf(wi.last()); c != phr {
		t.Errorf("by %s", c)
	}
	told := len(wi.told)
	wi.demands("exact", "urn:oasis:names:tc:SAML:2.0:ac:classes:X509") // a passkey is as strong, and no certificate
	browser.Get(wi.URL + "/page")
	follow(browser)
	if s := wi.status(); !strings.Contains(s, "NoAuthnContext") || len(wi.told) != told {
		t.Errorf("a passkey for a certificate: %s", s)
	}
}

// The promise: with ForceAuthn everything is shown anew, also by who has a session; with
// IsPassive nobody is asked, and the application is told so.
func TestForcedAndSilent(t *testing.T) {
	w, ada, browser, wi := inside(t)
	first := wi.last().AuthnStatements[0].AuthnInstant
	w.Later(time.Minute)
	force := true
	wi.sp.ForceAuthn = &force
	browser.Get(wi.URL + "/page")
	if browser.Status != 200 || !strings.Contains(browser.Page, "/sign-in") || strings.Contains(browser.Page, "SAMLResponse") {
		t.Fatalf("nobody is asked: %s", browser.Page)
	}
	again := browser.Page
	browser.Get(wi.URL + "/page") // whoever comes back without showing anything is asked again
	if strings.Contains(browser.Page, "SAMLResponse") || !strings.Contains(again, "form") {
		t.Error("it comes back with an assertion")
	}
	browser.SignIn("ada", ada.Code())
	follow(browser)
	browser.Sees("Welcome")
	if at := wi.last().AuthnStatements[0].AuthnInstant; !at.After(first.Add(50 * time.Second)) {
		t.Errorf("authenticated %s, and before %s", at, first)
	}
	wi.sp.ForceAuthn = nil
	wi.silent = true
	browser.Get(wi.URL + "/page")
	follow(browser)
	browser.Sees("Welcome")
	stranger := w.Person()
	stranger.Get(wi.URL + "/page")
	follow(stranger)
	if s := wi.status(); !strings.Contains(s, "NoPassive") {
		t.Errorf("a stranger: %s", s)
	}
}

// The promise: a request is answered once; a response that somebody has brought again, or a
// request that is sent again, gives nothing.
func TestARequestIsNotSentTwice(t *testing.T) {
	w, _, browser, wi := inside(t)
	request, err := wi.sp.MakeAuthenticationRequest(wi.sp.GetSSOBindingLocation(sp.HTTPRedirectBinding), sp.HTTPRedirectBinding, sp.HTTPPostBinding)
	if err != nil {
		t.Fatal(err)
	}
	wi.asked = append(wi.asked, request.ID)
	to, err := request.Redirect("", wi.sp)
	if err != nil {
		t.Fatal(err)
	}
	browser.Get(to.String())
	follow(browser)
	browser.Sees("Welcome")
	n := w.Events("application.opened")
	browser.Get(to.String())
	if browser.Status != 403 || !strings.Contains(browser.Page, "answered already") || w.Events("application.opened") != n {
		t.Errorf("%d %s", browser.Status, browser.Page)
	}
	w.Later(10 * time.Minute)
	browser.Get(to.String())
	if browser.Status != 403 || !strings.Contains(browser.Page, "too old") {
		t.Errorf("late: %d %s", browser.Status, browser.Page)
	}
}

// The promise: people begin at our own pages only where the application's settings say so, and
// nobody is sent there by another site unasked; the application is told that it did not ask.
func TestBegunAtOurPages(t *testing.T) {
	w, _, browser, wi := inside(t)
	browser.Get("/saml/start/wiki")
	if browser.Status != 403 || strings.Contains(browser.Page, "SAMLResponse") {
		t.Errorf("it is off, and yet: %d", browser.Status)
	}
	settings := wi.settings()
	settings["start"] = "ours"
	register(w, "wiki", settings)
	browser.Get("/account/applications")
	browser.Sees("/saml/start/wiki")
	told := len(wi.told)
	browser.Get("/saml/start/wiki")
	follow(browser)
	if !strings.Contains(browser.Page, "Not signed in") || len(wi.told) != told {
		t.Error("an application that takes no unasked response takes one")
	}
	wi.sp.AllowIDPInitiated = true
	browser.Get("/saml/start/wiki")
	follow(browser)
	browser.Sees("Welcome")
	if d := wi.last().Subject.SubjectConfirmations[0].SubjectConfirmationData; d.InResponseTo != "" {
		t.Errorf("in response to %q", d.InResponseTo)
	}
	for _, site := range []string{"cross-site", "same-site"} {
		r := servertest.PageRequest(w.Base + "/saml/start/wiki")
		r.Header.Set("Sec-Fetch-Site", site)
		browser.Take(browser.Client.Do(r))
		if strings.Contains(browser.Page, "SAMLResponse") || !strings.Contains(browser.Page, "/saml/start/wiki") {
			t.Errorf("another site (%s) begins: %s", site, browser.Page)
		}
	}
}
