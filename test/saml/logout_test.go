package saml

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	dsig "github.com/russellhaering/goxmldsig"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// withLogout registers the application with its single logout service.
func (wi *wiki) withLogout(name string) {
	s := wi.settings()
	s["logout"] = wi.sp.SloURL.String()
	register(wi.w, name, s)
}

// The promise: who signs out at one application is signed out here, every other application
// that was told of the session is asked to end its own, in a real browser, and the first one is
// answered; who signs out here is signed out of all.
func TestSignOutEverywhere(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki, blog := newWiki(w), newWiki(w)
	wiki.withLogout("wiki")
	blog.withLogout("blog")
	browser := testbed.Chromium(t)
	for _, here := range []bool{false, true} {
		wiki.ended, blog.ended = nil, nil
		browser.Visit(wiki.URL + "/page")
		signsIn(browser, ada)
		browser.WaitText("h1", "Welcome")
		browser.Visit(blog.URL + "/page")
		browser.WaitText("h1", "Welcome")
		told := wiki.last()
		browser.Visit(w.Base + "/account/connected")
		browser.WaitText("main", "It is told when you sign out.")
		if list := browser.Text("main"); !strings.Contains(list, told.Subject.NameID.Value) || !strings.Contains(list, blog.last().Subject.NameID.Value) {
			t.Errorf("the page of connected applications says %s", list)
		}
		if here {
			browser.Visit(w.Base + "/account")
			browser.Click(`form[action="/sign-out"] button`)
			browser.WaitText("h1", "Sign in")
		} else {
			request, err := wiki.sp.MakeLogoutRequest(wiki.sp.GetSLOBindingLocation("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"), told.Subject.NameID.Value)
			if err != nil {
				t.Fatal(err)
			}
			to := redirectOf(t, wiki, request, "there")
			browser.Visit(to)
			browser.WaitText("h1", "Signed out")
			if len(wiki.ended) != 1 || wiki.ended[0] != "answer <nil>" {
				t.Errorf("the wiki: %v", wiki.ended)
			}
		}
		want := "asked " + blog.last().Subject.NameID.Value + " " + blog.last().AuthnStatements[0].SessionIndex
		if len(blog.ended) != 1 || blog.ended[0] != want {
			t.Errorf("signed out here: %t: the blog: %v and not %s", here, blog.ended, want)
		}
		if here && (len(wiki.ended) != 1 || !strings.HasPrefix(wiki.ended[0], "asked ")) {
			t.Errorf("the wiki: %v", wiki.ended)
		}
		browser.Visit(w.Base + "/account")
		browser.WaitText("h1", "Sign in")
		w.Later(31e9)
	}
	var n int
	if err := w.DB.QueryRow(t.Context(), `select count(*) from participant`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d are still to be told, %v", n, err)
	}
}

// redirectOf is the address of a request to sign out, signed in its query as SAML has it.
func redirectOf(t *testing.T, wi *wiki, request interface{ Redirect(relay string) *url.URL }, relay string) string {
	t.Helper()
	return signQuery(t, wi, request.Redirect(relay))
}

// The promise: nobody ends a session with a message that is unsigned, signed by another
// application, old, for another address, or about a name that this application was never told.
func TestNobodyElseSignsOut(t *testing.T) {
	w, _, browser, wi := inside(t)
	wi.withLogout("wiki")
	other := newWiki(w)
	other.withLogout("other")
	name := wi.last().Subject.NameID.Value
	stands := func(what string) {
		t.Helper()
		if browser.Get("/account"); !browser.Inside() {
			t.Fatalf("%s ends the session", what)
		}
	}
	stranger := w.Person()
	send := func(what, address, says string) {
		t.Helper()
		stranger.Get(address)
		if says != "" && !strings.Contains(stranger.Page, says) {
			t.Errorf("%s: %d %s", what, stranger.Status, stranger.Page)
		}
		stands(what)
	}
	slo := wi.sp.GetSLOBindingLocation("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect")
	request, err := wi.sp.MakeLogoutRequest(slo, name)
	if err != nil {
		t.Fatal(err)
	}
	request.Signature = nil
	send("an unsigned request", request.Redirect("").String(), "not signed")
	foreign, _ := other.sp.MakeLogoutRequest(slo, name)
	foreign.Signature = nil
	send("another application", redirectOf(t, other, foreign, ""), "")
	stolen, _ := wi.sp.MakeLogoutRequest(slo, name)
	stolen.Signature = nil
	send("another application's key", signQuery(t, other, stolen.Redirect("")), "not by a key")
	elsewhere, _ := wi.sp.MakeLogoutRequest(w.Base+"/saml/sso", name)
	elsewhere.Signature = nil
	at := redirectOf(t, wi, elsewhere, "")
	send("for another address", strings.Replace(at, "/saml/sso?", "/saml/slo?", 1), "another address")
	over, _ := wi.sp.MakeLogoutRequest(slo, name)
	over.Signature, over.NotOnOrAfter = nil, new(w.Now().Add(-4*time.Minute))
	send("one that is good no longer", redirectOf(t, wi, over, ""), "too old")
	early, _ := wi.sp.MakeLogoutRequest(slo, name)
	early.Signature, early.IssueInstant = nil, w.Now().Add(4*time.Minute)
	send("one from the future", redirectOf(t, wi, early, ""), "clock")
	endless, _ := wi.sp.MakeLogoutRequest(slo, name)
	endless.Signature = nil
	send("an endless RelayState", redirectOf(t, wi, endless, strings.Repeat("a", 1025)), "RelayState")
	register(w, "wiki", wi.settings())
	deaf, _ := wi.sp.MakeLogoutRequest(slo, name)
	deaf.Signature = nil
	send("an application without a logout", redirectOf(t, wi, deaf, ""), "No address is registered")
	wi.withLogout("wiki")
	unknown, _ := wi.sp.MakeLogoutRequest(slo, "nobody")
	unknown.Signature = nil
	send("somebody unknown", redirectOf(t, wi, unknown, ""), "")
	w.Later(6 * 60e9)
	late, _ := wi.sp.MakeLogoutRequest(slo, name)
	late.Signature = nil
	address := redirectOf(t, wi, late, "")
	w.Later(10 * 60e9)
	send("an old one", address, "too old")
	right, _ := wi.sp.MakeLogoutRequest(slo, name)
	right.Signature = nil
	stranger.Get(redirectOf(t, wi, right, ""))
	if browser.Get("/account"); browser.Inside() {
		t.Error("the right one ends nothing")
	}
}

// signQuery signs the parameters of an address, in SAML's order (bindings, section 3.4.4.1).
func signQuery(t *testing.T, wi *wiki, u *url.URL) string {
	t.Helper()
	q := u.Query()
	name := "SAMLRequest"
	if q.Has("SAMLResponse") {
		name = "SAMLResponse"
	}
	text := name + "=" + url.QueryEscape(q.Get(name))
	if relay := q.Get("RelayState"); relay != "" {
		text += "&RelayState=" + url.QueryEscape(relay)
	}
	text += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
	sum := sha256.Sum256([]byte(text))
	signature, err := wi.sp.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = text + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	return u.String()
}
