package demo

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// told is what a demonstration says on its screen.
type told struct {
	mu   sync.Mutex
	text strings.Builder
	all  chan struct{}
}

func (t *told) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if strings.Contains(string(b), "RADIUS") {
		defer close(t.all)
	}
	return t.text.Write(b)
}

// running is a demonstration that serves.
type running struct {
	start, console, site, folder string
	stop                         func()
}

func options(t *testing.T, folder string) Options {
	t.Helper()
	file := config.Default()
	file.Listen, file.Radius.Listen = "127.0.0.1:"+free(t), []string{"127.0.0.1:0"}
	return Options{Folder: folder, File: file, Out: io.Discard}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func starts(t *testing.T, folder string) running {
	t.Helper()
	o, said := options(t, folder), &told{all: make(chan struct{})}
	o.Out = said
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, o) }()
	over := sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Cleanup(over)
	select {
	case <-said.all:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	case <-time.After(2 * time.Minute): // bounds a failure only
		t.Fatal("it does not begin")
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	find := func(re string) string {
		m := regexp.MustCompile(re).FindStringSubmatch(said.text.String())
		if m == nil {
			t.Fatalf("it does not say %s:\n%s", re, said.text.String())
		}
		return m[1]
	}
	return running{find(`Open this +(\S+)`), strings.TrimSuffix(find(`The console +(\S+)`), "/console"), find(`The site +(\S+)`), folder, over}
}

// plays types what the first page shows of somebody on the sign-in page. A code that was
// used is not typed again.
type plays struct {
	t    *testing.T
	on   running
	used map[string]string
}

var codeOf = regexp.MustCompile(`data-code="(\w+)">(\d{6})<`)

func (p *plays) code(name string) string {
	p.t.Helper()
	for begun := time.Now(); time.Since(begun) < 45*time.Second; time.Sleep(100 * time.Millisecond) {
		for _, m := range codeOf.FindAllStringSubmatch(page(p.t, p.on.start), -1) {
			if m[1] == name && m[2] != p.used[name] {
				p.used[name] = m[2]
				return m[2]
			}
		}
	}
	p.t.Fatalf("no new code of %s is shown", name)
	return ""
}

func (p *plays) signsIn(b *testbed.Browser, name, password string) {
	p.t.Helper()
	b.Wait("#name")
	b.Fill("#name", name)
	b.Fill("#text", password)
	b.Click(`form:has(#text) button`)
	b.Wait("#text-totp")
	b.Fill("#text-totp", p.code(name))
	b.Click(`form:has(#text-totp) button`)
}

