package bench

import (
	"context"
	"database/sql"
	"debug/buildinfo"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"text/template"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// BenchmarkPeers prints what other programs do in the same run, under the same load: each
// row is Countersign and one of them in turns. It measures, and judges two things only: on
// PostgreSQL Countersign is to make 1.2 times what FreeRADIUS makes there, and a code flow twice
// as fast as dex.
//
//	make bench-peers
//	make bench-peers PEERS=/postgres
func BenchmarkPeers(b *testing.B) {
	p := &peers{costs: costs{b: b}}
	server.CollectLater()
	go server.CollectByLoad(b.Context())
	for _, part := range []struct {
		name    string
		measure func()
	}{
		{"file", p.file},
		{"sqlite", p.sqlite},
		{"postgres", p.postgres},
		{"forward", p.forward},
		{"openid", p.codeFlow},
	} {
		b.Run(part.name, func(b *testing.B) {
			p.b = b
			part.measure()
			b.ReportMetric(0, "ns/op")
		})
	}
	p.print()
}

// TestPeersAnswer starts each peer as BenchmarkPeers does and has it accept a password, and
// refuse one without Message-Authenticator and a wrong one: what is measured is no refusal.
func TestPeersAnswer(t *testing.T) {
	storetest.Long(t, "starts FreeRADIUS and PostgreSQL")
	for name, start := range map[string]func(testing.TB) *peer{
		"file":     fileRADIUS,
		"sqlite":   sqliteRADIUS,
		"postgres": func(t testing.TB) *peer { return postgresRADIUS(t, storetest.StartPostgres(t).DSN) },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			a := newAsker(t, r.addr, servertest.DrillSecret)
			for i := range 3 {
				if code, err := a.ask(person(i), r.password(i)); err != nil || code != accept {
					t.Errorf("a right password is answered with %d, %v", code, err)
				}
			}
			if code, err := a.ask(person(0), r.password(1)); err != nil || code == accept {
				t.Errorf("a wrong password is answered with %d, %v", code, err)
			}
			if n := r.written(t); r.database != nil && n != 3 {
				t.Errorf("%d rows are written for three that were accepted", n)
			}
			a.unsigned = true
			if code, err := a.once(person(0), r.password(0), 300*time.Millisecond); err == nil {
				t.Errorf("a request without Message-Authenticator is answered with %d", code)
			}
		})
	}
}

// levels are how many requests are in flight.
var levels = []int{1, 16, 64}

// accounts is how many both sides know.
const accounts = 1000

func person(i int) string { return "person-" + strconv.Itoa(i) }

// peer is a FreeRADIUS with its accounts.
type peer struct {
	addr     string
	database *sql.DB // nil: it reads a file
}

// password is the one of the i-th person.
func (*peer) password(i int) string { return fmt.Sprintf("%06d", 7919*i%1000000) }

