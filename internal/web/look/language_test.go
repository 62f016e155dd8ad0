package look

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"countersign/internal/failure"
	"countersign/internal/language"
)

// speaking is a Look with a catalogue of its own beside English and German.
func speaking(t *testing.T, catalogue string) *Look {
	t.Helper()
	one, err := language.Parse("own.yaml", []byte(catalogue))
	if err != nil {
		t.Fatal(err)
	}
	shelf, err := language.NewShelf("", one)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(Options{Now: time.Now, Languages: shelf, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A catalogue brings text and never markup, wherever its text stands: between elements, in an
// attribute, in the title, around a value, and beside values that are markup of ours.
func TestACatalogueBringsNoMarkup(t *testing.T) {
	const evil = `</p><script>alert(1)</script>" onclick="x" <b>`
	l := speaking(t, `{language: fr, name: F, direction: ltr, texts: {"Sign in": '`+evil+`', "as %s": '`+evil+` %s', "to %s": '`+evil+` %s', "%s on %s": '`+evil+` %[2]s %[1]s'}}`)
	set := l.Load(fstest.MapFS{"templates/one.html": {Data: []byte(`{{define "body"}}<p title="{{t "Sign in"}}" data-x={{t "Sign in"}}>{{t "Sign in"}}</p>` +
		`<p>{{t "as %s" (strong (bdi .Data))}}</p><p>{{t "to %s" .Data}}</p><p>{{t "%s on %s" (bdi .Data) .Data}}</p><p aria-label="{{t "as %s" (bdi .Data)}}"></p>{{end}}`)}})
	r := httptest.NewRequest("GET", "/one", nil)
	r.Header.Set("Accept-Language", "fr")
	w := httptest.NewRecorder()
	if err := set.Render(w, r, Page{Template: "one", Title: "Sign in", Shape: Card, Data: `<i>"mine"</i>`}); err != nil {
		t.Fatal(err)
	}
	got := w.Body.String()
	for _, bad := range []string{"<script>", "<b>", `" onclick`, "<i>"} {
		if strings.Contains(got, bad) {
			t.Errorf("the page has %q:\n%s", bad, got)
		}
	}
	if want := `&lt;b&gt; <strong><bdi>&lt;i&gt;&#34;mine&#34;&lt;/i&gt;</bdi></strong></p>`; !strings.Contains(got, want) {
		t.Errorf("the page lacks %s:\n%s", want, got)
	}
	if want := `&lt;b&gt; &lt;i&gt;&#34;mine&#34;&lt;/i&gt; <bdi>&lt;i&gt;&#34;mine&#34;&lt;/i&gt;</bdi></p>`; !strings.Contains(got, want) {
		t.Errorf("the page lacks %s:\n%s", want, got)
	}
	if n := strings.Count(got, "alert(1)"); n < 7 {
		t.Errorf("the text stands there %d times", n)
	}
}

// A page says its language and direction, and offers the others; one for administrators is
// in English whatever is asked for, and so is what goes wrong there.
func TestPagesAreInALanguage(t *testing.T) {
	l := speaking(t, "language: ar\nname: العربية\ndirection: rtl\ntexts: {}\n")
	fails := func(http.ResponseWriter, *http.Request) error { return failure.New(failure.Refused, "No.") }
	s := &Server{Look: l, Routes: []Route{{Pattern: "GET /mine", Demand: Public(), Handler: fails}, {Pattern: "GET /theirs", Demand: Public(), Handler: fails, English: true}}}
	h, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, accept, cookie string
		want                 []string
	}{
		{"/mine", "de", "", []string{`<html lang="de" dir="ltr">`, `>Zum Inhalt springen<`, `value="en" lang="en" dir="ltr">English<`, `value="ar" lang="ar" dir="rtl">`}},
		{"/mine", "ar", "", []string{`<html lang="ar" dir="rtl">`, `>Skip to the content<`}},
		{"/mine", "ar", "de", []string{`<html lang="de" dir="ltr">`}},
		{"/mine", "", "", []string{`<html lang="en" dir="ltr">`, `>Deutsch<`}},
		{"/theirs", "de", "de", []string{`<html lang="en" dir="ltr">`}},
		{"/nowhere", "de", "", []string{`<html lang="de" dir="ltr">`}},
	} {
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			w := httptest.NewRecorder()
			l.Prefer(w, c.cookie)
			r.AddCookie(w.Result().Cookies()[0])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s for %q: the page lacks %s", c.path, c.accept, want)
			}
		}
		if c.path == "/theirs" && strings.Contains(w.Body.String(), "/language") {
			t.Error("a page in English only offers another language")
		}
		if got := w.Header().Get("Content-Language"); !strings.Contains(w.Body.String(), `lang="`+got+`"`) {
			t.Errorf("the header says %q", got)
		}
		if v := w.Header().Get("Vary"); !strings.Contains(v, "Accept-Language") || !strings.Contains(v, "Cookie") {
			t.Errorf("Vary is %q", v)
		}
	}
	w := httptest.NewRecorder()
	if l.Prefer(w, "xx"); len(w.Result().Cookies()) != 0 {
		t.Error("a language that is not there is kept")
	}
}

// The way back from a choice stays on this host.
func TestReturnStaysHere(t *testing.T) {
	l := speaking(t, "language: fr\nname: F\ndirection: ltr\ntexts: {}\n")
	for _, c := range []struct{ back, referer, want string }{
		{"/sign-in/wait", "https://login.example.org/x", "/sign-in/wait"}, {"", "https://login.example.org/account/history?x=1", "/account/history?x=1"},
		{"//evil.example", "", "/account"}, {"https://evil.example", "", "/account"}, {"", "https://evil.example//evil.example/x", "/account"},
		{"", "javascript:x", "/account"}, {`/\evil.example`, "", "/account"}, {"", "", "/account"},
	} {
		r := httptest.NewRequest("POST", "/language", nil)
		r.PostForm = map[string][]string{"back": {c.back}}
		r.Header.Set("Referer", c.referer)
		w := httptest.NewRecorder()
		if err := l.Return(w, r); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Get("Location"); got != c.want || w.Code != http.StatusSeeOther {
			t.Errorf("back %q from %q: %d to %q, want %q", c.back, c.referer, w.Code, got, c.want)
		}
	}
}
