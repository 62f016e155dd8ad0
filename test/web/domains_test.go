package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// certificate is one that nobody signed, also as files.
func certificate(t testing.TB) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"}, DNSNames: []string{"*.example.test", "*.other.test", "*.third.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certFile, keyFile
}

// domains is a Countersign at login.example.test, with two applications of other
// root domains behind one real nginx, all over https.
type domains struct {
	*servertest.World
	ada        *servertest.Person
	page       *testbed.Page
	wiki, code string // origins
}

func newDomains(t testing.TB) *domains {
	cert, certFile, keyFile := certificate(t)
	return newDomainsWith(t, cert, certFile, keyFile)
}

// newDomainsWith is newDomains with a certificate of somebody.
func newDomainsWith(t testing.TB, cert tls.Certificate, certFile, keyFile string) *domains {
	t.Helper()
	d := &domains{World: servertest.NewWorldAt(t, "", "https://login.example.test", &cert), page: testbed.NewPage(t)}
	plain := httptest.NewServer(d.Handler) // where nginx finds it
	t.Cleanup(plain.Close)
	addr := testbed.Addr(t)
	_, port, _ := strings.Cut(addr, ":")
	d.wiki, d.code = "https://wiki.other.test:"+port, "https://code.third.test:"+port
	var conf strings.Builder
	for _, name := range []string{"wiki.other.test", "code.third.test"} {
		conf.WriteString(testbed.Example(t, "nginx.conf", "127.0.0.1:8081;", fmt.Sprintf("%s ssl; ssl_certificate %s; ssl_certificate_key %s;", addr, certFile, keyFile),
			"server_name wiki.example.org", "server_name "+name, "wiki.example.org", name+":"+port, "127.0.0.1:8080", strings.TrimPrefix(plain.URL, "http://"), "127.0.0.1:3000", d.page.Addr))
	}
	testbed.Nginx(t, addr, conf.String())
	d.ada = d.EnrollCodes("ada")
	d.Protect("wiki", map[string]any{"hosts": []string{"wiki.other.test:" + port}, "rules": []any{map[string]any{"path": "/admin", "action": "wiki.admin"}}})
	d.Protect("code", map[string]any{"hosts": []string{"*.third.test:" + port}})
	return d
}

// signedInPerson has a browser that is signed in at Countersign, and nowhere else.
func (d *domains) signedInPerson() *servertest.Person {
	d.T.Helper()
	p := d.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", d.ada.Code())
	p.Sees("Where you are signed in")
	d.Later(time.Minute) // for the next code
	return p
}

