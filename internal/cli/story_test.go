package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base32"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/authenticator/otp"
	"countersign/internal/protocol/radius"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// world is a whole Countersign on loopback with a clock that tests can move.
type world struct {
	*server.Installation
	t      testing.TB
	base   string
	radius string
	folder string
	stop   func()       // as if the server were switched off
	skew   atomic.Int64 // nanoseconds ahead of the real clock
	// instead answers in the server's place, when it is set.
	instead atomic.Pointer[http.HandlerFunc]
	// transport is how people get here; nil is the usual way.
	transport http.RoundTripper
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }

func (w *world) later(d time.Duration) { w.skew.Add(int64(d)) }

// noon goes on to the next noon, for stories that count days.
func (w *world) noon() {
	now := w.now().UTC()
	w.later(now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now))
}

func (w *world) answer(rw http.ResponseWriter, r *http.Request) {
	if h := w.instead.Load(); h != nil {
		(*h)(rw, r)
		return
	}
	if _, said := r.Header["X-Forwarded-For"]; !said && !strings.HasPrefix(r.URL.Path, "/verify/") { // as a proxy before the pages would
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		r.Header.Set("X-Forwarded-For", from)
	}
	w.Handler.ServeHTTP(rw, r)
}

func newWorld(t testing.TB) *world { return newWorldOn(t, "") }

// newWorldOn is newWorld on a PostgreSQL database.
func newWorldOn(t testing.TB, database string) *world {
	t.Helper()
	return newWorldAt(t, database, "http://localhost", nil)
}

// newWorldAt is newWorld at an origin, to which a port is added. With https it
// has a certificate, and its people trust every certificate and find every name
// under .test on this machine.
func newWorldAt(t testing.TB, database, origin string, certificate *tls.Certificate) *world {
	t.Helper()
	return newWorldFrom(t, server.Settings{Database: database}, origin, certificate)
}

// newWorldFrom is newWorldAt with more of its settings chosen; the folder is a
// temporary one unless it is named.
func newWorldFrom(t testing.TB, s server.Settings, origin string, certificate *tls.Certificate) *world {
	t.Helper()
	return newWorldAhead(t, 0, s, origin, certificate)
}

// newWorldAhead is newWorldFrom with a clock that is ahead from the start.
func newWorldAhead(t testing.TB, ahead time.Duration, s server.Settings, origin string, certificate *tls.Certificate) *world {
	t.Helper()
	storetest.Long(t, "a story, which make story NAME="+t.Name()+" plays")
	if s.Folder == "" {
		s.Folder = t.TempDir()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	w := &world{t: t, base: origin + ":" + port, folder: s.Folder}
	w.later(ahead)
	if certificate != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*certificate}})
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		w.transport = transport
	}
	u, _ := url.Parse(w.base)
	ctx, stop := context.WithCancel(context.Background())
	s.PublicURL, s.Proxies = u, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.Now, s.Log = w.now, slog.New(slog.NewTextHandler(t.Output(), nil))
	w.Installation, err = server.Assemble(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	conns, err := radius.Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	w.radius = conns[0].LocalAddr().String()
	server := &http.Server{Handler: http.HandlerFunc(w.answer), MaxHeaderBytes: 32 << 10} // as serve has it
	done := make(chan struct{})
	go server.Serve(l)
	go func() { defer close(done); w.Installation.RADIUS.Serve(ctx, conns) }()
	w.stop = sync.OnceFunc(func() { stop(); <-done; server.Close(); w.DB.Close() })
	t.Cleanup(w.stop)
	return w
}

// person is a browser without script.
type person struct {
	w      *world
	client *http.Client
	page   string
	status int
	secret []byte // of the authenticator app
}

func (w *world) person() *person {
	jar, _ := cookiejar.New(nil)
	return &person{w: w, client: &http.Client{Jar: jar, Transport: w.transport}}
}

func (p *person) take(r *http.Response, err error) {
	p.w.t.Helper()
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.page, p.status = string(b), r.StatusCode
}

