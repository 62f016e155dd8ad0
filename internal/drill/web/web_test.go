package web

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/failure"
)

// nowhere is an address where nothing listens.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func play(all ...drill.Component) *drill.Play {
	return &drill.Play{Stage: drill.Stage{Components: all, Patience: 200 * time.Millisecond}, Admin: says{}, Canary: &drill.Canary{Name: "canary", Password: "secret"}}
}

// A page or a server that cannot be reached, or not from the attacker's address, was not
// attacked; and a stopped Countersign excuses its own silence, not that of the page.
func TestUnreachableIsNotShut(t *testing.T) {
	server := Server(nowhere(t))
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	all := func(p *drill.Play) []drill.Try {
		t.Helper()
		tries := p.Guess(t.Context(), "canary", "secret")
		for _, m := range []drill.Move{drill.ReadPages, drill.KeptSession, drill.ComeBack, drill.GuessPasswords, drill.GuessCodes, drill.Spray, drill.Stuff, drill.ChangePassword} {
			tries = append(tries, p.Move(t.Context(), m, p.Canary)...)
		}
		return tries
	}
	p := play(server.Portal(), server.Page(Site{URL: nowhere(t)}), server.Administration())
	if tries := all(p); len(tries) < 30 {
		t.Errorf("only %d tries", len(tries))
	} else {
		for _, try := range tries {
			if try.Open || try.Error == "" {
				t.Errorf("nothing listens, and it is said to be shut: %+v", try)
			}
		}
	}
	p.Down = true
	for _, try := range all(p) {
		if want := strings.HasPrefix(try.Component, "127.0.0.1:"); want != (try.Error != "") || try.Open {
			t.Errorf("while Countersign is stopped: %+v", try)
		}
	}
	p = play(server.Portal(), server.Page(Site{URL: page.URL}))
	p.Down = true
	for _, try := range all(p) {
		if try.Error != "" || try.Open {
			t.Errorf("a page that answers: %+v", try)
		}
	}
	p = play(server.Page(Site{URL: page.URL}))
	p.From = netip.MustParseAddr("192.0.2.1")
	for _, try := range all(p) {
		if try.Name != "the page with a session from before" && (try.Open || try.Error == "") {
			t.Errorf("from an address that is not ours: %+v", try)
		}
	}
}

// A page that has Countersign's own silence in it may be waited for in vain while that is
// stopped, and sends people there.
func TestAPageMayWaitForWhoIsStopped(t *testing.T) {
	stopped := nowhere(t)
	var answer http.HandlerFunc
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer page.Close()
	for what, h := range map[string]http.HandlerFunc{
		"it waits": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"it sends on": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, stopped+"/sign-in", http.StatusFound)
		},
		"it says so":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"it is served": func(http.ResponseWriter, *http.Request) {},
	} {
		answer = h
		p := play(Server(stopped).Page(Site{URL: page.URL}))
		p.Down = true
		for _, try := range p.Guess(t.Context(), "canary", "secret") {
			if try.Error != "" || try.Open != (what == "it is served") {
				t.Errorf("%s: %+v", what, try)
			}
		}
	}
}

// Whether an account exists is not known where the administrator is not told.
func TestAnErrorOfTheDirectoryIsNoAnswer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for err, want := range map[error]bool{nil: true, gone: false, unwell: false} {
		p := play(Server(server.URL).Administration())
		p.Admin = says{err}
		tries := p.Move(t.Context(), drill.CreateAccount, p.Canary)
		if len(tries) != 4 {
			t.Fatal(tries)
		}
		if try := tries[0]; try.Open != want || (try.Error != "") != (err == unwell) {
			t.Errorf("%v: %+v", err, try)
		}
	}
}

var (
	gone   error = failure.New(failure.NotFound, "There is no such account.")
	unwell error = failure.New(failure.Unavailable, "Try again later.")
)

// says is an administrator who is told the same of everything.
type says struct{ err error }

func (s says) Do(context.Context, string, any, any) error { return s.err }

// A page that cannot be attacked is found before the first attack, and the sentence says what
// to do about it. A name that does not resolve needs an address to connect to.
func TestPagesAreCheckedFirst(t *testing.T) {
	asked := ""
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Host
		http.Redirect(w, r, nowhere(t)+"/sign-in", http.StatusFound) // is not followed
	}))
	defer answers.Close()
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	for what, c := range map[string]struct {
		site Site
		says string
	}{
		"it answers":             {Site{URL: answers.URL}, ""},
		"nothing listens":        {Site{URL: nowhere(t)}, "does not answer"},
		"no such page":           {Site{URL: empty.URL}, "there is no page at"},
		"no such name":           {Site{URL: "http://wiki.invalid/notes"}, "give the host and port to connect to"},
		"a name with an address": {Site{URL: "http://wiki.invalid/notes", Connect: answers.Listener.Addr().String()}, ""},
		"no address at all":      {Site{URL: "wiki"}, "is not the address of a page"},
		"another scheme":         {Site{URL: "ftp://wiki.invalid/"}, "is not the address of a page"},
	} {
		err := Server(nowhere(t)).Page(c.site).Check(t.Context())
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if asked != "wiki.invalid" && asked != answers.Listener.Addr().String() {
		t.Errorf("the page was asked for as %s", asked)
	}
}

// Every spelling of a path is another than the path, and none of a sentence of ours.
func TestSpellings(t *testing.T) {
	for _, path := range []string{"/", "/notes", "/notes/", "/n"} {
		seen := map[string]bool{path: true}
		for _, other := range spellings(path) {
			if seen[other] || other[0] != '/' {
				t.Errorf("%s of %s", other, path)
			}
			seen[other] = true
		}
		if len(seen) < 6 {
			t.Errorf("%s has only %d spellings", path, len(seen)-1)
		}
	}
}

// What only the page shows tells it from the rest of a site that is open.
func TestTextsOfAPage(t *testing.T) {
	got := texts("<h1>A heading</h1><script>var hidden = 1</script><p>short</p><p>For members only</p>")
	if strings.Join(got, "|") != "A heading|For members only" {
		t.Errorf("%q", got)
	}
	if !holds("<p>For members only", got) || holds("<p>Welcome", got) {
		t.Error("a page is not told by its texts")
	}
}