func page(t *testing.T, address string) string {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The promise: the five things of the first page happen as it says, in a real browser.
func TestTheFiveThings(t *testing.T) {
	storetest.Long(t, "a browser plays the demonstration")
	d := starts(t, t.TempDir())
	p := &plays{t, d, map[string]string{}}
	grace := testbed.Chromium(t)
	linus, ada := grace.Stranger(), grace.Stranger()

	grace.Visit(d.start)
	grace.WaitText("h1", "Try these five things")
	grace.WaitText(".loud", "Never use it for anything real")
	servertest.Screenshot(grace, "demo-first")

	// 1. Come past the guard.
	grace.Click(`.things li:nth-child(1) a.button`)
	p.signsIn(grace, "grace", "nanoseconds of copper wire")
	grace.WaitLocation(d.site + "/")
	grace.WaitText(".who", "Grace Hopper")
	servertest.Screenshot(grace, "demo-handbook")

	// 2. Be refused.
	grace.Visit(d.start)
	grace.Click(`.things li:nth-child(2) a.button`)
	grace.WaitText("caption", "This month")
	servertest.Screenshot(grace, "demo-payroll")
	linus.Visit(d.site + "/")
	p.signsIn(linus, "linus", "the nature of the bond")
	linus.WaitText(".who", "Linus Pauling")
	linus.Visit(d.site + "/payroll/")
	linus.WaitText("body", "payroll is for finance")
	servertest.Screenshot(linus, "demo-refused")

	// 3. See an attack.
	ada.Visit(d.start)
	ada.Click(`.things li:nth-child(3) a.button`)
	p.signsIn(ada, "ada", "the analytical engine")
	ada.WaitText("main", "Wrong passwords for 20 names within an hour")
	servertest.Screenshot(ada, "demo-alarms")

	// 4. Read what holds.
	ada.Visit(d.start)
	ada.Click(`.things li:nth-child(4) a.button`)
	ada.WaitText("h1", "Coverage")
	servertest.Screenshot(ada, "demo-coverage")
	ada.Visit(d.console + "/console/coverage/runs")
	ada.WaitText("main", "ada")
	ada.Visit(d.console + "/console")
	ada.WaitText("h1", "Overview")
	servertest.Screenshot(ada, "demo-overview")

	// 5. Lock somebody out.
	linus.Visit(d.site + "/")
	linus.WaitText(".who", "Linus Pauling")
	ada.Visit(d.start)
	ada.Click(`.things li:nth-child(5) a.button`)
	ada.Click(`details:has(form[action$="/suspend"]) summary`)
	ada.Fill(`form[action$="/suspend"] [name=reason]`, "to see what happens")
	ada.Click(`form[action$="/suspend"] button`)
	if ada.Has("#text-totp") {
		ada.Fill("#text-totp", p.code("ada"))
		ada.Click(`form:has(#text-totp) button`)
	}
	ada.WaitText("main", "suspended")
	linus.Visit(d.site + "/")
	linus.WaitGone(".who")
}

// The promises: the history's log verifies and says whose it is, and the installation opens
// for nothing but a demonstration; a folder that holds anything else stays as it is.
func TestNothingElseIsOpened(t *testing.T) {
	storetest.Long(t, "a history is made")
	folder := t.TempDir()
	d := starts(t, folder)
	site := d.site
	r, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(servertest.PageRequest(d.site + "/payroll/"))
	if err != nil || r.StatusCode != http.StatusFound {
		t.Errorf("a stranger at payroll: %v %v", r, err)
	}
	forged := servertest.PageRequest(d.site + "/payroll/")
	forged.Header.Set("Remote-User", "grace")
	if r, err = http.DefaultClient.Do(forged); err != nil || r.StatusCode != http.StatusForbidden {
		t.Errorf("a forged name at payroll: %v %v", r, err)
	}
	rebound := servertest.PageRequest(d.start)
	rebound.Host = "evil.example"
	if r, err = http.DefaultClient.Do(rebound); err != nil || r.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("the codes under another name: %v %v", r, err)
	}
	d.stop()

	file := config.Default()
	file.Data = folder
	s, err := server.SettingsOf(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Assemble(t.Context(), s); err == nil || !strings.Contains(err.Error(), "demonstration") {
		t.Errorf("the database of a demonstration opens for real: %v", err)
	}
	s.Demo = true
	in, err := server.Assemble(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	lookBack(t, in)
	if err := in.DB.Close(); err != nil {
		t.Error(err)
	}
	if again := starts(t, folder); again.site != site {
		t.Errorf("the site moved from %s to %s", site, again.site)
	}
}

// lookBack reads the history.
func lookBack(t *testing.T, in *server.Installation) {
	t.Helper()
	report, err := in.DB.AuditLog().Verify(t.Context())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v %v", report.Faults, err)
	}
	all, err := in.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 5000})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b audit.Entry) int { return a.At.Compare(b.At) }) {
		t.Error("the history goes back in time")
	}
	if span := all[len(all)-1].At.Sub(all[0].At); span < 12*day {
		t.Errorf("the history is %s long", span)
	}
	for _, event := range []string{demonstrates, "signin.granted", "answer.refused", "alarm.spray", "alarm.not-me", "drill.recorded"} {
		if !slices.ContainsFunc(all, func(e audit.Entry) bool { return e.Event == event }) {
			t.Errorf("the history has no %s", event)
		}
	}
}

const demonstrates = "installation.demonstration"

