package saml

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: an application's own address may lead on to another host: the page that posts to
// it holds no browser to that address, in a real one.
func TestTheApplicationLeadsOn(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wi := newWiki(w)
	wi.onward = strings.Replace(wi.URL, "127.0.0.1", "localhost", 1) + "/inside"
	register(w, "wiki", wi.settings())
	browser := testbed.Chromium(t)
	browser.Visit(wi.URL + "/page")
	signsIn(browser, ada)
	browser.WaitLocation(wi.onward)
	browser.WaitText("h1", "Inside")
}

// The promise: the pages between an application and us speak the browser's language; what is
// wrong with a message is said to whoever runs the application.
func TestPagesInGerman(t *testing.T) {
	w, _, browser, wi := inside(t)
	home, err := url.Parse(w.Base)
	if err != nil {
		t.Fatal(err)
	}
	browser.Client.Jar.SetCookies(home, []*http.Cookie{{Name: "countersign-language", Value: "de", Path: "/"}}) // chosen on a page
	german := func(address string) string {
		t.Helper()
		r := servertest.PageRequest(address)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		browser.Take(browser.Client.Do(r))
		return browser.Page
	}
	settings := wi.settings()
	settings["start"] = "ours"
	register(w, "wiki", settings)
	for address, want := range map[string][]string{
		w.Base + "/saml/continue?request=AAAA": {"Hier geht es nicht weiter", "Das hat vor zu langer Zeit begonnen oder nicht hier."},
		w.Base + "/saml/sso":                   {"Was die Anwendung geschickt hat, ist nicht zu lesen.", "no SAMLRequest"},
		w.Base + "/saml/start/wiki":            {"Ein Link auf einer anderen Seite hat Sie hierher geführt.", `href="/saml/start/wiki"`},
		wi.URL + "/page":                       {"Weiter zu", "The wiki", "SAMLResponse"},
	} {
		page := german(address)
		for _, text := range want {
			if !strings.Contains(page, text) || !strings.Contains(page, `lang="de"`) {
				t.Errorf("%s says no %q: %s", address, text, page)
			}
		}
	}
	w.SetPolicy("rules:\n  - name: nobody\n    when: 'application.name == \"wiki\"'\n    deny: Only in office hours.\n  - name: all\n    require: two-factors\n")
	page := german(wi.URL + "/page")
	if browser.Status != http.StatusForbidden || !strings.Contains(page, "nicht eingelassen") || !strings.Contains(page, "Zurück zu") || strings.Contains(page, "<script>") {
		t.Errorf("denied: %d %s", browser.Status, page)
	}
}
