package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/dbsc"
	"countersign/internal/directory"
	"countersign/internal/prompt"
	"countersign/internal/protocol/radius"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/virtualauth"
)

// BenchmarkCosts prints the cost table of docs/performance.md: each row as a
// ratio to its limit, which is measured in turns with it in the same run.
//
//	make bench
//	make bench COSTS=/passkey
func BenchmarkCosts(b *testing.B) {
	t := &costs{b: b}
	server.CollectLater()
	go server.CollectByLoad(b.Context())
	for _, part := range []struct {
		name    string
		measure func()
	}{
		{"server", t.radiusServer},
		{"sqlite", func() { t.on("SQLite", "") }},
		{"postgres", func() { t.on("PostgreSQL", storetest.StartDurablePostgres(t.b).DSN) }},
		{"passkey", t.passkey},
		{"password", t.password},
		{"held", t.held},
		{"codes", t.codes},
		{"import", t.imported},
		{"scim", t.provisioned},
		{"regroup", t.regrouped},
		{"openid", t.openID},
		{"refreshes", t.refreshes},
		{"introspection", t.introspected},
		{"saml", t.samlResponse},
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
	// access is an access token of the sign-in that [costs.begins] made last.
	access string
}

func (c *costs) row(columns ...string) {
	c.rows = append(c.rows, columns)
	c.b.Log(strings.Join(columns, " | "))
}

// faster adds a row whose budget is a share of the limit's speed.
func (c *costs) faster(path, on string, a, limit figure, what, budget string) {
	perSecond := func(f figure) string { return fmt.Sprintf("%.0f/s", 1/f.wall.Seconds()) }
	c.row(path, on, perSecond(a), what+" "+perSecond(limit), fmt.Sprintf("%.2f", limit.wall.Seconds()/a.wall.Seconds()), cpu(a, limit), budget)
}

// dearer adds a row whose budget is a multiple of the limit's time.
func (c *costs) dearer(path, on string, a, limit figure, what, budget string) {
	c.row(path, on, short(a.wall), what+" "+short(limit.wall), fmt.Sprintf("%.2f", a.wall.Seconds()/limit.wall.Seconds()), cpu(a, limit), budget)
}

func cpu(a, limit figure) string {
	return fmt.Sprintf("%s / %s = %.2f", short(a.cpu), short(limit.cpu), a.cpu.Seconds()/limit.cpu.Seconds())
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f us", d.Seconds()*1e6)
	}
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
}

func (c *costs) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nPATH\tON\tMEASURED\tLIMIT\tRATIO\tCPU TIME OF BOTH\tBUDGET")
	for _, r := range c.rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	fmt.Fprintf(w, "%d cores, %s, rounds of %s in turns, medians; CPU time is this process's, clients included and PostgreSQL not\n", runtime.NumCPU(), runtime.Version(), round)
	w.Flush()
}

const (
	round  = 1500 * time.Millisecond
	rounds = 5
)

// figure is what one piece of work takes: how long at this load, and how much CPU
// time of this process, which other load on the machine hardly moves.
type figure struct{ wall, cpu time.Duration }