// The promise: an installation whose folder says that it is a demonstration's is opened all the
// same for no demonstration, and is not marked as one.
func TestInstallationIsNoDemonstration(t *testing.T) {
	folder := t.TempDir()
	file := config.Default()
	file.Data = folder
	s, err := server.SettingsOf(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	opens := func() *server.Installation {
		in, err := server.Assemble(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	if err := opens().DB.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, scenarioFile), []byte(`{"site":"localhost:`+free(t)+`","radius":"x","shown":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, over := context.WithTimeout(t.Context(), time.Minute) // bounds a failure only
	defer over()
	if err := Serve(ctx, options(t, folder)); err == nil || !strings.Contains(err.Error(), "not a demonstration's") {
		t.Errorf("an installation is opened: %v", err)
	}
	in := opens()
	defer in.DB.Close()
	if all, err := in.DB.AuditLog().Entries(t.Context(), store.Filter{Event: demonstrates}); err != nil || len(all) != 0 {
		t.Errorf("it is marked as a demonstration's: %v %v", all, err)
	}
}

// The promise: only this machine reaches the first page and the site, and the first page is
// shown under loopback's names alone.
func TestStageIsOnLoopback(t *testing.T) {
	s, err := openStage(scenario{Site: "localhost:" + free(t)}, config.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for what, l := range map[string]net.Listener{"the first page": s.start, "the site": s.site} {
		if !config.Loopback(l.Addr().String()) {
			t.Errorf("%s is at %s", what, l.Addr())
		}
	}
	_, port, _ := net.SplitHostPort(s.start.Addr().String())
	for host, status := range map[string]int{"127.0.0.1:" + port: http.StatusOK, "localhost:" + port: http.StatusOK, "localhost": http.StatusMisdirectedRequest, "evil.example:" + port: http.StatusMisdirectedRequest,
		"localhost.evil.example:" + port: http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/codes", nil)
		r.Host = host
		s.named(s.first()).ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("the codes under %q: %d", host, w.Code)
		}
	}
}

// The promise: the pages behind the guard are told who somebody is by the answer alone, and
// are not reached without a yes.
func TestGuardTellsTheAnswerAlone(t *testing.T) {
	answer, got := http.StatusOK, http.Header(nil)
	g := &guard{host: "localhost:1", ask: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/verify/caddy" || r.Header.Get("X-Forwarded-For") != "192.0.2.1" || r.Header.Get("X-Forwarded-Host") != "localhost:1" || r.Header.Get("X-Forwarded-Uri") != "/payroll/?a=b" || r.Header.Get("X-Forwarded-Method") != http.MethodPost {
			t.Errorf("it asks %s %v", r.URL, r.Header)
		}
		w.Header().Set("Remote-User", "linus")
		w.WriteHeader(answer)
	}), pages: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header })}
	for _, answer = range []int{http.StatusForbidden, http.StatusFound, http.StatusNoContent, http.StatusOK} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/payroll/?a=b", nil)
		r.Header = http.Header{"Remote-User": {"grace"}, "Remote-Groups": {"finance"}, "Remote-Name": {"Grace"}, "Remote-Email": {"g@example.org"}, "X-Forwarded-For": {"8.8.8.8"}, "X-Forwarded-Host": {"evil.example"},
			"X-Forwarded-Uri": {"/"}, "X-Forwarded-Method": {http.MethodGet}}
		g.ServeHTTP(w, r)
		if answer != http.StatusOK && (got != nil || w.Code != answer) {
			t.Errorf("after %d the page is reached, or says %d", answer, w.Code)
		}
	}
	if got.Get("Remote-User") != "linus" || got.Get("Remote-Groups")+got.Get("Remote-Name")+got.Get("Remote-Email") != "" {
		t.Errorf("the page is told %v", got)
	}
}

// What is kept is not told to be gone.
func TestWhatIsKept(t *testing.T) {
	for _, temporary := range []bool{false, true} {
		var said strings.Builder
		o := Options{Folder: t.TempDir(), File: config.Default(), Out: &said, temporary: temporary}
		o.File.Radius.Listen = []string{"127.0.0.1:18120"}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := o.greet(&stage{start: l}); err != nil || strings.Contains(said.String(), "gone when you stop it") != temporary {
			t.Errorf("temporary %t: %v %s", temporary, err, said.String())
		}
	}
}

func TestRefusals(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, server.DatabaseFile), []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, over := context.WithCancel(t.Context())
	over()
	for _, public := range []string{"http://login.example.org", "https://localhost:8443"} {
		o := options(t, t.TempDir())
		o.File.PublicURL = public
		if err := Serve(ctx, o); err == nil || !strings.Contains(err.Error(), "http://localhost only") {
			t.Errorf("%s: %v", public, err)
		}
	}
	for what, change := range map[string]func(o *Options){
		"holds no demonstration":   func(o *Options) { o.Folder = full },
		"listens on loopback only": func(o *Options) { o.File.Listen = "0.0.0.0:8080" },
		"instead of 0.0.0.0:8080":  func(o *Options) { o.File.Listen = "0.0.0.0:8080" },
		"instead of [::]:1812":     func(o *Options) { o.File.Radius.Listen = []string{"127.0.0.1:0", "[::]:1812"} },
		"instead of :18120":        func(o *Options) { o.File.Radius.Listen = []string{":18120"} },
		"http://localhost only":    func(o *Options) { o.File.PublicURL = "https://login.example.org" },
	} {
		o := options(t, t.TempDir())
		change(&o)
		if err := Serve(ctx, o); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(full, server.DatabaseFile)); err != nil || string(b) != "somebody's" {
		t.Errorf("the folder was touched: %q %v", b, err)
	}
	if names, _ := os.ReadDir(full); len(names) != 1 {
		t.Errorf("the folder has %v", names)
	}
}