func (p *person) get(path string) {
	p.w.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = p.w.base + path
	}
	p.take(p.client.Get(path))
}

var versionField = regexp.MustCompile(`name="version" value="([^"]+)"`)

// saysField is the text under which a form stands that approves it.
var saysField = regexp.MustCompile(`name="says" value="([^"]*)"`)

var tokenField = regexp.MustCompile(`name="form-token" value="([^"]+)"`)

func (p *person) post(path string, fields ...string) {
	p.w.t.Helper()
	m := tokenField.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("there is no form on the page:\n%s", p.page)
	}
	form := url.Values{"form-token": {m[1]}}
	if m := versionField.FindStringSubmatch(p.page); m != nil && strings.HasPrefix(path, "/console/") {
		form.Set("version", m[1]) // as every browser sends what the form holds
	}
	if m := saysField.FindStringSubmatch(p.page); m != nil {
		form.Set("says", html.UnescapeString(m[1]))
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.take(p.client.PostForm(p.w.base+path, form))
}

func (p *person) sees(text string) {
	p.w.t.Helper()
	if !strings.Contains(html.UnescapeString(p.page), text) {
		p.w.t.Fatalf("status %d; the page does not say %q:\n%s", p.status, text, p.page)
	}
}

func (p *person) code() string {
	k := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: p.secret}
	return k.Code(uint64(p.w.now().Unix() / 30))
}

var (
	secretField = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)
	passphrase  = "correct horse battery staple"
)

// enrollCodes sets up a password and an authenticator app with a welcome link.
func (w *world) enrollCodes(name string) *person {
	w.t.Helper()
	pass, err := w.Setup.Plant(context.Background(), name, "")
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.person()
	p.get(pass.Link)
	_, code, _ := strings.Cut(pass.Link, "code=")
	p.post("/welcome", "code", code)
	p.sees("Set up how you sign in")
	p.enrollPassword()
	p.enrollApp()
	w.later(time.Minute)
	return p
}

// enrollPassword sets the password that everybody in these stories has.
func (p *person) enrollPassword() {
	p.w.t.Helper()
	p.post("/account/do", "action", "authenticator.enroll", "object", "password")
	p.post("/account/setup", "authenticator", "password", "text", passphrase)
	p.sees("Added: Password")
}

// enrollApp sets up an authenticator app; code then gives its codes.
func (p *person) enrollApp() {
	p.w.t.Helper()
	p.post("/account/do", "action", "authenticator.enroll", "object", "totp")
	p.secret = p.shownSecret()
	p.post("/account/setup", "authenticator", "totp", "text", p.code())
	p.sees("Added: ")
}

// shownSecret reads the key that an offer shows for typing.
func (p *person) shownSecret() []byte {
	p.w.t.Helper()
	m := secretField.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("no secret on the page:\n%s", p.page)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil {
		p.w.t.Fatal(err)
	}
	return secret
}

// signedIn signs ada in with password and code, and returns the secret of the
// session that her browser then has.
func (w *world) signedIn(ada *person) string {
	w.t.Helper()
	p := w.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "totp", "text", ada.code())
	p.sees("Where you are signed in")
	base, err := url.Parse(w.base)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(base) {
		if c.Name == session.Cookie(false) {
			return c.Value
		}
	}
	w.t.Fatal("signed in without a session")
	return ""
}

func (w *world) events(event string) int {
	w.t.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(entries)
}

// refusals counts what an event was recorded for, one by one or summed up.
func (w *world) refusals(event string) (n int) {
	w.t.Helper()
	if err := w.Engine.Strangers.SumUp(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		many, err := strconv.Atoi(cmp.Or(e.Detail["count"], "1"))
		if err != nil {
			w.t.Fatal(err)
		}
		n += many
	}
	return n
}