// timed measures what does n pieces of work.
func timed(f func() (n int64, err error)) (figure, error) {
	start, spent := time.Now(), cpuTime()
	n, err := f()
	each := func(d time.Duration) time.Duration { return d / time.Duration(max(n, 1)) }
	return figure{each(time.Since(start)), each(cpuTime() - spent)}, err
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rate runs work in so many goroutines for a round, and returns how much was done.
func rate(parallel int, work func(worker int) error) (int64, error) {
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
	return done.Load(), nil
}

// turns measures a subject and its limit in turns and returns the medians.
func (c *costs) turns(parallel int, subject, limit func(worker int) error) (a, b figure) {
	c.b.Helper()
	each := func(work func(int) error) func() (int64, error) {
		return func() (int64, error) { return rate(parallel, work) }
	}
	return c.inTurns(each(subject), each(limit))
}

// inTurns is turns for work that counts itself.
func (c *costs) inTurns(subject, limit func() (int64, error)) (a, b figure) {
	c.b.Helper()
	var as, bs []figure
	for range rounds {
		for _, m := range []struct {
			work func() (int64, error)
			into *[]figure
		}{{subject, &as}, {limit, &bs}} {
			f, err := timed(m.work)
			if err != nil {
				c.b.Fatal(err)
			}
			*m.into = append(*m.into, f)
		}
	}
	return median(as), median(bs)
}

// median takes the median of each part by itself.
func median(all []figure) figure {
	var walls, cpus []time.Duration
	for _, f := range all {
		walls, cpus = append(walls, f.wall), append(cpus, f.cpu)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return figure{walls[len(walls)/2], cpus[len(cpus)/2]}
}

// noStore is an engine that answers without deciding anything.
type noStore struct{}

func (noStore) Begin(context.Context, signin.Request) (signin.Step, error) {
	return signin.Step{State: signin.Denied, Public: "That did not work."}, nil
}
func (noStore) Answer(context.Context, string, signin.Reply) (signin.Step, error) {
	return signin.Step{}, nil
}
func (noStore) Names(context.Context, string, string) error       { return nil }
func (noStore) Poll(context.Context, string) (signin.Step, error) { return signin.Step{}, nil }

// oneApplication is a catalogue of one.
type oneApplication struct{ a application.Application }

func (o oneApplication) ByProtocol(context.Context, string) ([]application.Application, error) {
	return []application.Application{o.a}, nil
}
func (oneApplication) Changed() uint64 { return 1 }

func codeOnly() application.Application {
	settings, _ := json.Marshal(map[string]any{"mode": "code-only", "clients": []any{map[string]any{"name": "load", "networks": []string{"127.0.0.0/8"}, "secret": servertest.DrillSecret}}})
	return application.Application{ID: 1, Name: "vpn", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: application.VouchesPassword, Settings: settings}
}

// bareRADIUS serves RADIUS without an engine, on loopback.
func bareRADIUS(b *testing.B) string {
	b.Helper()
	return bareRADIUSOf(b, noStore{})
}

// bareRADIUSOf is bareRADIUS with something in the engine's place.
func bareRADIUSOf(b *testing.B, engine radius.Engine) string {
	b.Helper()
	s, err := radius.New(radius.Parts{Engine: engine, Applications: oneApplication{codeOnly()}})
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
		subject[i], limit[i] = newAsker(c.b, server, servertest.DrillSecret), newAsker(c.b, echo.LocalAddr().String(), servertest.DrillSecret)
	}
	a, l := c.turns(inFlight, func(w int) error { _, err := subject[w].ask("ada", "123456"); return err }, func(w int) error { _, err := limit[w].ask("ada", "123456"); return err })
	c.faster("RADIUS codec and server, no store", "", a, l, "UDP echo", "0.80")
}

// BenchmarkCodeSignIn is the engine's part of a sign-in by code, 64 at once, for
// a profile: go test -run '^$' -bench CodeSignIn -cpuprofile cpu.out. With BENCHSTATEMENTS=1
// it prints what PostgreSQL says of each statement.
func BenchmarkCodeSignIn(b *testing.B) {
	server.CollectLater()
	go server.CollectByLoad(b.Context())
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			dsn, theirs := "", func() time.Duration { return 0 }
			if name == "postgres" {
				s := storetest.StartDurablePostgres(b, tracking()...)
				dsn, theirs = s.DSN, func() time.Duration { return s.CPU(b) }
				defer printStatements(b, s)
			}
			w := servertest.NewWorldOn(b, dsn)
			holders := populate(b, w, 1000, inFlight)
			if name == "postgres" {
				forgetStatements(b, dsn)
			}
			before, spent, spentThere := w.DB.Condition().Stats(), cpuTime(), theirs()
			b.ResetTimer()
			var all sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for _, h := range holders {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						s, err := w.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: h.name, Protocol: "radius", Medium: prompt.Single,
							CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: h.code()}}, Partner: "load"})
						if err != nil {
							b.Error(err)
							return
						}
						if s.State != signin.Granted {
							b.Errorf("%v %s", s.State, s.Reason)
							return
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			after := w.DB.Condition().Stats()
			b.ReportMetric(float64(after.Batches-before.Batches)/float64(b.N), "commits/op")
			b.ReportMetric(float64(after.Retries-before.Retries)/float64(b.N), "retries/op")
			b.ReportMetric(float64(cpuTime()-spent)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(theirs()-spentThere)/float64(b.N), "postgres-cpu-ns/op")
		})
	}
}

// on measures what rests on a database.
func (c *costs) on(name, dsn string) {
	w := servertest.NewWorldOn(c.b, dsn)
	holders := populate(c.b, w, 1000, inFlight)
	server := bareRADIUS(c.b)
	subject, limit := make([]*asker, inFlight), make([]*asker, inFlight)
	for i := range inFlight {
		subject[i], limit[i] = newAsker(c.b, w.Radius, servertest.DrillSecret), newAsker(c.b, server, servertest.DrillSecret)
	}
	a, l := c.turns(inFlight, func(i int) error {
		return holders[i].signIn(subject[i])
	}, func(i int) error { _, err := limit[i].ask(holders[i].name, "123456"); return err })
	c.faster("RADIUS one-time code, durable and audited, 64 in flight", name, a, l, "no store", "")
	c.statements(name, w, holders, subject, limit)
	c.forwardAuth(name, w)
}