// hop follows no redirect.
func hop(p *servertest.Person, address string) *http.Response {
	p.W.T.Helper()
	client := *p.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		p.W.T.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	resp, err := client.Do(r)
	if err != nil {
		p.W.T.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

// wayBack follows the redirects from a page of an application up to the address with
// the code, which it returns and does not visit.
func wayBack(p *servertest.Person, address string) string {
	p.W.T.Helper()
	for range 6 {
		r := hop(p, address)
		to := r.Header.Get("Location")
		if u, err := url.Parse(address); err == nil && strings.HasPrefix(u.Path, "/.countersign/") || strings.Contains(address, "/forward/start") {
			if r.Header.Get("Referrer-Policy") != "no-referrer" || r.Header.Get("Cache-Control") != "no-store" {
				p.W.T.Errorf("%s may tell others its address: %v", address, r.Header)
			}
		}
		if strings.Contains(to, "/.countersign/accept?") {
			return to
		}
		if to == "" {
			p.W.T.Fatalf("%s leads nowhere: %d", address, r.StatusCode)
		}
		address = to
	}
	p.W.T.Fatalf("no code after six redirects, at %s", address)
	return ""
}

// showsPage reports whether an address shows the page, without any redirect.
func showsPage(p *servertest.Person, address string) bool {
	p.W.T.Helper()
	return hop(p, address).StatusCode == http.StatusOK
}

// The promise: an application of another root domain gets a session of its own,
// by a code that nobody else can use, nor twice, nor elsewhere, nor late, and
// that no address keeps.
func TestTwoRootDomains(t *testing.T) {
	t.Parallel()
	d := newDomains(t)
	p := d.signedInPerson()

	accept := wayBack(p, d.wiki+"/notes?page=1")
	stranger := d.Person()
	if r := hop(stranger, accept); r.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger who read the code gets %d", r.StatusCode)
	}
	thief := d.Person()
	hop(thief, d.wiki+"/.countersign/begin?to=/")
	if r := hop(thief, accept); r.StatusCode != http.StatusForbidden {
		t.Errorf("a thief who has been here before gets %d", r.StatusCode)
	}
	if r := hop(p, accept); r.StatusCode != http.StatusForbidden {
		t.Errorf("a code that a thief has tried is still good: %d", r.StatusCode)
	}

	accept = wayBack(p, d.wiki+"/notes?page=1")
	hop(p, d.code+"/.countersign/begin?to=/")
	if r := hop(p, strings.Replace(accept, d.wiki, d.code, 1)); r.StatusCode != http.StatusForbidden {
		t.Errorf("the code opens another host: %d", r.StatusCode)
	}

	accept = wayBack(p, d.wiki+"/notes?page=1")
	d.Later(61 * time.Second)
	if r := hop(p, accept); r.StatusCode != http.StatusForbidden {
		t.Errorf("a late code is good: %d", r.StatusCode)
	}
	d.Later(-61 * time.Second)

	for _, to := range []string{"//elsewhere.test/", "https://elsewhere.test/", "/\\elsewhere.test", "/../x", ""} {
		accept = wayBack(p, d.wiki+"/notes?page=1")
		u, _ := url.Parse(accept)
		q := u.Query()
		q.Set("to", to)
		u.RawQuery = q.Encode()
		if r := hop(p, u.String()); r.StatusCode != http.StatusForbidden {
			t.Errorf("accept goes on to %q: %d %s", to, r.StatusCode, r.Header.Get("Location"))
		}
	}

	accept = wayBack(p, d.wiki+"/notes?page=1")
	r := hop(p, accept)
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/notes?page=1" || r.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("the honest browser gets %d %v", r.StatusCode, r.Header)
	}
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
			t.Errorf("a cookie that other hosts could have or set: %v", c.Raw)
		}
	}
	if r := hop(p, accept); r.StatusCode != http.StatusForbidden {
		t.Errorf("the code is good twice: %d", r.StatusCode)
	}
	if !showsPage(p, d.wiki+"/notes?page=1") || showsPage(p, d.code+"/notes") || showsPage(stranger, d.wiki+"/notes") || showsPage(thief, d.wiki+"/notes") {
		t.Error("the session is not that host's and that browser's alone")
	}
	d.copied(p)
	if err := d.noReferer(); err != nil {
		t.Error(err)
	}
}

// copied takes the cookie of one host to the other.
func (d *domains) copied(p *servertest.Person) {
	d.T.Helper()
	from, _ := url.Parse(d.wiki)
	to, _ := url.Parse(d.code)
	thief := d.Person()
	thief.Client.Jar.SetCookies(to, p.Client.Jar.Cookies(from))
	for _, c := range p.Client.Jar.Cookies(from) { // the jar gives names and values only
		r, err := http.NewRequest("GET", d.code+"/notes", nil)
		if err != nil {
			d.T.Fatal(err)
		}
		r.AddCookie(c)
		resp, err := d.Transport.RoundTrip(r)
		if err != nil {
			d.T.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			d.T.Errorf("the cookie %s of one host opens the other", c.Name)
		}
	}
}

// noReferer looks at what the page was told.
func (d *domains) noReferer() error {
	for _, seen := range d.page.Seen() {
		if ref := seen.Header.Get("Referer"); strings.Contains(ref, "code=") || strings.Contains(ref, "countersign") || strings.Contains(seen.Target, "code=") {
			return fmt.Errorf("the application was told %s, coming from %q", seen.Target, ref)
		}
	}
	return nil
}

