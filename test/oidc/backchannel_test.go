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

// A logout token is for one client, and is nothing but that: no ID token, no hint, no proof of a
// client, no access token.
func TestALogoutTokenIsNothingElse(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada := w.EnrollCodes("ada")
	wiki, ear := listening(w, "wiki", nil)
	other := withGoodbye(w, "other")
	p := signedIn(w, ada)
	wiki.signs(t, p)
	endsAll(w, p)
	token := ear.waits(t, 1)[0]
	wiki.reads(t, token)
	if _, err := other.provider.Verifier(&gooidc.Config{ClientID: "other", Now: w.Now}).Verify(t.Context(), token); err == nil {
		t.Error("another client takes it")
	}
	p = signedIn(w, ada)
	p.Get(wiki.leaving("id_token_hint", token))
	p.Sees("names a sign-in that was not here")
	if !isSignedIn(p) {
		t.Error("it signs out as a hint")
	}
	wiki.forget()
	p.Get(wiki.begin("prompt", "none", "id_token_hint", token))
	wiki.refused("invalid_request")
	if status, _ := wiki.userinfo(t, token); status != 401 {
		t.Errorf("as an access token: %d", status)
	}
	form := wiki.tokenForm(wiki.code(p))
	form.Del("client_secret")
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", token)
	status, got := wiki.post(t, "/oidc/token", form)
	fails(t, "as a client's proof", status, got, "invalid_client")
}

// Each telling is another token: one that somebody caught is old after two minutes, and a client
// that remembers names sees none twice. What it answers decides what comes next, and a redirect
// leads nowhere.
func TestWhatAnApplicationAnswers(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada := w.EnrollCodes("ada")
	wiki, ear := listening(w, "wiki", map[string]any{"id_token_algorithm": "ES256"})
	trap := listen(t)
	answers := []func(rw http.ResponseWriter){
		func(rw http.ResponseWriter) {
			rw.Header().Set("Location", trap.uri())
			rw.WriteHeader(http.StatusTemporaryRedirect)
		},
		func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusBadRequest) },
		func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusNoContent) },
	}
	n := 0
	ear.answer = func(rw http.ResponseWriter) { // called with the ear's lock released
		ear.mu.Lock()
		i := n
		n++
		ear.mu.Unlock()
		answers[min(i, len(answers)-1)](rw)
	}
	p := signedIn(w, ada)
	wiki.signs(t, p)
	endsAll(w, p)
	ear.waits(t, 1)
	var told []farewell
	for want := 2; want <= 3; want++ {
		until(t, func() bool { // the clock goes on until it is tried again
			w.Later(time.Second)
			return len(ear.heard()) >= want
		})
	}
	for _, token := range ear.heard() {
		told = append(told, wiki.says(t, token))
	}
	if told[0].Jti == told[1].Jti || told[1].Jti == told[2].Jti || told[0].Sid != told[2].Sid {
		t.Errorf("%+v", told)
	}
	until(t, func() bool {
		var left int
		if err := w.DB.QueryRow(t.Context(), `select count(*) from oauth_logout`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	if len(trap.heard()) != 0 || len(ear.heard()) != 3 {
		t.Errorf("a redirect was followed %d times, and it was told %d times", len(trap.heard()), len(ear.heard()))
	}
}

// says is what a token says, whenever it was.
func (p *party) says(t testing.TB, token string) (out farewell) {
	t.Helper()
	body, err := decode(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(body, &out) != nil {
		t.Fatal(err)
	}
	return out
}

// An application is told nowhere inside that its settings do not list, whatever name leads there,
// and the administrator reads why.
func TestNobodyIsToldInside(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada := w.EnrollCodes("ada")
	ear := listen(t)
	byName := strings.Replace(ear.uri(), "127.0.0.1", "localhost", 1)
	p := signedIn(w, ada)
	for name, settings := range map[string]map[string]any{
		"unlisted": {"backchannel_logout_uri": ear.uri()}, "byname": {"backchannel_logout_uri": byName},
		"others": {"backchannel_logout_uri": byName, "inside": []string{"10.0.0.0/8", "wiki.localhost"}},
	} {
		newParty(w, name, settings).signs(t, p)
	}
	endsAll(w, p)
	until(t, func() bool {
		if err := w.TellUnserved(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		all, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "request.unserved"})
		if err != nil {
			t.Fatal(err)
		}
		apps := map[string]bool{}
		for _, e := range all {
			apps[e.Application] = apps[e.Application] || e.Reason == "logout-untold"
		}
		return apps["unlisted"] && apps["byname"] && apps["others"]
	})
	if n := len(ear.heard()); n != 0 {
		t.Errorf("it was told %d times at an address that nobody listed", n)
	}
}

// A receiver that never answers holds up neither the end of a session nor any other application.
func TestASlowApplicationHoldsNobodyUp(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada := w.EnrollCodes("ada")
	slow, never := listening(w, "slow", nil)
	quick, ear := listening(w, "quick", nil)
	open := make(chan struct{})
	never.answer = func(http.ResponseWriter) { <-open }
	t.Cleanup(func() { close(open) })
	for n := 1; n <= 3; n++ {
		p := signedIn(w, ada)
		slow.signs(t, p)
		quick.signs(t, p)
		began := time.Now()
		endsAll(w, p)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("ending took %v", took)
		}
		ear.waits(t, n)
		if took := time.Since(began); took > 4*time.Second { // a request lasts five at most
			t.Errorf("the other application was told after %v", took)
		}
		w.Later(31 * time.Second)
	}
}