// statements compares a sign-in by code with what it cannot do without, and no
// engine around it: the account, its authenticators and their budgets read, each
// row's MAC checked, the code spent, the counter moved and two entries written.
func (c *costs) statements(name string, w *servertest.World, holders []*holder, askers, withoutStore []*asker) {
	var n atomic.Int64
	with := func(i int, more func()) error {
		return w.DB.Change(context.Background(), audit.System("bench"), func(tx *store.Tx) error {
			ctx := context.Background()
			more()
			account, err := w.Accounts.Find(ctx, tx, holders[i].name)
			if err != nil {
				return err
			}
			held, err := w.Credentials.All(ctx, tx, account.ID)
			if err != nil {
				return err
			}
			const budget = `select count from guess where subject = $`
			rows, err := tx.Query(ctx, budget+"1 union all "+budget+"2 union all "+budget+"3", "credential/1", "account/1", "installation")
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
			if _, err := w.Credentials.Spend(ctx, tx, directory.Once{Credential: held[0].ID, Key: fmt.Sprint("bare", n.Add(1))}, tx.Now()); err != nil {
				return err
			}
			if err := w.Credentials.Answered(ctx, tx, held[0]); err != nil {
				return err
			}
			for _, event := range []string{"evidence.accepted", "signin.granted"} {
				err := tx.Record(audit.Entry{Event: event, Outcome: audit.OK, Account: int64(account.ID), AccountName: account.Name,
					Application: "vpn", Protocol: "radius", Detail: map[string]string{"authenticator": "hotp", "partner": "load 127.0.0.1"}})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	sign := func(i int) error { return holders[i].signIn(askers[i]) }
	a, l := c.turns(inFlight, sign, func(i int) error { return with(i, func() {}) })
	c.faster("the same", name, a, l, "its statements alone", "0.80")
	// What no engine can leave out either: an exchange of RADIUS, and the HMACs of the window, which
	// are compared in the transaction that has read how far the token is.
	a, l = c.turns(inFlight, sign, func(i int) error {
		if _, err := withoutStore[i].ask(holders[i].name, "123456"); err != nil {
			return err
		}
		return with(i, func() {
			for ahead := range uint64(window) {
				holders[i].key.Code(holders[i].next + ahead)
			}
		})
	})
	c.faster("the same", name, a, l, "statements, exchange and HMACs", "")
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

// session signs a person in to an application behind fifty rules, and returns the headers
// with which a proxy asks about her, and the secret of her session here.
func (c *costs) session(w *servertest.World) (http.Header, string) {
	c.b.Helper()
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(c.b.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		c.b.Fatal(err)
	}
	w.SetPolicy(fiftyRules())
	to := session.Handover{Host: "http://wiki.test", Browser: "ada's"}
	parent := w.SignedIn(ada)
	code, err := w.Handovers.Derive(c.b.Context(), parent, to)
	if err != nil {
		c.b.Fatal(err)
	}
	child, err := w.Handovers.Accept(c.b.Context(), code, to, session.Visit{})
	if err != nil {
		c.b.Fatal(err)
	}
	return http.Header{"X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"wiki.test"}, "X-Forwarded-Uri": {"/notes"}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-For": {"203.0.113.9"}, "Cookie": {"countersign-app=" + child}}, parent
}

func (c *costs) forwardAuth(name string, w *servertest.World) {
	headers, parent := c.session(w)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("countersign-app"); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer bare.Close()
	check := httptest.NewServer(w.Handler)
	defer check.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	get := func(server string, headers http.Header) func(int) error {
		return func(int) error {
			r, _ := http.NewRequest("GET", server+"/verify/caddy", nil)
			r.Header = headers
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
	a, l := c.turns(16, get(check.URL, headers), get(bare.URL, headers))
	c.faster("forward-auth check, 50 rules", name, a, l, "net/http and a cookie", "0.85")
	a, l = c.turns(16, get(check.URL, c.bound(w, headers, parent)), get(check.URL, headers))
	c.faster("the same, of a session that is bound to its device", name, a, l, "one that is not", "0.9")
}

// bound are the headers of a check with a session of its own that is bound to a device, in the first
// five minutes of its bound cookie.
func (c *costs) bound(w *servertest.World, like http.Header, parent string) http.Header {
	c.b.Helper()
	must := func(err error) {
		c.b.Helper()
		if err != nil {
			c.b.Fatal(err)
		}
	}
	to := session.Handover{Host: "http://wiki.test", Browser: "another"}
	code, err := w.Handovers.Derive(c.b.Context(), parent, to)
	must(err)
	child, err := w.Handovers.Accept(c.b.Context(), code, to, session.Visit{})
	must(err)
	devices := session.NewDevices(w.Sessions, w.Tickets)
	challenge, err := devices.Offer(c.b.Context(), session.At(to.Host, child))
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	proof, err := dbsc.Signed(key, challenge, true)
	must(err)
	given, err := devices.Bind(c.b.Context(), session.At(to.Host, child), proof, session.Visit{Application: "wiki"})
	must(err)
	out := like.Clone()
	out.Set("Cookie", "countersign-app="+child+"; countersign-bound-app="+given.Cookie)
	return out
}

// passkey is a whole sign-in by passkey through the engine, against one P-256
// verification and its share of a commit.
func (c *costs) passkey() {
	w := servertest.NewWorld(c.b)
	ada := w.EnrollCodes("ada")
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	key := &virtualauth.Key{NoCounter: true, BackupEligible: true, BackupState: true} // synced: many devices answer at once
	browser.AddPasskey(key)
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
			s, err := w.Engine.Begin(ctx, begin)
			if err != nil {
				c.b.Fatal(err)
			}
			for _, p := range s.Prompts {
				if p.Kind == prompt.PublicKey {
					data, err := key.Get(w.Base, p.Data)
					if err != nil {
						c.b.Fatal(err)
					}
					prepared <- asked{s.Ticket, data}
				}
			}
		}
	}
	const n = 2000
	answer := func() error {
		q := <-prepared
		s, err := w.Engine.Answer(ctx, q.ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: q.data}})
		if err == nil && s.State != signin.Granted {
			err = fmt.Errorf("%v %s", s.State, s.Reason)
		}
		return err
	}
	verifyAndCommit := func() error {
		if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
			return errors.New("it does not verify")
		}
		return w.DB.Change(ctx, audit.System("bench"), func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: "bench.commit", Outcome: audit.OK})
		})
	}
	a, l := c.prepared(n, func() { fill(n) }, answer, verifyAndCommit)
	c.dearer("passkey answer, server side, 64 in flight", "SQLite", a, l, "P-256 and a commit", "at most 2.00")
}

