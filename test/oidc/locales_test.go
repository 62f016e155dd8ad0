package oidc

import (
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: our pages are in the first language of the request's ui_locales that is there, for
// whoever has chosen none; a language that is not there changes nothing.
func TestPagesSpeakWhatAClientAsksFor(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("ada")
	wiki := withGoodbye(w, "wiki")
	for _, c := range []struct{ asks, want string }{
		{"de", "de"}, {"fr de-AT en", "de"}, {"fr", "en"}, {"xx-nonsense-! de", "de"}, {"", "en"}, {strings.Repeat("fr ", 10) + "de", "en"},
	} {
		p := w.Person()
		p.Get(wiki.begin("ui_locales", c.asks))
		if !strings.Contains(p.Page, `<html lang="`+c.want+`"`) || !strings.Contains(p.Page, `name="name"`) {
			t.Errorf("%q: not a sign-in page in %s", c.asks, c.want)
		}
	}
	p := w.Person()
	p.Get(wiki.begin("ui_locales", "de"))
	p.Get(wiki.begin("ui_locales", "en")) // the next application asks for another one
	if !strings.Contains(p.Page, `<html lang="en"`) {
		t.Error("the first application's language stays")
	}
	p.Post("/language", "language", "de")
	p.Get(wiki.begin("ui_locales", "en"))
	if !strings.Contains(p.Page, `<html lang="de"`) {
		t.Error("what somebody has chosen does not stay")
	}
	// On a page of the very first request, and when somebody signs out.
	p = w.Person()
	p.Get(wiki.leaving("ui_locales", "de"))
	if !strings.Contains(p.Page, `<html lang="de"`) {
		t.Error("the page after signing out is in another language")
	}
}
