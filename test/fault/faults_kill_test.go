package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// program is the real binary, as a process that can be killed.
type program struct {
	t            testing.TB
	args         []string
	env          []string
	base, radius string
	cmd          *exec.Cmd
	done         chan struct{}
}

// freePort is one that nobody listens on now.
func freePort(t testing.TB, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newProgram is a server on a data folder, and with a database URL on that.
func newProgram(t testing.TB, folder, database string, env ...string) *program {
	t.Helper()
	pages, radius := freePort(t, "tcp"), freePort(t, "udp")
	_, port, _ := net.SplitHostPort(pages)
	p := &program{t: t, base: "http://localhost:" + port, radius: radius, env: env,
		args: []string{"serve", "--listen", pages, "--public-url", "http://localhost:" + port, "--data", folder, "--radius", radius}}
	if database != "" {
		p.args = append(p.args, "--database", database)
	}
	t.Cleanup(p.kill)
	return p
}

// start starts it and waits until it answers.
func (p *program) start() {
	p.t.Helper()
	cmd, done := servertest.AsCountersign(p.args, p.env...), make(chan struct{})
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { cmd.Wait(); close(done) }()
	p.cmd, p.done = cmd, done
	for {
		r, err := http.Get(p.base + "/readyz")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-done:
			p.t.Fatalf("the server does not start:\n%s", out.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill is kill -9.
func (p *program) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		<-p.done
		p.cmd = nil
	}
}

// browse is signIn by the pages. It returns the browser too if that was let in;
// whatever the network does is no failure here.
func (p *program) browse(ctx context.Context, name string, press func() string) (client *http.Client, code string, o servertest.Outcome) {
	jar, _ := cookiejar.New(nil)
	client = &http.Client{Jar: jar}
	page, err := fetch(ctx, client, p.base+"/sign-in", nil)
	post := func(fields url.Values) {
		m := servertest.TokenField.FindStringSubmatch(page)
		if err != nil || m == nil {
			err = errors.Join(err, errors.New("there is no form"))
			return
		}
		if fields.Get("text") == "" {
			code = press()
			fields.Set("text", code)
		}
		fields.Set("form-token", m[1])
		page, err = fetch(ctx, client, p.base+"/sign-in", fields)
	}
	post(url.Values{"name": {name}, "authenticator": {"password"}, "text": {servertest.Passphrase}})
	post(url.Values{"authenticator": {"hotp"}})
	switch {
	case code == "":
		return nil, "", servertest.Refused
	case err != nil:
		return nil, code, servertest.Unknown
	case strings.Contains(page, "Where you are signed in"):
		return client, code, servertest.Accepted
	}
	return nil, code, servertest.Refused
}

// fetch gets a page, or posts fields to it.
func fetch(ctx context.Context, client *http.Client, address string, fields url.Values) (string, error) {
	method, body := "GET", io.Reader(nil)
	if fields != nil {
		method, body = "POST", strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return "", err
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// customer is one account with a code token and what its clients know.
type customer struct {
	name string
	*servertest.Token
	browses  bool
	accepts  int            // that a client saw
	unknowns int            // whose answer never came
	codes    map[string]int // how often each code was accepted
	last     string         // the newest code that was accepted
	doubtful string         // the newest whose answer never came
	inside   *http.Client   // the newest browser that was let in
	lost     int            // codes that were pressed since the last that was accepted
	seen     map[string]bool
}

// fresh presses until a code comes that was not there before: of two equal ones
// nobody could tell which was accepted.
func (c *customer) fresh() string {
	for {
		code := c.Press()
		if !c.seen[code] {
			c.seen[code] = true
			return code
		}
		c.lost++
	}
}

// next is what a person types: the next code, or two in a row where so many came
// to nothing that the server may have lost count (RFC 4226 section 7.4).
func (c *customer) next() string {
	if c.lost++; c.lost <= 7 {
		return c.fresh()
	}
	return c.pair()
}

// pair is two codes in a row.
func (c *customer) pair() string { return c.Press() + " " + c.Press() }

// note books an outcome.
func (c *customer) note(code string, o servertest.Outcome) {
	switch o {
	case servertest.Accepted:
		c.lost = 0
		c.accepts++
		c.codes[code]++
		c.last = code
	case servertest.Unknown:
		c.unknowns++
		c.doubtful = code
	}
}

// visit is one sign-in with the next code.
func (c *customer) visit(ctx context.Context, p *program, g servertest.Gateway) {
	if !c.browses {
		c.note(g.SignIn(ctx, c.name, c.next))
		return
	}
	client, code, o := p.browse(ctx, c.name, c.next)
	if c.note(code, o); o == servertest.Accepted {
		c.inside = client
	}
}

// killing is a run of kills.
type killing struct {
	t         *testing.T
	random    *mathrand.Rand
	customers []*customer
	program   *program
	gateway   servertest.Gateway
	folder    string
}

func newKilling(t *testing.T, customers int) *killing {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := servertest.NewWorld(t)
	k := &killing{t: t, random: mathrand.New(mathrand.NewPCG(seed, 0)), folder: w.Folder}
	for i := range customers {
		name := fmt.Sprintf("customer-%d", i)
		k.customers = append(k.customers, &customer{name: name, Token: servertest.EnrollToken(w.Welcomed(name)), browses: i%3 == 2, codes: map[string]int{}, seen: map[string]bool{}})
	}
	k.gateway.Secret = w.Equipment().Secret
	w.Stop()
	k.program = newProgram(t, w.Folder, "")
	// Whoever waits for a hash when the server dies has been charged a guess: of
	// hundreds of kills within the hour that is more than an account has by default.
	file := filepath.Join(t.TempDir(), "countersign.yaml")
	if err := os.WriteFile(file, []byte("limits:\n  per_account: 100\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.program.args = append(k.program.args, "--config", file)
	k.gateway.Address = k.program.radius
	return k
}

// round starts the server, has everybody sign in, and kills it in the midst.
func (k *killing) round(n int) {
	k.t.Helper()
	k.program.start()
	k.afterwards(k.customers[n%len(k.customers)])
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	moment := int64(1 + k.random.IntN(3*len(k.customers)))
	var asked atomic.Int64
	reached := make(chan struct{})
	g := k.gateway
	g.Asked = func() {
		if asked.Add(1) == moment {
			close(reached)
		}
	}
	var all sync.WaitGroup
	for _, c := range k.customers {
		all.Go(func() {
			for ctx.Err() == nil {
				c.visit(ctx, k.program, g)
			}
		})
	}
	<-reached
	time.Sleep(time.Duration(k.random.IntN(5000)) * time.Microsecond) // anywhere in what a sign-in does
	k.program.kill()
	stop()
	all.Wait()
	if out, err := servertest.AsCountersign([]string{"audit", "verify", "--data", k.folder}).CombinedOutput(); err != nil {
		k.t.Fatalf("after kill %d the log does not verify: %v\n%s", n, err, out)
	}
}

// afterwards is what must hold of a customer after a kill: who was let in is in,
// what was accepted is not accepted again, and the next code is.
func (k *killing) afterwards(c *customer) {
	k.t.Helper()
	ctx := context.Background()
	if c.inside != nil {
		page, err := fetch(ctx, c.inside, k.program.base+"/account", nil)
		if err != nil || !strings.Contains(page, "Where you are signed in") {
			k.t.Errorf("%s was let in before the kill and is not in: %v\n%s", c.name, err, page)
		}
		c.inside = nil
	}
	for _, code := range []string{c.last, c.doubtful} {
		if code != "" {
			c.note(k.gateway.SignIn(ctx, c.name, func() string { return code }))
		}
	}
	// Used codes are wrong answers, and after three of those one code alone asks for
	// the next: a person types both.
	var code string
	o := servertest.Unknown
	for try := 0; try < 3 && o == servertest.Unknown; try++ { // a datagram may be lost, or late on a busy machine
		code, o = k.gateway.SignIn(ctx, c.name, c.pair)
		c.note(code, o)
	}
	if o == servertest.Refused { // on a busy machine a kill can cut off five checks of one password: then the next waits
		time.Sleep(31 * time.Second)
		code, o = k.gateway.SignIn(ctx, c.name, c.pair)
		c.note(code, o)
	}
	if o != servertest.Accepted {
		k.t.Errorf("%s: fresh codes were not accepted right after the start (%d)", c.name, o)
	}
	for code, n := range c.codes {
		if n > 1 {
			k.t.Errorf("%s: code %s was accepted %d times", c.name, code, n)
		}
	}
	clear(c.codes)
	c.codes[c.last]++
	c.doubtful = ""
}

// settle sets what the clients saw against the log.
func (k *killing) settle() {
	k.t.Helper()
	w := servertest.NewWorldFrom(k.t, server.Settings{Folder: k.folder}, "http://localhost", nil)
	total := 0
	for _, c := range k.customers {
		account, err := w.Accounts.Find(context.Background(), w.DB, c.name)
		if err != nil {
			k.t.Fatal(err)
		}
		entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Account: int64(account.ID), Event: "signin.granted", Limit: 10_000})
		if err != nil {
			k.t.Fatal(err)
		}
		if k.t.Failed() {
			k.confess(w, c, int64(account.ID))
		}
		granted := len(entries) - 1 // one was the welcome
		if granted < c.accepts || granted > c.accepts+c.unknowns {
			k.t.Errorf("%s: its client saw %d accepts and %d times nothing; the log has %d", c.name, c.accepts, c.unknowns, granted)
		}
		total += c.accepts
	}
	k.t.Logf("%d sign-ins were accepted", total)
	if total < len(k.customers) {
		k.t.Error("there was no load")
	}
}

// confess prints how often the log has a customer refused, for what, and the last.
func (k *killing) confess(w *servertest.World, c *customer, account int64) {
	k.t.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Account: account, Event: "signin.refused", Limit: 1000})
	if err != nil {
		k.t.Error(err)
	}
	reasons := map[string]int{}
	for _, en := range entries {
		reasons[en.Detail["authenticator"]+" "+en.Reason]++
	}
	k.t.Log(c.name, reasons)
}

// The promise: the server is killed at any moment, and starts again by itself;
// the log verifies, every Access-Accept and session that a client saw has its
// entry and is good, and no code is accepted twice.
func TestKilledUnderRealClients(t *testing.T) {
	t.Parallel()
	k := newKilling(t, 6)
	for n := range 15 {
		k.round(n)
	}
	k.settle()
}
