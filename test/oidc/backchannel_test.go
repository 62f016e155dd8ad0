package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"countersign/internal/incident"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// ear is where a party is told of sign-outs.
type ear struct {
	server *httptest.Server
	answer func(w http.ResponseWriter) // nil is 200

	mu     sync.Mutex
	tokens []string
}

func listen(t testing.TB) *ear {
	e := &ear{}
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/backchannel" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(r.Cookies()) != 0 {
			t.Errorf("told by %s %s, %s", r.Method, r.URL, r.Header)
		}
		e.mu.Lock()
		e.tokens = append(e.tokens, r.PostFormValue("logout_token"))
		answer := e.answer
		e.mu.Unlock()
		if answer != nil {
			answer(w)
		}
	}))
	t.Cleanup(e.server.Close)
	return e
}

func (e *ear) uri() string { return e.server.URL + "/backchannel" }

// heard is what came until now.
func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.tokens...)
}

// waits waits until so much came.
func (e *ear) waits(t testing.TB, n int) []string {
	t.Helper()
	until(t, func() bool { return len(e.heard()) >= n })
	return e.heard()
}

// until waits for a state.
func until(t testing.TB, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about within a minute")
		}
	}
}

// working does beside the server what it does in service, until the test ends.
func working(t testing.TB, w *servertest.World) {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := w.Work(ctx)
	t.Cleanup(func() { cancel(); <-stopped })
}

// farewell is what a logout token says.
type farewell struct {
	Iss    string                     `json:"iss"`
	Sub    string                     `json:"sub"`
	Aud    string                     `json:"aud"`
	Iat    int64                      `json:"iat"`
	Exp    int64                      `json:"exp"`
	Jti    string                     `json:"jti"`
	Sid    string                     `json:"sid"`
	Events map[string]json.RawMessage `json:"events"`
}

// reads verifies a logout token as OpenID Connect Back-Channel Logout 1.0 section 2.6 says.
func (p *party) reads(t testing.TB, token string) farewell {
	t.Helper()
	id, err := p.provider.Verifier(&gooidc.Config{ClientID: p.config.ClientID, Now: p.w.Now}).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	var out farewell
	if err := id.Claims(&all); err != nil {
		t.Fatal(err)
	}
	if err := id.Claims(&out); err != nil {
		t.Fatal(err)
	}
	head, err := decode(strings.Split(token, ".")[0])
	var header struct{ Typ, Alg, Kid string }
	if err != nil || json.Unmarshal(head, &header) != nil || header.Typ != "logout+jwt" || header.Alg != "ES256" || header.Kid == "" {
		t.Errorf("the header is %s", head)
	}
	if _, nonce := all["nonce"]; nonce || out.Jti == "" || out.Sid == "" || out.Sub == "" || string(out.Events["http://schemas.openid.net/event/backchannel-logout"]) != "{}" || len(out.Events) != 1 ||
		out.Exp-out.Iat > 120 || out.Exp <= out.Iat {
		t.Errorf("the token says %v", all)
	}
	return out
}

// listening registers a party that is told at an ear.
func listening(w *servertest.World, name string, more map[string]any) (*party, *ear) {
	w.T.Helper()
	e := listen(w.T)
	settings := map[string]any{"backchannel_logout_uri": e.uri(), "inside": []string{"127.0.0.1"}}
	for k, v := range more {
		settings[k] = v
	}
	return newParty(w, name, settings), e
}

// session is what an ID token calls the session and the person.
func sessionOf(t testing.TB, id string) (sid, sub string) {
	t.Helper()
	body, err := decode(strings.Split(id, ".")[1])
	var says struct{ Sid, Sub string }
	if err != nil || json.Unmarshal(body, &says) != nil || says.Sid == "" {
		t.Fatalf("the ID token says %s", body)
	}
	return says.Sid, says.Sub
}

// The promise: whatever ends a session, each application that somebody was signed in to by it is
// told, of exactly that session, and no other application is.
func TestAnApplicationIsToldOfEveryEnd(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		working(t, w)
		people := map[string]*servertest.Person{}
		for _, name := range []string{"ada", "bob", "carl"} {
			people[name] = w.EnrollCodes(name)
		}
		w.Equipment()
		clerk := w.Clerk()
		does := func(action string, in map[string]any) {
			t.Helper()
			if err := clerk.Do(t.Context(), action, in, nil); err != nil {
				t.Fatal(err)
			}
		}
		wiki, ear := listening(w, "wiki", nil)
		_, deaf := listening(w, "other", nil)
		n := 0
		for _, c := range []struct {
			what, who string
			end       func(p *servertest.Person)
		}{
			{"signing out", "ada", func(p *servertest.Person) { p.Get("/account"); p.Post("/sign-out") }},
			{"signing out at the application", "ada", func(p *servertest.Person) { p.Get(wiki.leaving("id_token_hint", wiki.signs(t, p))) }},
			{"the console", "ada", func(*servertest.Person) { does("session.end", map[string]any{"account": "ada"}) }},
			{"time", "ada", func(*servertest.Person) { w.Later(25 * time.Hour) }},
			{"this was not me", "bob", func(*servertest.Person) { reports(t, w, "bob") }},
			{"suspension", "ada", func(*servertest.Person) { does("account.suspend", map[string]any{"name": "ada", "reason": "left"}) }},
			{"removal", "carl", func(*servertest.Person) {
				does("account.suspend", map[string]any{"name": "carl", "reason": "left"})
				does("account.remove", map[string]any{"name": "carl"})
			}},
		} {
			p := signedInAs(w, people[c.who], c.who)
			sid, sub := sessionOf(t, wiki.signs(t, p))
			if got := ear.heard(); len(got) != n {
				t.Fatalf("%s: it was told %d times before", c.what, len(got)-n)
			}
			c.end(p)
			n++
			got := wiki.reads(t, ear.waits(t, n)[n-1])
			if got.Sid != sid || got.Sub != sub || got.Iss != w.Base || got.Aud != "wiki" {
				t.Errorf("%s: %+v, and the ID token was of %s and %s", c.what, got, sid, sub)
			}
			w.Later(31 * time.Second)
		}
		if got := deaf.heard(); len(got) != 0 {
			t.Errorf("another application was told %d times", len(got))
		}
	})
}

// signedInAs is a browser that somebody is signed in with.
func signedInAs(w *servertest.World, who *servertest.Person, name string) *servertest.Person {
	w.T.Helper()
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", name, "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", who.Code())
	p.Sees("Where you are signed in")
	w.Later(time.Minute)
	return p
}

// reports has somebody say that it was not them who signed in.
func reports(t testing.TB, w *servertest.World, name string) {
	t.Helper()
	a, err := w.Accounts.Find(t.Context(), w.DB, name)
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Change(t.Context(), testActor, func(tx *store.Tx) error {
		_, err := w.Incidents.ReportTx(t.Context(), tx, incident.Reported{Account: a})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
