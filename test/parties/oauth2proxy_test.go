//go:build parties

package parties

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/protocol"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// shown is what the guide of an application shows.
func shown(t *testing.T, w *servertest.World, name, guide string) string {
	t.Helper()
	app, err := w.Catalogue.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	public, err := url.Parse(w.Base)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := server.Protocols().Named("oidc")
	for _, g := range d.Guides {
		if g.Name == guide {
			files, err := g.Write(app, protocol.Place{Public: public})
			if err != nil {
				t.Fatal(err)
			}
			return files[0].Text
		}
	}
	t.Fatalf("there is no guide %s", guide)
	return ""
}

// proxied starts oauth2-proxy with what the guide shows, before a page, and returns its address.
func proxied(t *testing.T, w *servertest.World) string {
	t.Helper()
	path := program(t, "github.com/oauth2-proxy/oauth2-proxy/v7", "v7.6.0", ".")
	page := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Write([]byte("<p>Welcome behind oauth2-proxy, " + r.Header.Get("X-Forwarded-Preferred-Username") + "</p>")) //nolint:errcheck // the browser went away
	}))
	t.Cleanup(page.Close)
	addr := testbed.Addr(t)
	at := "http://" + addr
	register(w, "proxied", map[string]any{"client_id": "proxied", "client_secret": clientSecret, "redirect_uris": []string{at + "/oauth2/callback"},
		"post_logout_redirect_uris": []string{at + "/"}, "refresh": "session", "access_minutes": 1})
	text := strings.NewReplacer("THE-CLIENT-SECRET", clientSecret, "A-RANDOM-TEXT", strings.Repeat("k", 32), "http://127.0.0.1:8080/", page.URL+"/").Replace(shown(t, w, "proxied", "oauth2-proxy"))
	// Without TLS, on a port of its own, and sent out to a page of ours on this machine.
	text += "http_address = \"" + addr + "\"\ncookie_secure = false\nskip_provider_button = true\nwhitelist_domains = [\"localhost:*\"]\n"
	file := filepath.Join(t.TempDir(), "oauth2-proxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	testbed.Start(t, testbed.Process{Path: path, Args: []string{"--config=" + file}, Ready: addr})
	return at
}

const welcome = "Welcome behind oauth2-proxy, ada"

var sealedForm = regexp.MustCompile(`name="resume" value="([^"]+)"`)

// The promise, with oauth2-proxy 7.6 and what the application's page shows for it: ada signs in
// with two factors, signs out there and here, is out a minute after her session was ended, and is
// not let in when she is suspended.
func TestOAuth2Proxy(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.Address("ada", "ada@example.org")
	at := proxied(t, w)
	arrives := func() *servertest.Person {
		p := w.Person()
		p.Get(at + "/")
		p.Sees("Sign in")
		p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
		p.Get(at + "/")
		p.Sees(welcome)
		w.Later(31 * time.Second)
		return p
	}
	p := arrives()
	p.Get(at + "/oauth2/sign_out?rd=" + url.QueryEscape(w.Base+"/oidc/logout?client_id=proxied&post_logout_redirect_uri="+url.QueryEscape(at+"/")))
	p.Sees("Do you want to sign out?")
	code := sealedForm.FindStringSubmatch(p.Page)
	if code == nil {
		t.Fatal("nobody is asked")
	}
	p.Post("/oidc/logout/answer", "resume", code[1], "answer", "leave")
	p.Get(at + "/")
	p.Sees("Sign in")
	// Cut off: oauth2-proxy asks again when its access token is over, and gets none.
	p = arrives()
	account, err := w.Accounts.Find(t.Context(), w.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Change(t.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if _, err := w.Endings.EndAllTx(t.Context(), tx, account.ID, ""); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "session.ended", Outcome: "ok", Account: int64(account.ID), Reason: "test"})
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		if p.Get(at + "/"); !strings.Contains(p.Page, welcome) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ada's session is over, and oauth2-proxy has her in after two minutes")
		}
	}
	p.Sees("Sign in")
	w.Suspend("ada")
	p = w.Person()
	p.Get(at + "/")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	if p.Get(at + "/"); strings.Contains(p.Page, welcome) {
		t.Error("who is suspended is let in")
	}
}
