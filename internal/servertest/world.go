// Package servertest is a whole Countersign in a test, and everybody and everything around it.
//
// It owns the [World] (a server on a real database, with a clock that tests move and mail
// that is caught), its people ([Person], with browser, [Phone], token, card), whoever administers it
// ([Clerk], [Shell]) and what it stands in front of (login hosts, proxies, equipment). It does not own
// what a story says, which stands in test/, nor the real components, which testbed starts. Its
// one invariant: nothing here lets anybody in by another way than a person would come.
package servertest

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base32"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/authenticator/otp"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/protocol/radius"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/virtualauth"
)

// World is a whole Countersign on loopback with a clock that tests can move.
type World struct {
	*server.Installation
	T      testing.TB
	Base   string
	Radius string
	// Sockets are those of every protocol that opens some, by its name.
	Sockets map[string]protocol.Sockets
	Folder  string
	Stop    func()       // as if the server were switched off
	Skew    atomic.Int64 // nanoseconds ahead of the real clock
	// instead answers in the server's place, when it is set.
	instead atomic.Pointer[http.HandlerFunc]
	// transport is how people get here; nil is the usual way.
	Transport http.RoundTripper
}

func (w *World) Now() time.Time { return time.Now().Add(time.Duration(w.Skew.Load())) }

func (w *World) Later(d time.Duration) { w.Skew.Add(int64(d)) }

func (w *World) answer(rw http.ResponseWriter, r *http.Request) {
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

func NewWorld(t testing.TB) *World { return NewWorldOn(t, "") }

// NewWorldOn is newWorld on a PostgreSQL database.
func NewWorldOn(t testing.TB, database string) *World {
	t.Helper()
	return NewWorldAt(t, database, "http://localhost", nil)
}

// NewWorldAt is newWorld at an origin, to which a port is added if it has none. With https it
// has a certificate, and its people trust every certificate and find every name
// under .test on this machine.
func NewWorldAt(t testing.TB, database, origin string, certificate *tls.Certificate) *World {
	t.Helper()
	return NewWorldFrom(t, server.Settings{Database: database}, origin, certificate)
}

// NewWorldFrom is newWorldAt with more of its settings chosen; the folder is a
// temporary one unless it is named.
func NewWorldFrom(t testing.TB, s server.Settings, origin string, certificate *tls.Certificate) *World {
	t.Helper()
	return newWorldAhead(t, 0, s, origin, certificate)
}

// newWorldAhead is newWorldFrom with a clock that is ahead from the start.
func newWorldAhead(t testing.TB, ahead time.Duration, s server.Settings, origin string, certificate *tls.Certificate) *World {
	t.Helper()
	storetest.Long(t, "a story, which make story NAME="+t.Name()+" plays")
	if s.Folder == "" {
		s.Folder = t.TempDir()
	}
	l, base, err := listenAt(origin)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, Base: base, Folder: s.Folder}
	w.Later(ahead)
	if certificate != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*certificate}})
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		w.Transport = transport
	}
	u, _ := url.Parse(w.Base)
	ctx, stop := context.WithCancel(context.Background())
	s.PublicURL = u
	if s.Proxies == nil {
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	s.Now, s.Log = w.Now, slog.New(slog.NewTextHandler(t.Output(), nil))
	w.Installation, err = server.Assemble(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	w.Sockets, err = w.Listen(addresses(w.Listening()))
	if err != nil {
		t.Fatal(err)
	}
	w.Radius = w.Sockets[radius.Protocol].Addresses[0].String()
	stopped := server.ServeSockets(ctx, w.Sockets, func(err error) { t.Error(err) })
	server := &http.Server{Handler: http.HandlerFunc(w.answer), MaxHeaderBytes: 32 << 10} // as serve has it
	go server.Serve(l)
	w.Stop = sync.OnceFunc(func() { stop(); <-stopped; server.Close(); w.DB.Close() })
	t.Cleanup(w.Stop)
	return w
}

// listenAt listens for an origin: on loopback at any port, or where it names its port, there on
// every address of this machine. It returns the origin as browsers write it.
func listenAt(origin string) (net.Listener, string, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, "", err
	}
	if u.Port() != "" {
		l, err := net.Listen("tcp", ":"+u.Port())
		return l, strings.TrimSuffix(origin, map[string]string{"https": ":443", "http": ":80"}[u.Scheme]), err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, origin + ":" + port, nil
}

// addresses gives each of the protocols a free port on loopback.
func addresses(protocols []string) map[string][]string {
	out := map[string][]string{}
	for _, name := range protocols {
		out[name] = []string{"127.0.0.1:0"}
	}
	return out
}

// Person is a browser without script.
type Person struct {
	W      *World
	Client *http.Client
	Page   string
	Status int
	Secret []byte // of the authenticator app
}

func (w *World) Person() *Person {
	jar, _ := cookiejar.New(nil)
	return &Person{W: w, Client: &http.Client{Jar: jar, Transport: w.Transport}}
}

func (p *Person) Take(r *http.Response, err error) {
	p.W.T.Helper()
	if err != nil {
		p.W.T.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.W.T.Fatal(err)
	}
	p.Page, p.Status = string(b), r.StatusCode
}

func (p *Person) Get(path string) {
	p.W.T.Helper()
	if strings.HasPrefix(path, "/") {
		path = p.W.Base + path
	}
	p.Take(p.Client.Get(path))
}

var versionField = regexp.MustCompile(`name="version" value="([^"]+)"`)

// SaysField is the text under which a form stands that approves it.
var SaysField = regexp.MustCompile(`name="says" value="([^"]*)"`)

var TokenField = regexp.MustCompile(`name="form-token" value="([^"]+)"`)

func (p *Person) Post(path string, fields ...string) {
	p.W.T.Helper()
	m := TokenField.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("there is no form on the page:\n%s", p.Page)
	}
	form := url.Values{"form-token": {m[1]}}
	if m := versionField.FindStringSubmatch(p.Page); m != nil && strings.HasPrefix(path, "/console/") {
		form.Set("version", m[1]) // as every browser sends what the form holds
	}
	if m := SaysField.FindStringSubmatch(p.Page); m != nil {
		form.Set("says", html.UnescapeString(m[1]))
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.Take(p.Client.PostForm(p.W.Base+path, form))
}

func (p *Person) Sees(text string) {
	p.W.T.Helper()
	if !strings.Contains(html.UnescapeString(p.Page), text) {
		p.W.T.Fatalf("status %d; the page does not say %q:\n%s", p.Status, text, p.Page)
	}
}

func (p *Person) Code() string {
	k := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: p.Secret}
	return k.Code(uint64(p.W.Now().Unix() / 30))
}