// The promise: with a password alone nobody gets in; with password and code the
// honest person does, once for each code; and the log verifies.
func TestPasswordAndCodeInTheBrowser(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")

	mallory := w.person()
	mallory.get("/sign-in")
	mallory.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	mallory.sees("Code from your authenticator app")
	mallory.get("/account")
	mallory.sees("Sign in")
	mallory.post("/sign-in", "authenticator", "totp", "text", "000000")
	if mallory.status == http.StatusOK {
		t.Error("a wrong code was answered 200")
	}

	known, unknown := w.person(), w.person()
	for name, p := range map[string]*person{"ada": known, "nobody": unknown} {
		p.get("/sign-in")
		p.post("/sign-in", "name", name, "authenticator", "password", "text", "not the password")
		p.page = strings.NewReplacer(name, "NAME").Replace(regexp.MustCompile(`(form-token" value|challenge&#34;:&#34;)[^>]*`).ReplaceAllString(p.page, ""))
	}
	if known.status != unknown.status || known.page != unknown.page {
		t.Errorf("a name that exists can be told from one that does not:\n%s\n%s", known.page, unknown.page)
	}

	honest := w.person()
	honest.get("/sign-in")
	honest.post("/sign-in", "name", " ADA ", "authenticator", "password", "text", passphrase)
	code := ada.code()
	honest.post("/sign-in", "authenticator", "totp", "text", code)
	honest.sees("Where you are signed in")

	replay := w.person()
	replay.get("/sign-in")
	replay.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	replay.post("/sign-in", "authenticator", "totp", "text", code)
	replay.get("/account")
	replay.sees("Sign in")
	if w.events("signin.granted") != 2 { // the welcome pass, and the honest sign-in
		t.Errorf("%d grants in the log", w.events("signin.granted"))
	}
	report, err := w.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// The promise: equipment lets nobody in by RADIUS without the code, and no code
// twice, also not one that was used in the browser.
func TestRADIUS(t *testing.T) {
	w := newWorld(t)
	ada := w.enrollCodes("ada")
	const secret = "a-secret-of-the-equipment"
	if err := w.PlantApplications(context.Background(), "localhost:1", secret); err != nil {
		t.Fatal(err)
	}
	ask := func(password, state string) string {
		t.Helper()
		in := fmt.Sprintf("User-Name = \"ada\"\nUser-Password = \"%s\"\nNAS-Identifier = \"nas\"\nMessage-Authenticator = 0x00\n", password)
		if state != "" {
			in += "State = " + state + "\n"
		}
		cmd := exec.Command("radclient", "-x", "-r", "1", "-t", "5", w.radius, "auth", secret)
		cmd.Stdin = strings.NewReader(in)
		out, _ := cmd.CombinedOutput() // radclient exits 1 for a challenge and a reject
		return string(out)
	}
	state := regexp.MustCompile(`State = (0x[0-9a-f]+)`)
	challenge := func() string {
		t.Helper()
		out := ask(passphrase, "")
		m := state.FindAllStringSubmatch(out, -1)
		if !strings.Contains(out, "Access-Challenge") || m == nil {
			t.Fatalf("no challenge:\n%s", out)
		}
		return m[len(m)-1][1]
	}
	if out := ask("wrong password", ""); !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong password:\n%s", out)
	}
	if out := ask("000000", challenge()); !strings.Contains(out, "Access-Reject") {
		t.Errorf("a wrong code:\n%s", out)
	}
	code := ada.code()
	if out := ask(code, challenge()); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("the right code:\n%s", out)
	}
	if out := ask(code, challenge()); strings.Contains(out, "Received Access-Accept") {
		t.Errorf("a code was accepted twice:\n%s", out)
	}
	if w.events("alarm.factor-missing") == 0 {
		t.Error("a right password without its code raised no alarm")
	}
}

// plant puts a cookie into a browser, as somebody who can write one does.
func (p *person) plant(name, value string) {
	p.w.t.Helper()
	base, err := url.Parse(p.w.base)
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.client.Jar.SetCookies(base, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
