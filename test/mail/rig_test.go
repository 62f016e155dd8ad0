package mail

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

const (
	mailSecret    = "the-secret-of-the-mail-server-of-this-test"
	filtersSecret = "the-secret-of-its-filters-of-this-test-too"
	clientSecret  = "the-secret-of-a-mail-program-of-this-test"
)

// post is a mail server behind a Countersign, with a mail program that people sign in to here.
type post struct {
	*servertest.World
	server     *testbed.Mailboxes
	submission string
	doors      []testbed.MailDoor
	program    *program
}

// setUp starts all of it. Edit changes Dovecot's configuration; nil leaves it.
func setUp(t *testing.T, edit func(string) string) *post {
	t.Helper()
	return around(servertest.NewWorld(t), edit)
}

func around(w *servertest.World, edit func(string) string) *post {
	w.T.Helper()
	p := &post{World: w}
	register(w, "mail", map[string]any{"client_id": "mail", "client_secret": mailSecret, "introspects": []string{"thunderbird", "roundcube"}, "token_scope": "mail", "acr": "urn:countersign:aal2", "app_passwords": []string{"imap", "pop3", "smtp"}})
	register(w, "mail-filters", map[string]any{"client_id": "mail-filters", "client_secret": filtersSecret, "introspects": []string{"thunderbird", "roundcube"}, "token_scope": "mail", "acr": "phr", "tells_owners": "each"})
	p.program = newProgram(w, "thunderbird", "mail")
	p.server = testbed.Dovecot(w.T, testbed.MailParts{Countersign: w.Base, MailSecret: mailSecret, FiltersSecret: filtersSecret, Edit: edit})
	p.submission, _ = testbed.Postfix(w.T, p.server)
	p.doors = p.server.Doors(p.submission)
	return p
}

// register adds an application that asks by OpenID Connect.
func register(w *servertest.World, name string, settings map[string]any) {
	w.T.Helper()
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	if err := server.Protocols().CheckSettings("oidc", raw); err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(context.Background(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if _, err := w.Catalogue.Set(context.Background(), tx, application.Application{Name: name, Title: "The " + name, Kind: "mail", Tier: application.Standard, Protocol: "oidc", Settings: raw}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// program is a mail program that signs in on a page.
type program struct {
	w        *servertest.World
	name     string
	scopes   string
	redirect string

	mu   sync.Mutex
	code string
}

const verifier = "a-verifier-of-a-mail-program-in-a-test-0123456789"

// newProgram registers a mail program that may ask for scopes beside those of OpenID Connect.
func newProgram(w *servertest.World, name string, scopes ...string) *program {
	w.T.Helper()
	p := &program{w: w, name: name, scopes: strings.Join(append([]string{"openid", "profile"}, scopes...), " ")}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.code = r.FormValue("code")
		p.mu.Unlock()
		fmt.Fprintln(rw, "Back in the program")
	}))
	w.T.Cleanup(s.Close)
	p.redirect = s.URL + "/callback"
	settings := map[string]any{"client_id": name, "client_secret": clientSecret, "redirect_uris": []string{p.redirect}, "refresh": "session"}
	if len(scopes) > 0 {
		settings["scopes"] = scopes
	}
	register(w, name, settings)
	return p
}

// token is an access token of the program, by a browser that has a session.
func (p *program) token(browser *servertest.Person, more ...string) string {
	p.w.T.Helper()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {p.name}, "redirect_uri": {p.redirect}, "scope": {p.scopes}, "state": {"s"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	browser.Get(p.w.Base + "/oidc/authorize?" + q.Encode())
	if m := leaveLink.FindStringSubmatch(browser.Page); m != nil {
		browser.Get(strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	p.mu.Lock()
	code := p.code
	p.mu.Unlock()
	status, got := p.post("/oidc/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.redirect}, "code_verifier": {verifier}})
	token, _ := got["access_token"].(string)
	if status != 200 || token == "" {
		p.w.T.Fatalf("no token: %d %v", status, got["error"])
	}
	return token
}

var leaveLink = regexp.MustCompile(`http-equiv="refresh" content="0; ?url=([^"]+)"`)

// post sends a form as the program, and returns status and answer.
func (p *program) post(path string, form url.Values) (int, map[string]any) {
	p.w.T.Helper()
	form.Set("client_id", p.name)
	form.Set("client_secret", clientSecret)
	r, err := http.PostForm(p.w.Base+path, form)
	if err != nil {
		p.w.T.Fatal(err)
	}
	defer r.Body.Close()
	out := map[string]any{}
	json.NewDecoder(r.Body).Decode(&out) //nolint:errcheck // some answers are empty
	return r.StatusCode, out
}

// signedIn is a browser in which ada has a session by password and code.
func signedIn(w *servertest.World, ada *servertest.Person) *servertest.Person {
	w.T.Helper()
	p := w.Person()
	p.Secret = ada.Secret
	p.Get("/sign-in")
	p.SignIn("ada", ada.Code())
	w.Later(time.Minute)
	return p
}

// tries gives a token at a door, and reports whether whoever has it is in, with the server's words.
func (p *post) tries(door testbed.MailDoor, mechanism, name, token string) (in bool, said string) {
	p.T.Helper()
	c := testbed.DialMailT(p.T, door)
	defer c.Close()
	said, err := c.Token(mechanism, name, token)
	if err != nil && said == "" {
		return false, err.Error()
	}
	return reads(c), said
}

// types gives a password at a door in one of its ways.
func (p *post) types(door testbed.MailDoor, way, name, password string) (in bool, said string) {
	p.T.Helper()
	c := testbed.DialMailT(p.T, door)
	defer c.Close()
	said, err := c.Password(way, name, password)
	if err != nil && said == "" {
		return false, err.Error()
	}
	return reads(c), said
}

// reads reports whether a connection is somebody's mailbox.
func reads(c *testbed.MailClient) bool {
	got, err := c.Reads()
	return err == nil && testbed.Yes(got)
}

// last is the newest entry of an event.
func (p *post) last(event string) audit.Entry {
	p.T.Helper()
	all, err := p.DB.AuditLog().Entries(p.T.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil || len(all) == 0 {
		p.T.Fatalf("no entry of %s: %v", event, err)
	}
	return slices.MaxFunc(all, func(a, b audit.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
}