var (
	SecretField = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)
	Passphrase  = "correct horse battery staple"
)

// EnrollCodes sets up a password and an authenticator app with a welcome link.
func (w *World) EnrollCodes(name string) *Person {
	w.T.Helper()
	pass, err := w.Setup.Plant(context.Background(), name, "")
	if err != nil {
		w.T.Fatal(err)
	}
	p := w.Person()
	p.Get(pass.Link)
	_, code, _ := strings.Cut(pass.Link, "code=")
	p.Post("/welcome", "code", code)
	p.Sees("Set up how you sign in")
	p.EnrollPassword()
	p.EnrollApp()
	w.Later(time.Minute)
	return p
}

// EnrollPassword sets the password that everybody in these stories has.
func (p *Person) EnrollPassword() {
	p.W.T.Helper()
	p.Post("/account/do", "action", "authenticator.enroll", "object", "password")
	p.Post("/account/setup", "authenticator", "password", "text", Passphrase)
	p.Sees("Added: Password")
}

// EnrollApp sets up an authenticator app; code then gives its codes.
func (p *Person) EnrollApp() {
	p.W.T.Helper()
	p.Post("/account/do", "action", "authenticator.enroll", "object", "totp")
	p.Secret = p.ShownSecret()
	p.Post("/account/setup", "authenticator", "totp", "text", p.Code())
	p.Sees("Added: ")
}

