package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/protocol/radius"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/softkey"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// BenchmarkCosts prints the cost table of docs/performance.md: each row as a
// ratio to its limit, which is measured in turns with it in the same run.
//
//	make bench
//	make bench COSTS=/passkey
func BenchmarkCosts(b *testing.B) {
	t := &costs{b: b}
	collectLater()
	for _, part := range []struct {
		name    string
		measure func()
	}{
		{"server", t.radiusServer},
		{"sqlite", func() { t.on("SQLite", "") }},
		{"postgres", func() { t.on("PostgreSQL", storetest.StartDurablePostgres(t.b).DSN) }},
		{"passkey", t.passkey},
		{"password", t.password},
		{"growth", t.growth},
	} {
		b.Run(part.name, func(b *testing.B) {
			t.b = b
			part.measure()
			b.ReportMetric(0, "ns/op")
		})
	}
	t.print()
}

// costs gathers the rows.
type costs struct {
	b    *testing.B
	rows [][]string
}

func (c *costs) row(path, on, subject, limit, ratio, budget string) {
	c.rows = append(c.rows, []string{path, on, subject, limit, ratio, budget})
	c.b.Log(path, on, subject, limit, ratio, budget)
}

func (c *costs) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nPATH\tON\tMEASURED\tLIMIT\tRATIO\tBUDGET")
	for _, r := range c.rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	fmt.Fprintf(w, "%d cores, %s, rounds of %s in turns, medians; %d right codes were rejected\n", runtime.NumCPU(), runtime.Version(), round, rejected.Load())
	w.Flush()
}

const (
	round  = 1500 * time.Millisecond
	rounds = 5
)