// The promise: nobody can sign somebody else in as themselves, by sending them a
// code that they made, whether the victim has been on the way or not.
func TestNobodySignsAnotherIn(t *testing.T) {
	t.Parallel()
	d := newDomains(t)
	mallory := d.signedInPerson() // ada plays mallory: she has an account
	start := func(browser string) string {
		to := url.Values{"to": {d.wiki + "/notes"}, "browser": {browser}}
		return hop(mallory, d.Base+"/forward/start?"+to.Encode()).Header.Get("Location")
	}
	hash := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return base64.RawURLEncoding.EncodeToString(h[:])
	}
	fresh, onTheWay := d.Person(), d.Person()
	hop(onTheWay, d.wiki+"/.countersign/begin?to=/")
	for why, browser := range map[string]string{"the hash of nothing": hash(""), "the hash of something": hash("x"), "zeros": base64.RawURLEncoding.EncodeToString(make([]byte, 32))} {
		for _, victim := range []*servertest.Person{fresh, onTheWay} {
			accept := start(browser)
			if accept == "" {
				t.Fatal("there is no code to try")
			}
			hop(victim, accept)
			if showsPage(victim, d.wiki+"/notes") {
				t.Errorf("with %s a victim was signed in as somebody else", why)
			}
		}
	}
	for _, browser := range []string{"", "x", hash("")[:42], hash("") + "A", "=" + hash("")[1:]} {
		if to := start(browser); to != "" {
			t.Errorf("a code was made for the browser %q", browser)
		}
	}
	for _, to := range []string{"https://elsewhere.test/", "https://wiki.other.test/notes", d.wiki + "//x", strings.Replace(d.wiki, "https", "http", 1) + "/", strings.Replace(d.wiki, "//", "//x@", 1) + "/",
		strings.Replace(d.wiki, "wiki.other.test", "a.b.third.test", 1) + "/", strings.Replace(d.wiki, "wiki.other.test", "third.test", 1) + "/", "//" + d.wiki[8:] + "/", d.wiki + "/#x", d.wiki} {
		r := hop(mallory, d.Base+"/forward/start?"+url.Values{"to": {to}, "browser": {hash("x")}}.Encode())
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("start goes to %q: %d %s", to, r.StatusCode, r.Header.Get("Location"))
		}
	}
}

// The promise: what a rule names is more than signing in: a session that was
// enough for the rest shows more for it, once, and comes back to it; and when the
// session at Countersign ends, that of every host has.
func TestRuleAsksForMore(t *testing.T) {
	t.Parallel()
	d := newDomains(t)
	p := d.signedInPerson()
	p.Take(p.Client.Do(servertest.PageRequest(d.wiki + "/notes")))
	if p.Status != http.StatusOK || !showsPage(p, d.wiki+"/notes") {
		t.Fatalf("the page does not open: %d", p.Status)
	}
	d.Later(20 * time.Minute)
	d.page.Seen()
	if !showsPage(p, d.wiki+"/notes") {
		t.Error("what needs no more does not open")
	}
	for _, spelling := range []string{"/admin", "/admin/users", "/%61dmin", "/ADMIN", "/admin%20", "/Admin/users"} {
		if showsPage(p, d.wiki+spelling) {
			t.Errorf("%s opened without showing more", spelling)
		}
	}
	p.Take(p.Client.Do(servertest.PageRequest(d.wiki + "/admin/users?x=1")))
	p.Sees("Sign in")
	p.Post("/sign-in", "authenticator", "totp", "text", d.ada.Code())
	if p.Status == http.StatusOK && strings.Contains(p.Page, "/sign-in") { // the password has aged, too
		p.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	}
	p.Take(p.Client.Do(servertest.PageRequest(d.wiki + "/admin/users?x=1")))
	seen := d.page.Seen()
	if len(seen) == 0 || seen[len(seen)-1].Target != "/admin/users?x=1" {
		t.Fatalf("after showing more: %d, %v\n%s", p.Status, seen, p.Page)
	}
	p.Get("/account")
	p.Post("/sign-out")
	if showsPage(p, d.wiki+"/notes") {
		t.Error("signed out, and the application's own session still stands")
	}
}

// The promise holds in a real browser, over two root domains.
func TestTwoRootDomainsInABrowser(t *testing.T) {
	d := newDomains(t)
	b := testbed.Chromium(t)
	b.Visit(d.wiki + "/notes?page=1")
	b.WaitLocation(d.Base + "/sign-in")
	b.Fill("#name", "ada")
	b.Fill("#text", servertest.Passphrase)
	b.Click(`form:has(#text) button`)
	b.Fill("#text-totp", d.ada.Code())
	b.Click(`form:has(#text-totp) button`)
	b.WaitLocation(d.wiki + "/notes?page=1")
	if at := b.Location(); at != d.wiki+"/notes?page=1" {
		t.Errorf("the browser is at %s", at)
	}
	if ref := testbed.Eval[string](b, "document.referrer"); strings.Contains(ref, "code=") || strings.Contains(ref, ".countersign") {
		t.Errorf("the page knows that it was come to from %s", ref)
	}
	b.WaitText("#user", "ada")
	if err := d.noReferer(); err != nil {
		t.Error(err)
	}
	// The other root domain needs no more typing, and has a session of its own.
	b.Visit(d.code + "/repository")
	b.WaitLocation(d.code + "/repository")
	b.WaitText("#user", "ada")
	b.Stranger().Visit(d.code + "/repository")
	for _, seen := range d.page.Seen() {
		if seen.Header.Get("Remote-User") != "ada" {
			t.Errorf("a stranger reached %s", seen.Target)
		}
	}
}
