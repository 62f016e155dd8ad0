package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// frame is an application that signs a browser out where it is opened in a frame.
type frame struct {
	*party
	mu   sync.Mutex
	came []url.Values // with the cookie that it had given the browser, as "cookie"
}

// framed registers an application that is told by the front channel.
func framed(w *servertest.World, name string) *frame {
	w.T.Helper()
	f := &frame{}
	var p *party
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/signed-out":
			q := r.URL.Query()
			if c, err := r.Cookie("application"); err == nil {
				q.Set("cookie", c.Value)
			}
			f.mu.Lock()
			f.came = append(f.came, q)
			f.mu.Unlock()
			rw.Header().Set("Cache-Control", "no-store")
		case "/callback":
			http.SetCookie(rw, &http.Cookie{Name: "application", Value: name, Path: "/"})
			p.callback(rw, r)
		default:
			p.callback(rw, r)
		}
	}))
	w.T.Cleanup(server.Close)
	server.URL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // of our own site: browsers keep their cookies from frames of others
	p = newParty(w, name, map[string]any{"redirect_uris": []string{server.URL + "/callback"}, "post_logout_redirect_uris": []string{server.URL + "/goodbye"},
		"frontchannel_logout_uri": server.URL + "/signed-out?from=here", "frontchannel_logout_session_required": true})
	p.server, p.config.RedirectURL = server, server.URL+"/callback"
	f.party = p
	return f
}

func (f *frame) heard() []url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]url.Values(nil), f.came...)
}

// The promise: the page of a sign-out opens each application that somebody was signed in to by
// that session, with our name and the session's, and its policy lets nothing else be opened.
func TestThePageOfASignOut(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki, other := framed(w, "wiki"), framed(w, "other")
	for name, leave := range map[string]func(p *servertest.Person, id string){
		"at our page":        func(p *servertest.Person, _ string) { p.Get("/account"); p.Post("/sign-out") },
		"by the application": func(p *servertest.Person, id string) { p.Get(wiki.leaving("id_token_hint", id)) },
		"by the application, there": func(p *servertest.Person, id string) {
			p.Get(wiki.leaving("id_token_hint", id, "post_logout_redirect_uri", wiki.server.URL+"/goodbye", "state", "s"))
		},
	} {
		p := signedIn(w, ada)
		policy := policyOf(p)
		id := wiki.signs(t, p)
		sid, _ := sessionOf(t, id)
		other.code(p) // which it does not use: nobody is signed in there
		leave(p, id)
		p.Sees("You are signed out")
		want := wiki.server.URL + "/signed-out?from=here&amp;" + strings.ReplaceAll(url.Values{"iss": {w.Base}, "sid": {sid}}.Encode(), "&", "&amp;")
		if n := strings.Count(p.Page, "<iframe"); n != 1 || !strings.Contains(p.Page, `src="`+want+`"`) {
			t.Errorf("%s: %d frames, and not %s", name, n, want)
		}
		if got := policy(); !strings.HasSuffix(got, "; frame-src "+wiki.server.URL+"/signed-out") || !strings.Contains(got, "default-src 'none'") {
			t.Errorf("%s: the policy is %s", name, got)
		}
		if to := wiki.server.URL + "/goodbye?state=s"; strings.Contains(name, "there") && !strings.Contains(p.Page, `href="`+to+`"`) {
			t.Errorf("%s: nothing leads to %s", name, to)
		}
		if isSignedIn(p) {
			t.Errorf("%s: the session stands", name)
		}
		w.Later(31e9)
	}
	p := w.Person()
	policy := policyOf(p)
	p.Get("/oidc/logout/told?resume=nonsense")
	p.Sees("began too long ago")
	p.Get("/account")
	if strings.Contains(policy(), "frame-src") {
		t.Error("other pages open frames")
	}
}

// watched keeps the policy of the page that a browser has last.
type watched struct{ policy string }

func (k *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		k.policy = resp.Header.Get("Content-Security-Policy")
	}
	return resp, err
}

func policyOf(p *servertest.Person) func() string {
	k := &watched{}
	p.Client.Transport = k
	return func() string { return k.policy }
}

// In Chromium: the application is opened with its own cookie, and the browser goes on to it.
func TestAFrameSignsOut(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	wiki := framed(w, "wiki")
	b := testbed.Chromium(t)
	b.Visit(wiki.begin())
	typesIn(b, ada)
	b.WaitText("p", "Welcome to the application")
	status, got := wiki.post(t, "/oidc/token", wiki.tokenForm(wiki.back()))
	id, _ := got["id_token"].(string)
	if status != 200 || id == "" {
		t.Fatalf("%d %v", status, got)
	}
	sid, _ := sessionOf(t, id)
	b.Visit(wiki.leaving("id_token_hint", id, "post_logout_redirect_uri", wiki.server.URL+"/goodbye"))
	b.WaitLocation(wiki.server.URL + "/goodbye")
	came := wiki.heard()
	if len(came) != 1 || came[0].Get("iss") != w.Base || came[0].Get("sid") != sid || came[0].Get("from") != "here" || came[0].Get("cookie") != "wiki" {
		t.Errorf("the application was opened with %v", came)
	}
}