// written is how many rows were written after an accept.
func (p *peer) written(t testing.TB) (n int) {
	if p.database == nil {
		return 0
	}
	if err := p.database.QueryRow("select count(*) from radpostauth").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// startRADIUS starts a FreeRADIUS with our configuration in a folder of its own.
func startRADIUS(t testing.TB, folder, dialect, database string) *peer {
	t.Helper()
	program := installed(t, "freeradius", "radiusd")
	p := &peer{addr: freeUDP(t)}
	_, port, _ := net.SplitHostPort(p.addr)
	text, err := template.ParseFiles(filepath.Join("testdata", "radiusd.conf"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(folder, "radiusd.conf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := text.Execute(f, map[string]string{"Folder": folder, "Port": port, "Secret": servertest.DrillSecret, "Dialect": dialect, "Database": database}); err != nil {
		t.Fatal(err)
	}
	log := testbed.Start(t, testbed.Process{Path: program, Args: []string{"-f", "-d", folder, "-n", "radiusd"}, Dir: folder})
	a := newAsker(t, p.addr, servertest.DrillSecret)
	for until := time.Now().Add(20 * time.Second); ; {
		if _, err := a.once("nobody", "000000", 200*time.Millisecond); err == nil {
			return p
		}
		if time.Now().After(until) {
			own, _ := os.ReadFile(filepath.Join(folder, "radius.log"))
			t.Fatalf("FreeRADIUS does not answer:\n%s\n%s", log, own)
		}
	}
}

// installed finds a program of a peer, or says what to install.
func installed(t testing.TB, names ...string) string {
	t.Helper()
	how := map[string]string{
		"freeradius":   "apt install freeradius freeradius-postgresql",
		"oauth2-proxy": "go install github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6",
		// Its releases are no versions of its module, which replaces another, so that go install alone does not do.
		"dex": "in an empty folder: go mod init peer && go get github.com/dexidp/dex/cmd/dex@v0.0.0-20240807174518-43956db7fd75 github.com/dexidp/dex/api/v2@v2.2.0 && go install github.com/dexidp/dex/cmd/dex",
	}[names[0]]
	gopath, _ := exec.Command("go", "env", "GOPATH").Output()
	for _, name := range names {
		for _, at := range []string{name, "/usr/sbin/" + name, filepath.Join(strings.TrimSpace(string(gopath)), "bin", name)} {
			if path, err := exec.LookPath(at); err == nil {
				return path
			}
		}
	}
	t.Fatalf("%s is compared with and is not installed: %s", names[0], how)
	return ""
}

// module fails where a module of FreeRADIUS is missing.
func module(t testing.TB, file, from string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/freeradius/" + file); err != nil {
		t.Fatalf("FreeRADIUS has no %s here: apt install %s", file, from)
	}
}

// freeUDP returns a loopback address with a UDP port that was just free.
func freeUDP(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// fileRADIUS reads passwords from a file, and writes nothing.
func fileRADIUS(t testing.TB) *peer {
	folder := t.TempDir()
	var users strings.Builder
	for i := range accounts {
		fmt.Fprintf(&users, "%s Cleartext-Password := \"%s\"\n", person(i), new(peer).password(i))
	}
	if err := os.WriteFile(filepath.Join(folder, "users"), []byte(users.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return startRADIUS(t, folder, "", "")
}

// sqliteRADIUS reads passwords from SQLite, and writes a row there after each accept. It is
// given what makes SQLite fast, which its own schema leaves out: a log written ahead.
func sqliteRADIUS(t testing.TB) *peer {
	module(t, "rlm_sql_sqlite.so", "freeradius")
	folder := t.TempDir()
	file := filepath.Join(folder, "radius.db")
	db := storetest.File(t, file)
	tables(t, db, "integer primary key autoincrement", "pragma journal_mode = wal")
	p := startRADIUS(t, folder, "sqlite", file)
	p.database = db
	return p
}

// postgresRADIUS does the same on PostgreSQL, in a database of its own.
func postgresRADIUS(t testing.TB, dsn string) *peer {
	module(t, "rlm_sql_postgresql.so", "freeradius-postgresql")
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := storetest.File(t, database(t, dsn, "radius"))
	tables(t, db, "bigserial primary key")
	p := startRADIUS(t, t.TempDir(), "postgresql", "host="+u.Query().Get("host")+" dbname=radius user=postgres")
	p.database = db
	return p
}

// tables makes the two that are used of FreeRADIUS's schema, with its indexes, and the people.
func tables(t testing.TB, db *sql.DB, id string, before ...string) {
	t.Helper()
	for _, s := range append(before,
		"create table radcheck (id "+id+", username text not null default '', attribute text not null default '', op varchar(2) not null default '==', value text not null default '')",
		"create index radcheck_username on radcheck (username, attribute)",
		"create table radpostauth (id "+id+", username text not null, pass text, reply text, authdate timestamp not null)",
		"create index radpostauth_username_idx on radpostauth (username)",
	) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	for i := range accounts {
		if _, err := db.Exec("insert into radcheck (username, attribute, op, value) values ($1, 'Cleartext-Password', ':=', $2)", person(i), new(peer).password(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// peers gathers the rows of the comparison.
type peers struct {
	costs
	under []string // the rows that are under their budget
	proxy string   // the program of oauth2-proxy
	dex   string   // the program of dex
}

// pace is how many a second, and how long one in a hundred takes at least.
type pace struct {
	figure
	p99 time.Duration
}

// race measures ours and theirs in turns, with so many in flight.
func (p *peers) race(parallel int, ours, theirs func(worker int) error) (a, b pace) {
	p.b.Helper()
	return p.raceOf(side{work: ours, seen: make([][]time.Duration, parallel)}, side{work: theirs, seen: make([][]time.Duration, parallel)})
}

// raceOf is race for two sides that may differ in how many are in flight.
func (p *peers) raceOf(ours, theirs side) (a, b pace) {
	p.b.Helper()
	sides := []*side{&ours, &theirs}
	for range rounds {
		for _, s := range sides {
			if err := s.round(); err != nil {
				p.b.Fatal(err)
			}
		}
	}
	return sides[0].pace(), sides[1].pace()
}

// side is one of the two that are measured in turns.
type side struct {
	work    func(worker int) error
	seen    [][]time.Duration // of each worker, how long each piece of work took
	figures []figure
}

// round measures this side once. Its CPU time is that of every process on it: this one, in
// which the clients are, and those that the test started.
func (s *side) round() error {
	var done int64
	spent := childrenTime()
	f, err := timed(func() (n int64, err error) {
		done, err = rate(len(s.seen), func(worker int) error {
			start := time.Now()
			err := s.work(worker)
			s.seen[worker] = append(s.seen[worker], time.Since(start))
			return err
		})
		return done, err
	})
	f.cpu += (childrenTime() - spent) / time.Duration(max(done, 1))
	s.figures = append(s.figures, f)
	return err
}

// pace is the median of the rounds.
func (s *side) pace() pace {
	all := slices.Concat(s.seen...)
	slices.Sort(all)
	return pace{figure: median(s.figures), p99: all[len(all)*99/100]}
}

// childrenTime is the CPU time that the processes below this one have used, as the kernel's
// scheduler counts it. Of a process that ended in between nothing is counted; the peers keep
// theirs.
func childrenTime() (sum time.Duration) {
	parents := map[int]int{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// The name, in brackets, may have blanks in it.
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	for pid := range parents {
		for at := parents[pid]; at > 1; at = parents[at] {
			if at == os.Getpid() {
				sum += threadsTime(pid)
			}
		}
	}
	return sum
}

func threadsTime(pid int) (sum time.Duration) {
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range all {
		if b, err := os.ReadFile(file); err == nil {
			first, _, _ := strings.Cut(string(b), " ")
			n, _ := strconv.ParseInt(first, 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
}

// compare adds a row. A budget of 0 is none.
func (p *peers) compare(path, against string, parallel int, ours, theirs pace, budget float64) {
	ratio := theirs.wall.Seconds() / ours.wall.Seconds()
	word := ""
	if budget > 0 {
		word = fmt.Sprintf("%.1f", budget)
		if ratio < budget {
			word += ": missed"
			p.under = append(p.under, fmt.Sprintf("%s at %d", path, parallel))
		}
	}
	one := func(f pace) string { return fmt.Sprintf("%.0f/s, p99 %s", 1/f.wall.Seconds(), short(f.p99)) }
	p.row(path, strconv.Itoa(parallel), one(ours), against+" "+one(theirs), fmt.Sprintf("%.2f", ratio),
		fmt.Sprintf("%s / %s = %.2f", short(ours.cpu), short(theirs.cpu), ours.cpu.Seconds()/theirs.cpu.Seconds()), word)
}

func (p *peers) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nCOUNTERSIGN\tIN FLIGHT\tMEASURED\tPEER\tRATIO\tCPU TIME OF ALL\tBUDGET")
	for _, r := range p.rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	fmt.Fprintf(w, "%d cores of %s, %s; %s\nrounds of %s in turns, medians; clients and all servers on this machine, and the CPU time of all of them\n",
		runtime.NumCPU(), processor(), runtime.Version(), strings.Join(p.versions(), ", "), round)
	if len(p.under) > 0 {
		fmt.Fprintf(w, "under the budget: %s\n", strings.Join(p.under, "; "))
	}
	w.Flush()
}

// processor is the kernel's name of the machine's processor.
func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	_, after, _ := strings.Cut(string(b), "model name\t: ")
	name, _, _ := strings.Cut(after, "\n")
	return name
}

// versions are those of what was measured.
func (p *peers) versions() (out []string) {
	for _, of := range [][]string{{"freeradius", "-v"}, {"/usr/lib/postgresql/15/bin/postgres", "--version"}} {
		if text, err := exec.Command(of[0], of[1:]...).CombinedOutput(); err == nil {
			line, _, _ := strings.Cut(strings.TrimPrefix(string(text), "radiusd: "), "\n")
			line, _, _ = strings.Cut(line, ", for host")
			out = append(out, line)
		}
	}
	for name, program := range map[string]string{"oauth2-proxy": p.proxy, "dex": p.dex} {
		if info, err := buildinfo.ReadFile(program); err == nil {
			out = append(out, name+" "+versionOf(info, name))
		}
	}
	return out
}

// versionOf is the version of the module that a program is built from, which may be another's
// dependency.
func versionOf(info *buildinfo.BuildInfo, name string) string {
	for _, m := range info.Deps {
		if strings.HasSuffix(m.Path, "/"+name) {
			return m.Version
		}
	}
	return info.Main.Version
}

// each measures both at every level.
func (p *peers) each(path, against string, budget float64, ours, theirs func(worker int) error) {
	for _, n := range levels {
		a, b := p.race(n, ours, theirs)
		p.compare(path, against, n, a, b, budget)
	}
}

// asks is the load on a FreeRADIUS: each worker is a person, or many in turn.
func (p *peers) asks(r *peer) func(worker int) error {
	all := askers(p.b, r.addr)
	return func(i int) error {
		code, err := all[i].ask(person(i), r.password(i))
		if err == nil && code != accept {
			err = fmt.Errorf("FreeRADIUS answers %s with %d", person(i), code)
		}
		return err
	}
}

// askers are a socket for each of the most that are in flight.
func askers(b testing.TB, to string) []*asker {
	all := make([]*asker, slices.Max(levels))
	for i := range all {
		all[i] = newAsker(b, to, servertest.DrillSecret)
	}
	return all
}

// file compares the server without store with a FreeRADIUS that reads a file.
func (p *peers) file() {
	ours := askers(p.b, bareRADIUS(p.b))
	p.each("RADIUS, no store", "FreeRADIUS, passwords in a file", 0, func(i int) error {
		_, err := ours[i].ask(person(i), "123456")
		return err
	}, p.asks(fileRADIUS(p.b)))
}

// signIns is the load on Countersign: codes that are good once, audited.
func (p *peers) signIns(dsn string) func(worker int) error {
	w := servertest.NewWorldOn(p.b, dsn)
	holders := spread(populate(p.b, w, accounts, accounts), slices.Max(levels))
	all := askers(p.b, w.Radius)
	return func(i int) error { return holders[i].signIn(all[i]) }
}

func (p *peers) sqlite() {
	p.each("code, single use, audited; SQLite", "FreeRADIUS, SQLite", 0, p.signIns(""), p.asks(sqliteRADIUS(p.b)))
}

// postgres measures both on one server, each in its own database, and PostgreSQL by itself with
// the same statements: that is the most of FreeRADIUS's rate that could be had.
func (p *peers) postgres() {
	dsn := storetest.StartDurablePostgres(p.b).DSN
	theirs := p.asks(postgresRADIUS(p.b, dsn))
	w := servertest.NewWorldOn(p.b, dsn)
	holders, all := spread(populate(p.b, w, accounts, accounts), slices.Max(levels)), askers(p.b, w.Radius)
	alone := database(p.b, dsn, "alone")
	l := newLimit(p.b, alone)
	for _, n := range levels {
		before := w.DB.Condition().Stats()
		a, b := p.race(n, func(i int) error { return holders[i].signIn(all[i]) }, theirs)
		p.compare("code, single use, audited; PostgreSQL", "FreeRADIUS, PostgreSQL", n, a, b, 1.2)
		after := w.DB.Condition().Stats()
		each := min(int((after.Requests-before.Requests)/(after.Batches-before.Batches)), 32)
		conns := min(n, 2)
		a, b = p.raceOf(side{work: l.signIns(p.b, alone, conns, each), seen: make([][]time.Duration, conns)}, side{work: theirs, seen: make([][]time.Duration, n)})
		if n == 1 {
			c, d := p.race(n, p.behind(alone, l), theirs)
			p.compare("its statements behind an exchange of RADIUS, 1 a commit", "FreeRADIUS, PostgreSQL", n, c, d, 0)
		}
		p.compare(fmt.Sprintf("PostgreSQL alone, its statements, %d a commit, %d connections", each, conns), "FreeRADIUS, PostgreSQL", n, a, b, 0)
	}
}

// behind is the server without an engine, with the statements of a sign-in in the engine's place: what
// no engine can be faster than where one request is in flight.
func (p *peers) behind(dsn string, l *limit) func(worker int) error {
	all := []*asker{newAsker(p.b, bareRADIUSOf(p.b, statementsOnly{commit: l.signIns(p.b, dsn, 1, 1)}), servertest.DrillSecret)}
	return func(i int) error {
		_, err := all[i].ask(person(i), "123456")
		return err
	}
}

// statementsOnly is an engine that runs the statements of a sign-in and decides nothing.
type statementsOnly struct {
	noStore
	commit func(worker int) error
}

func (s statementsOnly) Begin(ctx context.Context, r signin.Request) (signin.Step, error) {
	if err := s.commit(0); err != nil {
		return signin.Step{}, err
	}
	return s.noStore.Begin(ctx, r)
}

// database makes another database on a server.
func database(b testing.TB, dsn, name string) string {
	b.Helper()
	if _, err := storetest.File(b, dsn).Exec("create database " + name); err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		b.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// forward compares the check of a live session, behind fifty rules, with oauth2-proxy's check
// of its own.
func (p *peers) forward() {
	w := servertest.NewWorld(p.b)
	check := httptest.NewServer(w.Handler)
	defer check.Close()
	headers, _ := p.session(w)
	p.proxy = installed(p.b, "oauth2-proxy")
	proxy, cookie := oauth2Proxy(p.b, p.proxy)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	get := func(address string, h http.Header, want int) func(int) error {
		return func(int) error {
			r, _ := http.NewRequest("GET", address, nil)
			r.Header = h
			resp, err := client.Do(r)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != want {
				return fmt.Errorf("%s: %s", address, resp.Status)
			}
			return nil
		}
	}
	p.each("forward-auth, session and 50 rules", "oauth2-proxy, session in a cookie", 0,
		get(check.URL+"/verify/caddy", headers, http.StatusOK),
		get(proxy+"/oauth2/auth", http.Header{"Cookie": {cookie}}, http.StatusAccepted))
}

// oauth2Proxy starts an oauth2-proxy and signs a person in from its own list, so that it needs
// no identity provider. It returns its address and the cookie of the session.
func oauth2Proxy(b testing.TB, program string) (base, cookie string) {
	b.Helper()
	folder := b.TempDir()
	list := filepath.Join(folder, "htpasswd")
	// The hash of "password": SHA-1 is checked once, when she signs in.
	if err := os.WriteFile(list, []byte("ada:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	addr := testbed.Addr(b)
	testbed.Start(b, testbed.Process{Path: program, Dir: folder, Ready: addr, Args: []string{
		"--http-address=" + addr, "--htpasswd-file=" + list, "--provider=github", "--client-id=none", "--client-secret=none",
		"--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--email-domain=*", "--upstream=static://202",
		"--reverse-proxy=true", "--request-logging=false", "--auth-logging=false", "--standard-logging=false",
	}})
	base = "http://" + addr
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(base+"/oauth2/sign_in", url.Values{"username": {"ada"}, "password": {"password"}, "rd": {"/"}})
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	for _, c := range resp.Cookies() {
		if c.Name == "_oauth2_proxy" {
			return base, c.Name + "=" + c.Value
		}
	}
	b.Fatalf("oauth2-proxy gives no session: %s", resp.Status)
	return "", ""
}
