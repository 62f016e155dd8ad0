package saml

import (
	"net/url"
	"strings"
	"testing"
	"time"

	sp "github.com/crewjam/saml"
)

// The promise: a request that is unsigned though it must be signed, is for another address, asks
// for its answer elsewhere, or comes from nobody, is not answered: neither there nor here, also
// for somebody who is signed in; and administrators read why.
func TestRequestsThatAreNotAnswered(t *testing.T) {
	w, _, browser, wi := inside(t)
	other := newWiki(w) // nobody registered it
	told := w.Events("application.opened")
	ask := func(by *wiki, change func(r *sp.AuthnRequest)) string {
		t.Helper()
		r, err := by.sp.MakeAuthenticationRequest(by.sp.GetSSOBindingLocation(sp.HTTPRedirectBinding), sp.HTTPRedirectBinding, sp.HTTPPostBinding)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		to, err := r.Redirect("back", by.sp)
		if err != nil {
			t.Fatal(err)
		}
		return to.String()
	}
	same := func(*sp.AuthnRequest) {}
	unsigned := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Del("Signature")
		q.Del("SigAlg")
		u.RawQuery = q.Encode()
		return u.String()
	}
	for what, c := range map[string]struct{ address, says string }{
		"unsigned":                   {unsigned(ask(wi, same)), "not signed"},
		"by nobody":                  {ask(other, same), "No application is registered"},
		"for another address":        {strings.Replace(ask(wi, func(r *sp.AuthnRequest) { r.Destination = w.Base + "/saml/slo" }), "/saml/slo?", "/saml/sso?", 1), "another address"},
		"to be answered elsewhere":   {ask(wi, func(r *sp.AuthnRequest) { r.AssertionConsumerServiceURL = "https://evil.example.org/acs" }), "not registered"},
		"to be answered by artifact": {ask(wi, func(r *sp.AuthnRequest) { r.ProtocolBinding = sp.HTTPArtifactBinding }), "HTTP-POST"},
		"from tomorrow":              {ask(wi, func(r *sp.AuthnRequest) { r.IssueInstant = w.Now().Add(24 * time.Hour) }), "clock"},
		"with another RelayState":    {strings.Replace(ask(wi, same), "RelayState=back", "RelayState=evil", 1), "not by a key"},
		"no request":                 {w.Base + "/saml/sso", "no SAMLRequest"},
		"a request under way of somebody else's making": {w.Base + "/saml/continue?request=AAAA", "begin again"},
	} {
		browser.Get(c.address)
		if browser.Status != 403 || !strings.Contains(browser.Page, c.says) || strings.Contains(browser.Page, "SAMLResponse") {
			t.Errorf("%s: %d %s", what, browser.Status, browser.Page)
		}
	}
	if n := w.Events("application.opened"); n != told {
		t.Errorf("%d were answered", n-told)
	}
	settings := wi.settings()
	settings["unsigned"] = "accept"
	register(w, "wiki", settings)
	browser.Get(unsigned(ask(wi, same)))
	if !strings.Contains(browser.Page, "SAMLResponse") {
		t.Errorf("the settings take unsigned requests: %s", browser.Page)
	}
}
