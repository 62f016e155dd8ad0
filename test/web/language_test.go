package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// tongues are the languages of accounts.
type tongues struct {
	w     *servertest.World
	names []string
}

func (a tongues) are(what string, want ...string) {
	a.w.T.Helper()
	for i, name := range a.names {
		of, err := a.w.Accounts.Find(a.w.T.Context(), a.w.DB, name)
		if err != nil || of.Language != want[i] {
			a.w.T.Errorf("%s: %s is written to in %q and not in %q, %v", what, name, of.Language, want[i], err)
		}
	}
}

// chooses posts the form of the foot from a page, and reports whether the browser then reads German.
func chooses(p *servertest.Person, page, tag string) bool {
	p.W.T.Helper()
	p.Get(page)
	p.Post("/language", "language", tag, "back", page)
	status := p.Status
	p.Get(page)
	german := strings.Contains(p.Page, `<html lang="de"`)
	p.Status = status
	return german
}

// The promise: who chooses a language chooses it for this browser and for the account of its session,
// and for nobody else's; without a session, or with one that has not proved who it is, no account
// changes; and nothing at all changes by a link, from another site, or for a language that is not
// there, however its tag is written.
func TestWhoseLanguageIsChosen(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.EnrollCodes("grace")
	accounts := tongues{w, []string{"ada", "grace"}}
	accounts.are("before", "en", "en")
	before, entries := w.Events("account.language-set"), w.Events("")

	stranger := w.Person()
	for _, tag := range []string{"DE", "De", "de-DE", "de_DE", " de", "de ", "de\x00", "xx", "und", "", "../de", "ｄｅ"} {
		if chooses(stranger, "/sign-in", tag) || stranger.Status != http.StatusBadRequest {
			t.Errorf("the language %q is answered %d", tag, stranger.Status)
		}
	}
	stranger.Get("/language?language=de")
	if stranger.Status != http.StatusNotFound && stranger.Status != http.StatusMethodNotAllowed {
		t.Errorf("a link is answered %d", stranger.Status)
	}
	if !chooses(stranger, "/sign-in", "de") || stranger.Status != http.StatusOK {
		t.Error("a stranger reads English")
	}
	if n := w.Events(""); n != entries {
		t.Errorf("strangers leave %d entries in the log", n-entries)
	}
	half := w.Person()
	half.Get("/sign-in")
	half.Post("/sign-in", "authenticator", "password", "name", "ada", "text", servertest.Passphrase)
	half.Sees("totp")
	if !chooses(half, "/sign-in", "de") || half.Status != http.StatusOK {
		t.Errorf("who showed a password reads English, and is answered %d", half.Status)
	}
	accounts.are("strangers", "en", "en")

	in := w.Person()
	in.Comes("ada", ada.Secret)
	for what, r := range map[string]func(*http.Request){
		"without a token": func(*http.Request) {},
		"from another site": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		},
	} {
		form := url.Values{"language": {"de"}}
		if what != "without a token" {
			in.Get("/account")
			form.Set("form-token", servertest.TokenField.FindStringSubmatch(in.Page)[1])
		}
		ask, err := http.NewRequest("POST", w.Base+"/language", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r(ask)
		in.Take(in.Client.Do(ask))
		if in.Status != http.StatusForbidden {
			t.Errorf("a form %s is answered %d", what, in.Status)
		}
		if in.Get("/account"); strings.Contains(in.Page, `<html lang="de"`) {
			t.Errorf("a form %s changed the language", what)
		}
	}
	if chooses(in, "/account", "DE") {
		t.Error("a tag that folds is taken")
	}
	accounts.are("what is refused", "en", "en")
	if n := w.Events("account.language-set"); n != before {
		t.Errorf("the log says %d times that a language was set, and %d before", n, before)
	}
	for range 2 { // the second time nothing changes
		if !chooses(in, "/account", "de") {
			t.Error("ada reads English")
		}
	}
	accounts.are("ada’s choice", "de", "en")
	if n := w.Events("account.language-set"); n != before+1 {
		t.Errorf("the log says %d times that a language was set, and %d before", n, before)
	}

	accounts.names = append(accounts.names, "linus")
	if newcomer := w.Welcomed("linus"); !chooses(newcomer, "/account", "de") || newcomer.Status != http.StatusOK {
		t.Errorf("who sets up reads English, and is answered %d", newcomer.Status)
	}
	accounts.are("a newcomer’s choice", "de", "en", "de")

	w.Suspend("ada")
	if chooses(in, "/recovery", "en") || in.Status != http.StatusOK {
		t.Errorf("who is suspended is answered %d", in.Status)
	}
	accounts.are("who is suspended", "de", "en", "de")
}