// rate runs work in so many goroutines for a round, and returns how much of it
// was done in a second.
func rate(parallel int, work func(worker int) error) (float64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	start := time.Now()
	for i := range parallel {
		all.Go(func() {
			for time.Since(start) < round && failed.Load() == nil {
				if err := work(i); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(start).Seconds(), nil
}

// turns measures a subject and its limit in turns and returns the medians.
func (c *costs) turns(parallel int, subject, limit func(worker int) error) (a, b float64) {
	c.b.Helper()
	var as, bs []float64
	for range rounds {
		for _, m := range []struct {
			work func(int) error
			into *[]float64
		}{{subject, &as}, {limit, &bs}} {
			r, err := rate(parallel, m.work)
			if err != nil {
				c.b.Fatal(err)
			}
			*m.into = append(*m.into, r)
		}
	}
	slices.Sort(as)
	slices.Sort(bs)
	return as[rounds/2], bs[rounds/2]
}

func perSecond(r float64) string { return fmt.Sprintf("%.0f/s", r) }

func ratio(a, b float64) string { return fmt.Sprintf("%.2f", a/b) }

// asker is one RADIUS client with a socket of its own.
type asker struct {
	conn   *net.UDPConn
	secret []byte
	id     byte
	out    []byte
	in     [4096]byte
}

func newAsker(b *testing.B, to, secret string) *asker {
	b.Helper()
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &asker{conn: conn, secret: []byte(secret)}
}

// ask sends one Access-Request and returns the code of the reply.
func (a *asker) ask(name, password string) (byte, error) {
	a.id++
	p := append(a.out[:0], 1, a.id, 0, 0)
	var authenticator [16]byte
	rand.Read(authenticator[:])
	p = append(p, authenticator[:]...)
	p = append(append(p, 80, 18), make([]byte, 16)...)
	p = append(append(p, 1, byte(len(name)+2)), name...)
	hidden := make([]byte, 16)
	copy(hidden, password)
	pad := md5.Sum(append(slices.Clone(a.secret), authenticator[:]...))
	for i := range hidden {
		hidden[i] ^= pad[i]
	}
	p = append(append(p, 2, 18), hidden...)
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	m := hmac.New(md5.New, a.secret)
	m.Write(p)
	copy(p[22:38], m.Sum(nil))
	a.out = p
	for range 3 { // a datagram may be lost
		if _, err := a.conn.Write(p); err != nil {
			return 0, err
		}
		a.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := a.conn.Read(a.in[:])
		if err == nil && n >= 20 && a.in[1] == a.id {
			return a.in[0], nil
		}
	}
	return 0, fmt.Errorf("no answer")
}

// noStore is an engine that answers without deciding anything.
type noStore struct{}

func (noStore) Begin(context.Context, signin.Request) (signin.Step, error) {
	return signin.Step{State: signin.Denied, Public: "That did not work."}, nil
}
func (noStore) Answer(context.Context, string, signin.Reply) (signin.Step, error) {
	return signin.Step{}, nil
}
func (noStore) Look(context.Context, string) (signin.Step, error) { return signin.Step{}, nil }

// oneApplication is a catalogue of one.
type oneApplication struct{ a application.Application }

func (o oneApplication) ByProtocol(context.Context, string) ([]application.Application, error) {
	return []application.Application{o.a}, nil
}
func (oneApplication) Changed() uint64 { return 1 }

func codeOnly() application.Application {
	settings, _ := json.Marshal(map[string]any{"mode": "code-only", "clients": []any{map[string]any{"name": "load", "networks": []string{"127.0.0.0/8"}, "secret": drillSecret}}})
	return application.Application{ID: 1, Name: "vpn", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: application.VouchesPassword, Settings: settings}
}

// bareRADIUS serves RADIUS without an engine, on loopback.
func bareRADIUS(b *testing.B) string {
	b.Helper()
	s, err := radius.New(radius.Parts{Engine: noStore{}, Applications: oneApplication{codeOnly()}})
	if err != nil {
		b.Fatal(err)
	}
	conns, err := radius.Listen([]string{"127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ctx, conns) }()
	b.Cleanup(func() { stop(); <-done })
	return conns[0].LocalAddr().String()
}

const inFlight = 64

// radiusServer compares codec and server with a raw echo of the same datagrams.
func (c *costs) radiusServer() {
	echo, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		c.b.Fatal(err)
	}
	defer echo.Close()
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := echo.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			echo.WriteToUDPAddrPort(buffer[:n], from)
		}
	}()
	server := bareRADIUS(c.b)
	subject, limit := make([]*asker, inFlight), make([]*asker, inFlight)
	for i := range inFlight {
		subject[i], limit[i] = newAsker(c.b, server, drillSecret), newAsker(c.b, echo.LocalAddr().String(), drillSecret)
	}
	a, l := c.turns(inFlight, func(w int) error { _, err := subject[w].ask("ada", "123456"); return err }, func(w int) error { _, err := limit[w].ask("ada", "123456"); return err })
	c.row("RADIUS codec and server, no store", "", perSecond(a), "UDP echo "+perSecond(l), ratio(a, l), "0.80")
}

// holder is an account with a code generator.
type holder struct {
	name    string
	key     otp.Key
	counter uint64
}

func (h *holder) code() string { h.counter++; return h.key.Code(h.counter - 1) }

// rejected counts right codes that were not accepted; a run tells how many. Of two
// equal codes within the window the later counts, about ten times in a million,
// and the next one is then behind.
var rejected atomic.Int64

// signIn signs in by the next code. One that is rejected is counted, and the
// generator goes on past it.
func (h *holder) signIn(a *asker) error {
	code, err := a.ask(h.name, h.code())
	if err == nil && code != 2 {
		h.stumble()
	}
	return err
}

// stumble goes on past a code that was rejected, and counts it.
func (h *holder) stumble() {
	rejected.Add(1)
	h.counter += 9 // within the window, whichever it was
}

// populate makes accounts, the first of them with a code generator.
func populate(b *testing.B, w *world, accounts, holders int) []*holder {
	b.Helper()
	var out []*holder
	ctx := context.Background()
	for at := 0; at < accounts; at += 500 {
		err := w.db.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
			for i := at; i < min(at+500, accounts); i++ {
				name := "person-" + strconv.Itoa(i)
				d, err := w.admin.Directory.Create(ctx, tx, directory.NewAccount{Name: name})
				if err != nil {
					return err
				}
				if i >= holders {
					continue
				}
				key := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: []byte(rand.Text()[:20])}
				e, err := hotp.Import(hotp.Seed{Key: key})
				if err != nil {
					return err
				}
				if _, err := w.admin.Directory.AddCredential(ctx, tx, directory.Credential{Account: d.ID, Kind: hotp.Kind, Label: e.Label, Traits: e.Traits, State: e.State}); err != nil {
					return err
				}
				out = append(out, &holder{name: name, key: key})
			}
			return tx.Record(audit.Entry{Event: "bench.accounts", Outcome: audit.OK})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	err := w.db.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
		if _, err := w.admin.Applications.Set(ctx, tx, codeOnly()); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "bench.application", Outcome: audit.OK})
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// BenchmarkCodeSignIn is the engine's part of a sign-in by code, 64 at once, for
// a profile: go test -run '^$' -bench CodeSignIn -cpuprofile cpu.out
func BenchmarkCodeSignIn(b *testing.B) {
	for name, dsn := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return storetest.StartPostgres(b).DSN }} {
		b.Run(name, func(b *testing.B) {
			w := newWorldOn(b, dsn())
			holders := populate(b, w, 1000, inFlight)
			b.ResetTimer()
			var all sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for _, h := range holders {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						s, err := w.engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: h.name, Protocol: "radius", Medium: prompt.Single,
							Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: h.code()}}, Partner: "load"})
						if err != nil {
							b.Error(err)
							return
						}
						if s.State != signin.Granted {
							h.stumble()
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// on measures what rests on a database.
func (c *costs) on(name, dsn string) {
	w := newWorldOn(c.b, dsn)
	holders := populate(c.b, w, 1000, inFlight)
	server := bareRADIUS(c.b)
	subject, limit := make([]*asker, inFlight), make([]*asker, inFlight)
	for i := range inFlight {
		subject[i], limit[i] = newAsker(c.b, w.radius, drillSecret), newAsker(c.b, server, drillSecret)
	}
	a, l := c.turns(inFlight, func(i int) error {
		return holders[i].signIn(subject[i])
	}, func(i int) error { _, err := limit[i].ask(holders[i].name, "123456"); return err })
	c.row("RADIUS one-time code, durable and audited, 64 in flight", name, perSecond(a), "no store "+perSecond(l), ratio(a, l), "0.50; 10,000/s on SQLite")
	c.forwardAuth(name, w)
}

// fiftyRules is a policy of which each request must be held against every rule.
func fiftyRules() string {
	var b strings.Builder
	b.WriteString("rules:\n  - name: everybody\n    when: '!(account.new && action == \"authenticator.enroll\")'\n    require: two-factors\n  - name: first\n    when: account.new && action == \"authenticator.enroll\"\n    require: access-pass\n")
	for i := range 48 {
		fmt.Fprintf(&b, "  - name: rule %d\n    when: account.name == \"nobody-%d\" && application.kind == \"vpn\" && now.hour < %d\n    require: phishing-resistant\n", i, i, i%24)
	}
	return b.String()
}

func (c *costs) forwardAuth(name string, w *world) {
	ada := w.enrollCodes("ada")
	if err := w.plantApplications(c.b.Context(), "wiki.test", drillSecret); err != nil {
		c.b.Fatal(err)
	}
	w.setPolicy(fiftyRules())
	to := session.Handover{Host: "http://wiki.test", Browser: "ada's"}
	code, err := w.sessions.Derive(c.b.Context(), w.signedIn(ada), to)
	if err != nil {
		c.b.Fatal(err)
	}
	child, err := w.sessions.Accept(c.b.Context(), code, to, session.Visit{})
	if err != nil {
		c.b.Fatal(err)
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("countersign-app"); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer bare.Close()
	check := httptest.NewServer(w.handler)
	defer check.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	get := func(server string) func(int) error {
		return func(int) error {
			r, _ := http.NewRequest("GET", server+"/verify/caddy", nil)
			r.Header = http.Header{"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"wiki.test"}, "X-Forwarded-Uri": {"/notes"}, "X-Forwarded-Method": {"GET"}, "Cookie": {"countersign-app=" + child}}
			resp, err := client.Do(r)
			if err != nil {
				return err
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s", resp.Status)
			}
			return nil
		}
	}
	a, l := c.turns(16, get(check.URL), get(bare.URL))
	c.row("forward-auth check, 50 rules", name, perSecond(a), "net/http and a cookie "+perSecond(l), ratio(a, l), "0.80")
}

// passkey is a whole sign-in by passkey through the engine, against one P-256
// verification and its share of a commit.
func (c *costs) passkey() {
	w := newWorld(c.b)
	ada := w.enrollCodes("ada")
	browser := w.person()
	browser.get("/sign-in")
	browser.signIn("ada", ada.code())
	key := &softkey.Key{NoCounter: true, BackupEligible: true, BackupState: true} // synced: many devices answer at once
	browser.addPasskey(key)
	ctx := context.Background()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a message"))
	signature, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
	if err != nil {
		c.b.Fatal(err)
	}
	begin := signin.Request{Application: signin.Self, Protocol: "browser", Medium: prompt.Browser}
	type asked struct {
		ticket string
		data   []byte
	}
	// Asking and the key's own signature are not the server's answer: they are
	// made beforehand.
	prepared := make(chan asked, 4096)
	fill := func(n int) {
		for range n {
			s, err := w.engine.Begin(ctx, begin)
			if err != nil {
				c.b.Fatal(err)
			}
			for _, p := range s.Prompts {
				if p.Kind == prompt.PublicKey {
					data, err := key.Get(w.base, p.Data)
					if err != nil {
						c.b.Fatal(err)
					}
					prepared <- asked{s.Ticket, data}
				}
			}
		}
	}
	const n = 2000
	var subject, limit []float64
	for range rounds {
		fill(n)
		start := time.Now()
		var all sync.WaitGroup
		for range inFlight {
			all.Go(func() {
				for {
					select {
					case a := <-prepared:
						s, err := w.engine.Answer(ctx, a.ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: a.data}})
						if err != nil || s.State != signin.Granted {
							c.b.Errorf("%v %s %v", s.State, s.Reason, err)
							return
						}
					default:
						return
					}
				}
			})
		}
		all.Wait()
		subject = append(subject, time.Since(start).Seconds()/n)
		start = time.Now()
		var next atomic.Int64
		for range inFlight {
			all.Go(func() {
				for next.Add(1) <= n {
					if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
						c.b.Error("it does not verify")
					}
					err := w.db.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
						return tx.Record(audit.Entry{Event: "bench.commit", Outcome: audit.OK})
					})
					if err != nil {
						c.b.Error(err)
					}
				}
			})
		}
		all.Wait()
		limit = append(limit, time.Since(start).Seconds()/n)
	}
	slices.Sort(subject)
	slices.Sort(limit)
	a, l := subject[rounds/2], limit[rounds/2]
	c.row("passkey answer, server side, 64 in flight", "SQLite", fmt.Sprintf("%.0f us", a*1e6), fmt.Sprintf("P-256 and a commit %.0f us", l*1e6), ratio(a, l), "at most 1.60")
}

