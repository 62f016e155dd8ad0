package saml

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	sp "github.com/crewjam/saml"

	"countersign/internal/servertest"
)

// asks is the address of a request of the application.
func (wi *wiki) asks(relay string, change func(r *sp.AuthnRequest)) string {
	wi.w.T.Helper()
	r, err := wi.sp.MakeAuthenticationRequest(wi.sp.GetSSOBindingLocation(sp.HTTPRedirectBinding), sp.HTTPRedirectBinding, sp.HTTPPostBinding)
	if err != nil {
		wi.w.T.Fatal(err)
	}
	change(r)
	wi.asked = append(wi.asked, r.ID)
	to, err := r.Redirect(relay, wi.sp)
	if err != nil {
		wi.w.T.Fatal(err)
	}
	if to.Host == "" {
		return wi.w.Base + "/saml/sso" + to.String()
	}
	return to.String()
}

// next is where an address sends a browser on to.
func next(t *testing.T, address string) string {
	t.Helper()
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.Header.Get("Location")
}

func same(*sp.AuthnRequest) {}

// The promise: a request that says too little or too much is not answered, and one that asks for
// what is not done here is told so without an assertion.
func TestOddRequests(t *testing.T) {
	_, _, browser, wi := inside(t)
	for what, c := range map[string]struct{ address, says string }{
		"signed for no address":  {wi.asks("", func(r *sp.AuthnRequest) { r.Destination = "" }), "does not say for which address"},
		"an endless RelayState":  {wi.asks(strings.Repeat("a", 1025), same), "RelayState is longer"},
		"a RelayState that fits": {wi.asks(strings.Repeat("a", 1024), same), "SAMLResponse"},
	} {
		browser.Get(c.address)
		if !strings.Contains(browser.Page, c.says) || c.says != "SAMLResponse" && strings.Contains(browser.Page, "SAMLResponse") {
			t.Errorf("%s: %d %s", what, browser.Status, browser.Page)
		}
	}
	told := len(wi.told)
	for code, change := range map[string]func(r *sp.AuthnRequest){
		"RequestUnsupported": func(r *sp.AuthnRequest) { r.Subject = &sp.Subject{NameID: &sp.NameID{Value: "bob"}} },
		"InvalidNameIDPolicy": func(r *sp.AuthnRequest) {
			r.NameIDPolicy.Format = new("urn:oasis:names:tc:SAML:2.0:nameid-format:entity")
		},
	} {
		browser.Get(wi.asks("", change))
		follow(browser)
		if s := wi.status(); !strings.Contains(s, code) || len(wi.told) != told {
			t.Errorf("no %s: %s", code, s)
		}
	}
	for what, form := range map[string]url.Values{"two requests": {"SAMLRequest": {"AAAA", "AAAA"}}, "two RelayStates": {"SAMLRequest": {"AAAA"}, "RelayState": {"a", "b"}}, "too long": {"SAMLRequest": {strings.Repeat("A", 256<<10)}}} {
		browser.Take(browser.Client.PostForm(wi.w.Base+"/saml/sso", form))
		if browser.Status != http.StatusForbidden || !strings.Contains(browser.Page, "no SAMLRequest, or two") {
			t.Errorf("%s: %d %s", what, browser.Status, browser.Page)
		}
	}
}

// The promise: what is under way stays what it was: it is answered at an address that is
// registered still, to an application that alone has its entity ID, and is no sign-out.
func TestUnderWay(t *testing.T) {
	w, _, browser, wi := inside(t)
	wi.withLogout("wiki")
	refused := func(what, address, says string) {
		t.Helper()
		browser.Get(address)
		if browser.Status != http.StatusForbidden || !strings.Contains(browser.Page, says) || strings.Contains(browser.Page, "SAMLResponse") {
			t.Errorf("%s: %d %s", what, browser.Status, browser.Page)
		}
	}
	on := next(t, wi.asks("", same))
	_, code, ok := strings.Cut(on, "/saml/continue?request=")
	if !ok {
		t.Fatalf("it leads to %s", on)
	}
	refused("a request as a sign-out", w.Base+"/saml/logout?begin="+code, "not here")
	moved := wi.settings()
	moved["consumers"] = []map[string]any{{"url": "https://other.example.org/acs"}}
	register(w, "wiki", moved)
	refused("an address that was taken away", w.Base+on, "No application is registered")
	register(w, "wiki", wi.settings())
	register(w, "copy", wi.settings())
	refused("an entity ID of two", w.Base+on, "No application is registered")
	refused("a new request of two", wi.asks("", same), "No application is registered")
	told := w.Events("application.opened")
	stranger := w.Person()
	stranger.Get(w.Base + on)
	if strings.Contains(stranger.Page, "SAMLResponse") || w.Events("application.opened") != told {
		t.Errorf("a stranger: %s", stranger.Page)
	}
}

// The promise: a sign-out goes on by the answer to what was asked, in the browser in which it
// began, and by nothing else.
func TestSignOutGoesOn(t *testing.T) {
	w, _, browser, wi := inside(t)
	wi.withLogout("wiki")
	blog := newWiki(w)
	blog.withLogout("blog")
	browser.Get(blog.URL + "/page")
	follow(browser)
	slo := wi.sp.GetSLOBindingLocation(sp.HTTPRedirectBinding)
	request, err := wi.sp.MakeLogoutRequest(slo, wi.last().Subject.NameID.Value)
	if err != nil {
		t.Fatal(err)
	}
	request.Signature = nil
	browser.Get(redirectOf(t, wi, request, ""))
	if !strings.Contains(browser.Page, blog.sp.SloURL.String()) {
		t.Fatalf("the blog is not asked: %s", browser.Page)
	}
	answer, err := blog.sp.MakeLogoutResponse(slo, "_another")
	if err != nil {
		t.Fatal(err)
	}
	answer.Signature = nil
	for what, who := range map[string]*servertest.Person{"an answer to something else": browser, "another browser": w.Person()} {
		who.Get(signQuery(t, blog, answer.Redirect("")))
		if who.Status != http.StatusForbidden || !strings.Contains(who.Page, "not here") {
			t.Errorf("%s: %d %s", what, who.Status, who.Page)
		}
	}
}