// ShownSecret reads the key that an offer shows for typing.
func (p *Person) ShownSecret() []byte {
	p.W.T.Helper()
	m := SecretField.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("no secret on the page:\n%s", p.Page)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(m[1], " ", ""))
	if err != nil {
		p.W.T.Fatal(err)
	}
	return secret
}

// SignedIn signs ada in with password and code, and returns the secret of the
// session that her browser then has.
func (w *World) SignedIn(ada *Person) string {
	w.T.Helper()
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Sees("Where you are signed in")
	base, err := url.Parse(w.Base)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, c := range p.Client.Jar.Cookies(base) {
		if c.Name == session.Cookie(false) {
			return c.Value
		}
	}
	w.T.Fatal("signed in without a session")
	return ""
}

func (w *World) Events(event string) int {
	w.T.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		w.T.Fatal(err)
	}
	return len(entries)
}

// Refusals counts what an event was recorded for, one by one or summed up.
func (w *World) Refusals(event string) (n int) {
	w.T.Helper()
	if err := w.SignIn.Strangers.SumUp(context.Background()); err != nil {
		w.T.Fatal(err)
	}
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		w.T.Fatal(err)
	}
	for _, e := range entries {
		many, err := strconv.Atoi(cmp.Or(e.Detail["count"], "1"))
		if err != nil {
			w.T.Fatal(err)
		}
		n += many
	}
	return n
}

func PolicyInForce(w *World) string {
	w.T.Helper()
	d, err := w.Rules.Latest(context.Background(), w.DB)
	if err != nil {
		w.T.Fatal(err)
	}
	return d.Body
}

func Line(name, password, code string) signin.Request {
	r := signin.Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Single, Source: netip.MustParseAddr("203.0.113.9"),
		Opening: []prompt.Answer{{Authenticator: "password", Text: password}}}
	if code != "" {
		r.Opening = append(r.Opening, prompt.Answer{Authenticator: signin.AnyCode, Text: code})
	}
	return r
}

func (w *World) Begin(r signin.Request) signin.Step {
	w.T.Helper()
	s, err := w.Engine.Begin(context.Background(), r)
	if err != nil {
		w.T.Fatal(err)
	}
	return s
}