// prepared is turns, inFlight at once, for n pieces of work that must be prepared
// before each round.
func (c *costs) prepared(n int64, prepare func(), subject, limit func() error) (a, b figure) {
	each := func(work func() error) (figure, error) {
		return timed(func() (int64, error) {
			var next atomic.Int64
			var failed atomic.Pointer[error]
			var all sync.WaitGroup
			for range inFlight {
				all.Go(func() {
					for next.Add(1) <= n {
						if err := work(); err != nil {
							failed.Store(&err)
							return
						}
					}
				})
			}
			all.Wait()
			if err := failed.Load(); err != nil {
				return n, *err
			}
			return n, nil
		})
	}
	var as, bs []figure
	for range rounds {
		prepare()
		f, err := each(subject)
		l, limitErr := each(limit)
		if err := errors.Join(err, limitErr); err != nil {
			c.b.Fatal(err)
		}
		as, bs = append(as, f), append(bs, l)
	}
	return median(as), median(bs)
}

// password is a whole wrong password through the engine against argon2id alone.
// So many come at once that every core always has one to hash: what is compared is
// how many of them a machine takes. One alone also waits for two commits, which
// cost it the disk's time and nobody else anything.
func (c *costs) password() {
	w := servertest.NewWorld(c.b)
	w.EnrollCodes("ada")
	if err := w.PlantApplications(c.b.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		c.b.Fatal(err)
	}
	salt, gate := slowhash.NewSalt(), slowhash.NewGate(0, 0)
	var n atomic.Int64
	wrong := func(int) error {
		i := n.Add(1)
		r := servertest.Line(fmt.Sprint("somebody-", i), "a wrong password", "")
		r.Source = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) // of an address of many wrong answers one is checked at a time
		s, err := w.Engine.Begin(context.Background(), r)
		if err == nil && s.State == signin.Granted {
			err = fmt.Errorf("granted")
		}
		w.Later(time.Second)
		return err
	}
	hash := func(int) error {
		leave, err := gate.Enter(context.Background())
		if err != nil {
			return err
		}
		defer leave()
		slowhash.Default().Sum([]byte("a wrong password"), salt)
		return nil
	}
	// The guess is charged before the hash, and what became of it is written behind it.
	commit := func() error {
		return w.DB.Change(context.Background(), audit.System("bench"), func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: "bench.commit", Outcome: audit.OK})
		})
	}
	parallel := 4 * runtime.GOMAXPROCS(0)
	a, l := c.turns(parallel, wrong, hash)
	c.dearer("password check, unknown name, every core busy", "SQLite", a, l, "argon2id", "at most 1.05")
	a, l = c.turns(parallel, wrong, func(i int) error { return errors.Join(commit(), hash(i), commit()) })
	c.dearer("the same", "SQLite", a, l, "argon2id and two commits", "")
}