// password is a whole wrong password through the engine against argon2id alone.
func (c *costs) password() {
	w := newWorld(c.b)
	w.enrollCodes("ada")
	if err := w.plantApplications(c.b.Context(), "wiki.test", drillSecret); err != nil {
		c.b.Fatal(err)
	}
	salt := slowhash.NewSalt()
	var n atomic.Int64
	a, l := c.turns(1, func(int) error {
		r := line(fmt.Sprint("somebody-", n.Add(1)), "a wrong password", "")
		s, err := w.engine.Begin(context.Background(), r)
		if err == nil && s.State == signin.Granted {
			err = fmt.Errorf("granted")
		}
		w.later(time.Second)
		return err
	}, func(int) error {
		slowhash.Default().Sum([]byte("a wrong password"), salt)
		return nil
	})
	c.row("password check", "SQLite", fmt.Sprintf("%.1f ms", 1e3/a), fmt.Sprintf("argon2id %.1f ms", 1e3/l), ratio(l, a), "at most 1.05")
}

// size is how much the grown database holds; BENCHSIZE=full is the design's.
func size() (accounts, entries int) {
	if os.Getenv("BENCHSIZE") == "full" {
		return 1_000_000, 10_000_000
	}
	return 50_000, 500_000
}

// growth compares sign-ins by code with many accounts and entries with those of
// a thousand.
func (c *costs) growth() {
	accounts, entries := size()
	small, large := newWorld(c.b), newWorld(c.b)
	few := populate(c.b, small, 1000, inFlight)
	start := time.Now()
	many := populate(c.b, large, accounts, inFlight)
	fillLog(c.b, large, entries)
	c.b.Logf("%d accounts and %d entries in %s", accounts, entries, time.Since(start).Round(time.Second))
	ask := func(w *world, holders []*holder) func(int) error {
		askers := make([]*asker, inFlight)
		for i := range askers {
			askers[i] = newAsker(c.b, w.radius, drillSecret)
		}
		return func(i int) error {
			return holders[i].signIn(askers[i])
		}
	}
	a, l := c.turns(inFlight, ask(large, many), ask(small, few))
	c.row(fmt.Sprintf("the same with %d accounts, %d entries", accounts, entries), "SQLite", fmt.Sprintf("%.0f us", 1e6/a), fmt.Sprintf("with 1,000 %.0f us", 1e6/l), ratio(l, a), "at most 1.20")
	c.start(large)
}

