package oidc

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/protocol"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// modules are what Apache needs beside mod_auth_openidc.
var modules = []string{"mpm_event", "authn_core", "authz_core", "authz_user", "dir", "auth_openidc"}

const moduleFolder = "/usr/lib/apache2/modules"

// apache starts Apache with what the guide of an application shows, and returns its address. What
// stands there for the reader to write is written.
func apache(t *testing.T, w *servertest.World, name string) string {
	t.Helper()
	program, err := exec.LookPath("apache2")
	if _, missing := os.Stat(filepath.Join(moduleFolder, "mod_auth_openidc.so")); err != nil || missing != nil {
		t.Fatal("mod_auth_openidc is missing: run deploy/test-packages.sh")
	}
	addr := testbed.Addr(t)
	register(w, name, map[string]any{"client_id": name, "client_secret": clientSecret, "redirect_uris": []string{"http://" + addr + "/redirect"},
		"backchannel_logout_uri": "http://" + addr + "/redirect?logout=backchannel", "inside": []string{"127.0.0.1"}})
	app, err := w.Catalogue.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := server.Protocols().Named("oidc")
	public, err := url.Parse(w.Base)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, g := range d.Guides {
		if g.Name == "apache" {
			files, err := g.Write(app, protocol.Place{Public: public})
			if err != nil {
				t.Fatal(err)
			}
			text = strings.NewReplacer("THE-CLIENT-SECRET", clientSecret, "A-RANDOM-TEXT", "a-random-text-of-our-own").Replace(files[0].Text)
		}
	}
	root := t.TempDir()
	for folder, mode := range map[string]os.FileMode{filepath.Dir(root): 0o755, root: 0o777} { // Apache's workers are nobody
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
	}
	site := filepath.Join(root, "site")
	if err := os.MkdirAll(site, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("<title>The site</title><p>Welcome behind Apache</p>"), 0o644); err != nil {
		t.Fatal(err)
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "ServerRoot %q\nServerName localhost\nUser nobody\nGroup nogroup\nListen %s\nPidFile %q\nMutex file:%s default\nErrorLog %q\nLogLevel info\n", root, addr, filepath.Join(root, "pid"), root, filepath.Join(root, "error.log"))
	for _, m := range modules {
		fmt.Fprintf(&conf, "LoadModule %s_module %s/mod_%s.so\n", m, moduleFolder, m)
	}
	fmt.Fprintf(&conf, "DocumentRoot %q\nDirectoryIndex index.html\n%s", site, text)
	path := filepath.Join(root, "apache.conf")
	if err := os.WriteFile(path, []byte(conf.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-f", path, "-DFOREGROUND")
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		cmd.Wait()                       //nolint:errcheck // it was interrupted
		if log, _ := os.ReadFile(filepath.Join(root, "error.log")); t.Failed() {
			t.Logf("%s\n%s", out, log)
		}
	})
	answers := func() bool {
		r, err := (&http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get("http://" + addr + "/")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode < 500
	}
	for deadline := time.Now().Add(20 * time.Second); !answers(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("Apache does not answer")
		}
	}
	return "http://" + addr
}

// accepts says with each request that a person looks at the answer.
type accepts struct{ http.RoundTripper }

func (a accepts) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "text/html")
	return a.RoundTripper.RoundTrip(r)
}

func looking(p *servertest.Person) *servertest.Person {
	p.Client.Transport = accepts{http.DefaultTransport}
	return p
}

// The promise: an administrator pastes what the application's page shows into Apache, and who
// comes there signs in here; somebody who is not let in does not.
func TestApacheSignsInByOpenID(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	site := apache(t, w, "site")
	p := looking(w.Person()) // mod_auth_openidc sends nobody else to sign in
	p.Get(site + "/")
	p.Sees("Sign in")
	if strings.Contains(p.Page, "Welcome behind Apache") {
		t.Fatal("nobody was asked")
	}
	signIn(p, "ada", ada.Code())
	p.Sees("Welcome behind Apache")
	w.Suspend("ada")
	fresh := looking(w.Person())
	fresh.Get(site + "/")
	fresh.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	if strings.Contains(fresh.Page, "Welcome behind Apache") {
		t.Error("who is suspended is let in")
	}
}

// The promise, with Debian's Apache and mod_auth_openidc, which keeps a session of its own and asks
// nobody about it: who is signed out here is out there at once, and nobody else is.
func TestApacheIsToldOfASignOut(t *testing.T) {
	w := servertest.NewWorld(t)
	working(t, w)
	ada, bob := w.EnrollCodes("ada"), w.EnrollCodes("bob")
	site := apache(t, w, "site")
	enters := func(name string, who *servertest.Person) *servertest.Person {
		p := looking(w.Person())
		p.Get(site + "/")
		signIn(p, name, who.Code())
		p.Sees("Welcome behind Apache")
		return p
	}
	p, other := enters("ada", ada), enters("bob", bob)
	p.Get(site + "/")
	p.Sees("Welcome behind Apache")
	endsAll(w, p)
	begun := time.Now()
	until(t, func() bool {
		p.Get(site + "/")
		return !strings.Contains(p.Page, "Welcome behind Apache")
	})
	t.Logf("out of Apache after %v", time.Since(begun).Round(time.Millisecond))
	p.Sees("Sign in")
	other.Get(site + "/")
	other.Sees("Welcome behind Apache")
}
