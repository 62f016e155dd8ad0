package saml

import (
	"slices"
	"strings"
	"testing"

	sp "github.com/crewjam/saml"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: an application signs people in by SAML, asking by an address and by a form. It
// is told by a signed assertion who somebody is, by a name of its own, how they signed in, and
// what its settings release.
func TestSignInBySAML(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.Address("ada", "ada@example.org")
	wiki := newWiki(w)
	register(w, "wiki", wiki.settings())
	for _, post := range []bool{false, true} {
		wiki.post = post
		browser := testbed.Chromium(t)
		browser.Visit(wiki.URL + "/page?a=1")
		browser.WaitLocation(w.Base + "/sign-in")
		signsIn(browser, ada)
		browser.WaitText("h1", "Welcome")
		if relay := browser.Text("#relay"); relay != "/page?a=1" {
			t.Errorf("it comes back with %q", relay)
		}
		w.Later(31e9)
	}
	first, second := wiki.told[0], wiki.told[1]
	if a, b := first.Subject.NameID, second.Subject.NameID; a.Value != b.Value || len(a.Value) != 43 || a.Format != string(sp.PersistentNameIDFormat) || strings.Contains(a.Value, "ada") {
		t.Errorf("ada is %+v, and then %+v", a, b)
	}
	if c := classOf(first); c != "https://refeds.org/profile/mfa" {
		t.Errorf("she signed in by %s", c)
	}
	if first.AuthnStatements[0].SessionIndex == second.AuthnStatements[0].SessionIndex {
		t.Error("two sessions have one index")
	}
	if !slices.Equal(values(first, "mail"), []string{"ada@example.org"}) {
		t.Errorf("mail: %v", values(first, "mail"))
	}
	if n := w.Events("application.opened"); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// signsIn types ada's password and code on the sign-in pages.
func signsIn(browser *testbed.Browser, ada *servertest.Person) {
	browser.Fill("#name", "ada")
	browser.Fill("#text", servertest.Passphrase)
	browser.Click("form:has(#text) button")
	browser.Wait("#text-totp")
	browser.Fill("#text-totp", ada.Code())
	browser.Click("form:has(#text-totp) button")
}