func WithVPN(t *testing.T) (*World, *Person) {
	w := NewWorld(t)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(context.Background(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	return w, ada
}

// Limited reports whether the browser was let as far as setting up how it signs in.
func Limited(p *Person) bool {
	p.W.T.Helper()
	p.Get("/account")
	return p.Status == http.StatusOK && strings.Contains(p.Page, "Set up how you sign in") || p.Inside()
}

// GetsPasskey signs somebody in who has codes, and adds a passkey.
func GetsPasskey(p *Person) *virtualauth.Key {
	p.W.T.Helper()
	p.W.Later(time.Minute)
	key, browser := &virtualauth.Key{}, p.W.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", p.Code())
	browser.AddPasskey(key)
	p.W.Later(time.Minute)
	return key
}

// Until waits until something holds; a test that waits in vain ends by the
// whole run's deadline, and says for what.
func (w *World) Until(what string, holds func() bool) {
	w.T.Helper()
	for n := 0; !holds(); n++ {
		if n == 200 {
			w.T.Logf("still waiting: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Heap is what is in use. Tests that ask for it do not run beside others.
func Heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sizeOnDisk is what the database holds in pages, in octets.
func sizeOnDisk(w *World) (n int64) {
	w.T.Helper()
	err := w.DB.QueryRow(context.Background(), `select (p.page_count - f.freelist_count) * s.page_size from pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`).Scan(&n)
	if err != nil {
		w.T.Fatal(err)
	}
	return n
}

// stranger is a browser that anybody has, somewhere. Its requests do not pass the
// network.
type stranger struct {
	w     *World
	jar   *cookiejar.Jar
	token string
	n     int
}

func newStranger(w *World) *stranger {
	s := &stranger{w: w}
	s.jar, _ = cookiejar.New(nil)
	page := s.do("GET", "/sign-in", nil).Body.String()
	token := TokenField.FindStringSubmatch(page)
	if token == nil {
		w.T.Fatalf("no form:\n%s", page)
	}
	s.token = token[1]
	return s
}

// do sends one request, each from another address in turn.
func (s *stranger) do(method, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	var body io.Reader
	if form != nil {
		form.Set("form-token", s.token)
		body = strings.NewReader(form.Encode())
	}
	s.n++
	r := httptest.NewRequest(method, s.w.Base+path, body)
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", s.n>>16, s.n&0xffff))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	u, _ := url.Parse(s.w.Base)
	for _, c := range append(s.jar.Cookies(u), cookies...) {
		r.AddCookie(c)
	}
	out := httptest.NewRecorder()
	s.w.Handler.ServeHTTP(out, r)
	if s.token == "" {
		s.jar.SetCookies(u, out.Result().Cookies())
	}
	return out
}

// asJSON sends a request to the API.
func (s *stranger) asJSON(path, body string) int {
	s.n++
	r := httptest.NewRequest("POST", s.w.Base+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", s.n>>16, s.n&0xffff))
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	s.w.Handler.ServeHTTP(out, r)
	return out.Code
}

// strangeThings is all that somebody can send who has nothing.
func strangeThings(s *stranger) map[string]func(i int) int {
	long := strings.Repeat("x", 60_000)
	challenge := strings.Repeat("A", 43)
	signature := strings.Repeat("A", 86)
	return map[string]func(i int) int{
		"a made-up ticket to the page that waits": func(i int) int {
			return s.do("GET", "/sign-in/wait", nil, &http.Cookie{Name: "countersign-countersign-attempt", Value: fmt.Sprintf("%024d.1", i)}).Code
		},
		"a sealed ticket that is none": func(i int) int {
			return s.do("POST", "/sign-in", url.Values{"authenticator": {"password"}, "text": {"x"}}, &http.Cookie{Name: "countersign-countersign-attempt", Value: fmt.Sprintf("%0200d", i)}).Code
		},
		"the page to sign in": func(int) int { return s.do("GET", "/sign-in", nil).Code },
		"a name of 60 kB with a kind of its own": func(i int) int {
			return s.do("POST", "/sign-in", url.Values{"name": {fmt.Sprint(i) + long[:59_000]}, "authenticator": {fmt.Sprint("kind-", i)}, "text": {"x"}}).Code
		},
		"a key for machines typed into the form": func(i int) int {
			return s.do("POST", "/sign-in", url.Values{"name": {fmt.Sprint("person-", i)}, "authenticator": {"apikey"}, "text": {"cskey_" + fmt.Sprint(i)}}).Code
		},
		"an app that looks": func(i int) int {
			return s.do("POST", "/app/look", url.Values{"app": {fmt.Sprint(i) + long[:4000]}, "moment": {"1.x"}, "count": {"1"}, "signature": {signature}, "number": {"123456"}}).Code
		},
		"an app that binds": func(i int) int {
			return s.do("POST", "/app/bind", url.Values{"code": {fmt.Sprintf("%032d", i)}, "proposal": {long[:50_000]}}).Code
		},
		"a command line's login": func(int) int { return s.asJSON("/api/v1/login", `{"challenge":"`+challenge+`","agent":"`+long+`"}`) },
		"a command line at a terminal": func(i int) int {
			return s.asJSON("/api/v1/login/terminal", fmt.Sprintf(`{"name":"person-%d","agent":%q}`, i, long[:1000]))
		},
		"a made-up key at the API": func(i int) int {
			s.n++
			r := httptest.NewRequest("POST", s.w.Base+"/api/v1/commands/audit.search", strings.NewReader("{}"))
			r.RemoteAddr = "127.0.0.1:4711"
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", s.n>>16, s.n&0xffff))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", fmt.Sprintf("Bearer cskey_%040d", i))
			out := httptest.NewRecorder()
			s.w.Handler.ServeHTTP(out, r)
			return out.Code
		},
		"a number for the help desk": func(i int) int {
			return s.do("POST", "/recovery", url.Values{"name": {fmt.Sprint("person-", i%7)}}).Code
		},
		"a saved code that is none": func(i int) int {
			return s.do("POST", "/recovery/codes", url.Values{"name": {fmt.Sprint("person-", i)}, "text": {"AAAA-BBBB-CCCC-DDDD"}}).Code
		},
		"a guarded page":        func(i int) int { return s.do("GET", fmt.Sprintf("/account?x=%d", i), nil).Code },
		"a link that is none":   func(i int) int { return s.do("GET", fmt.Sprintf("/welcome?code=%032d", i), nil).Code },
		"a stop that is none":   func(i int) int { return s.do("GET", fmt.Sprintf("/recovery/stop?code=%032d", i), nil).Code },
		"a set-up that is none": func(i int) int { return s.do("GET", fmt.Sprintf("/setup?code=%032d", i), nil).Code },
		"a pass that is none": func(i int) int {
			return s.do("POST", "/welcome", url.Values{"name": {fmt.Sprint("p-", i)}, "pass": {"x"}}).Code
		},
		"an approval that is none": func(i int) int { return s.do("GET", fmt.Sprintf("/approve?code=%032d", i), nil).Code },
		"a login that nobody began": func(i int) int {
			return s.asJSON("/api/v1/login/finish", fmt.Sprintf(`{"code":"%032d","verifier":%q}`, i, long))
		},
	}
}

// answered is what they are answered, so that each really gets as far as it is meant to.
var answered = map[string]int{
	"a command line at a terminal":            200,
	"a command line's login":                  200,
	"a guarded page":                          303,
	"a key for machines typed into the form":  401,
	"a link that is none":                     403,
	"a login that nobody began":               403,
	"a made-up key at the API":                403,
	"a made-up ticket to the page that waits": 403,
	"a name of 60 kB with a kind of its own":  401,
	"a number for the help desk":              303,
	"a pass that is none":                     403,
	"a saved code that is none":               403,
	"a sealed ticket that is none":            403,
	"a set-up that is none":                   403,
	"a stop that is none":                     403,
	"an app that binds":                       403,
	"an app that looks":                       403,
	"an approval that is none":                303,
	"the page to sign in":                     200,
}

// hour is how many requests strangers send in it, at 1,000 a second, and hourMost what
// it may leave of all together.
const (
	hour     = 3_600_000
	hourMost = 50 << 20
)

// keptMost is what budgets and numbers for the help desk may take: they have bounds of their
// own, which are tests of their own.
const keptMost = 100_000*100 + 10_256*400

// unkept is size without them.
func unkept(w *World) int64 {
	w.T.Helper()
	for _, statement := range []string{`delete from guess`, `delete from recovery_request`} {
		if err := w.DB.Housekeep(context.Background(), "test", func(tx *store.Tx) error {
			_, err := tx.Exec(context.Background(), statement)
			return err
		}); err != nil {
			w.T.Fatal(err)
		}
	}
	return sizeOnDisk(w)
}

func AnHourOfStrangers(t *testing.T, many int) {
	w, ada := WithVPN(t)
	s := newStranger(w)
	kinds := strangeThings(s)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		t.Run(name, func(t *testing.T) {
			w.Later(2 * time.Minute) // a minute of its own, whose entries nobody has had
			i := 0
			play := func(many int) (grown int64) {
				before := unkept(w)
				for range many {
					if status := kinds[name](i); status != answered[name] {
						t.Fatalf("request %d is answered %d", i, status)
						answered[name] = status
					}
					i++
				}
				return unkept(w) - before
			}
			play(1)
			// What is bounded is full before it is measured what each more leaves.
			first := play(many)
			each := float64(play(many)) / float64(many)
			before := sizeOnDisk(w)
			if err := w.SignIn.Strangers.SumUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			minute := float64(first + sizeOnDisk(w) - before)
			left := each*hour + minute*60 + keptMost
			t.Logf("%.1f octets each, %.0f a minute: %.1f MB in an hour", each, minute, left/1e6)
			if left > hourMost {
				t.Errorf("an hour of it leaves %.0f MB", left/1e6)
			}
		})
	}
	if got := w.Begin(Line("ada", Passphrase, ada.Code())); got.State != signin.Granted {
		t.Errorf("ada, afterwards: %v %s", got.State, got.Reason)
	}
}