// fillLog writes entries, a few hundred a change.
func fillLog(b *testing.B, w *world, entries int) {
	b.Helper()
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(entries))
	for range 16 {
		all.Go(func() {
			for left.Add(-200) >= -200 {
				err := w.db.Change(context.Background(), audit.System("bench"), func(tx *store.Tx) error {
					for i := range 200 {
						if err := tx.Record(audit.Entry{Event: "bench.entry", Outcome: audit.OK, AccountName: strconv.Itoa(i), Application: "vpn", Protocol: "radius", Source: "203.0.113.9"}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// start is how long the program takes until it is ready on a grown database, and
// what it then holds in memory.
func (c *costs) start(w *world) {
	folder := w.folder
	w.stop()
	program := filepath.Join(c.b.TempDir(), "countersign")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		c.b.Fatalf("%v\n%s", err, out)
	}
	var took []float64
	var resident float64
	for range rounds {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.b.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		cmd := exec.Command(program, "serve", "--data", folder, "--listen", addr)
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			c.b.Fatal(err)
		}
		for {
			if resp, err := http.Get("http://" + addr + "/readyz"); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(begin) > 30*time.Second {
				c.b.Fatal("it does not start")
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, float64(time.Since(begin).Milliseconds()))
		time.Sleep(2 * time.Second)
		resident = memoryOf(c.b, cmd.Process.Pid)
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	slices.Sort(took)
	c.row("start on that database", "SQLite", fmt.Sprintf("%.0f ms", took[rounds/2]), "", "", "under 150 ms")
	c.row("idle on it, resident", "SQLite", fmt.Sprintf("%.0f MB", resident), "", "", "under 40 MB")
}

// memoryOf is the resident memory of a process in MB (proc(5), VmRSS).
func memoryOf(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1000
		}
	}
	return 0
}
