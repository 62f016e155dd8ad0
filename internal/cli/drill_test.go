package cli

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/nouns"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/directory"
	"countersign/internal/drill"
	"countersign/internal/drill/host"
	"countersign/internal/drill/web"
	"countersign/internal/drill/wire"
	"countersign/internal/failure"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
	"countersign/internal/throttle"
)

// clerk does commands on a world as an administrator who is always fresh.
// Grants come from the engine, as for everybody.
type clerk struct {
	w      *world
	name   string
	person *person
	secret string
}

func (w *world) clerk() *clerk {
	return &clerk{w: w, name: "operator", person: w.administrator("operator")}
}

func (o *clerk) Do(ctx context.Context, action string, in, out any) error {
	s, ok := nouns.Commands().Find(action)
	if !ok {
		return errors.New("no such command: " + action)
	}
	cmd := s.New()
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, cmd); err != nil {
		return err
	}
	g, err := o.grant(ctx, cmd)
	if err != nil {
		return err
	}
	answer, err := o.w.Admin.Do(ctx, g, cmd)
	if err != nil || out == nil {
		return err
	}
	if b, err = json.Marshal(answer); err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func (o *clerk) grant(ctx context.Context, c admin.Command) (signin.Grant, error) {
	for range 2 {
		if o.secret != "" {
			step, err := o.w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Session: o.secret, Protocol: "api"})
			if err != nil || step.State == signin.Granted {
				return step.Grant, err
			}
		}
		o.w.later(time.Minute) // so that there is a code that was not used
		if err := o.signIn(); err != nil {
			return signin.Grant{}, err
		}
	}
	return signin.Grant{}, failure.Refuse("operator", o.name+" cannot sign in")
}

func (o *clerk) signIn() error {
	step, err := o.w.Engine.Begin(context.Background(), line(o.name, passphrase, o.person.code()))
	if err != nil {
		return err
	}
	if step.State != signin.Granted {
		return fmt.Errorf("%s: %s %s", o.name, step.State, step.Reason)
	}
	o.secret, err = o.w.Sessions.Start(context.Background(), step.Grant, "operator")
	return err
}

const drillSecret = "a-secret-of-the-equipment"

// oneFactor is a policy that takes the guard out.
const oneFactor = `rules:
  - name: anything goes
    when: '!(account.new && action == "authenticator.enroll")'
    require: one-factor
  - name: the first authenticator
    when: account.new && action == "authenticator.enroll"
    require: access-pass
`

// bed is a guarded world and an unguarded one, each behind its nginx.
type bed struct {
	t              testing.TB
	guarded, naked *world
	stage, open    drill.Stage
	admin, naive   *clerk
	host           *consoleOf // of the guarded one, or nil
	database       *storetest.Server
	gone           atomic.Bool // what RADIUS relays drop
	impostor       atomic.Bool // who else answers RADIUS, without the secret
}

func newBed(t testing.TB, limits throttle.Limits) *bed {
	b := &bed{t: t, database: storetest.StartPostgres(t)}
	b.guarded, b.naked = newWorldFrom(t, server.Settings{Database: b.database.DSN, Limits: limits}, "http://localhost", nil), newWorld(t)
	b.admin, b.naive = b.guarded.clerk(), b.naked.clerk()
	b.stage, b.open = b.stageOf(b.guarded, b.relay(b.guarded.radius, "")), b.stageOf(b.naked, b.naked.radius)
	b.naked.setPolicy(oneFactor)
	b.consoles()
	return b
}

// hostAddress is where the host of the console asks from.
const hostAddress = "127.0.0.77"

// consoles gives each world a host that asks it: the one of the documentation, and
// one without the line that asks for codes. Only root can add a PAM service.
func (b *bed) consoles() {
	if os.Getuid() != 0 {
		b.t.Log("T1078.003 is not drilled: only root can add a PAM service; run the tests with sudo")
		return
	}
	with, without := b.guarded.console(hostAddress+"/32"), b.naked.console(hostAddress+"/32")
	with.radius = b.relay(b.guarded.radius, hostAddress)
	with.asks(with.radius, pamSecret)
	without.stack(unguarded(documentedStack(b.t)))
	b.host = with
	b.stage.Components = append(b.stage.Components, host.Component(with))
	b.open.Components = append(b.open.Components, host.Component(without))
}

func (w *world) setPolicy(body string) {
	w.t.Helper()
	err := w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := w.Rules.Save(context.Background(), tx, body, "test"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.policy", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (b *bed) stageOf(w *world, radius string) drill.Stage {
	page := w.behindNginx(testbed.NewPage(b.t))
	if err := w.PlantApplications(context.Background(), page, drillSecret); err != nil {
		b.t.Fatal(err)
	}
	server := web.Server(w.base)
	return drill.Stage{Components: []drill.Component{
		server.Portal(), server.Page("http://" + page + "/notes"), wire.Radius{Address: radius, Secret: drillSecret, Owners: server}.Component(), server.Administration(),
	}, Patience: 700 * time.Millisecond, From: netip.MustParseAddr("127.0.0.66")}
}

// relay passes datagrams on to a RADIUS server, from an address of its own where it
// has one, until it is told to drop them.
func (b *bed) relay(to, as string) string {
	d := net.Dialer{}
	if as != "" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(as)}
	}
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { front.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := front.ReadFrom(buffer)
			if err != nil {
				return
			}
			switch packet := slices.Clone(buffer[:n]); {
			case b.impostor.Load():
				go welcomeAll(front, from, packet)
			case !b.gone.Load():
				go answerFor(front, from, d, to, packet)
			}
		}
	}()
	return front.LocalAddr().String()
}

func answerFor(front net.PacketConn, from net.Addr, d net.Dialer, to string, packet []byte) {
	c, err := d.Dial("udp", to)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute)) // bounds who is never answered
	if _, err := c.Write(packet); err != nil {
		return
	}
	reply := make([]byte, 4096)
	if n, err := c.Read(reply); err == nil {
		front.WriteTo(reply[:n], from)
	}
}

// welcomeAll answers as a RADIUS server does that does not know the secret: it
// accepts, under a secret of its own.
func welcomeAll(front net.PacketConn, from net.Addr, packet []byte) {
	if len(packet) < 20 {
		return
	}
	reply := append([]byte{2, packet[1], 0, 20}, packet[4:20]...)
	sum := md5.Sum(append(slices.Clone(reply), "a guess"...))
	front.WriteTo(append(reply[:4], sum[:]...), from)
}

func (b *bed) Unguarded() (drill.Stage, drill.Administrator) { return b.open, b.naive }

func (b *bed) Later(d time.Duration) {
	b.guarded.later(d)
	b.naked.later(d)
}

// Trick plays what an intruder leaves of Countersign's address, or of what it
// stands on.
func (b *bed) Trick(_ context.Context, name string) (func(), error) {
	if play := b.databaseTricks()[name]; play != nil {
		return play(), nil
	}
	if name == "clock-a-year-on" {
		b.guarded.later(365 * 24 * time.Hour)
		return func() { b.guarded.later(-365 * 24 * time.Hour) }, nil
	}
	h := map[string]http.HandlerFunc{"hosts-entry": reset, "stopped": hangUp, "silent": sayNothing, "wrong-certificate": speakTLS}[name]
	if h == nil {
		return nil, errors.New("no such trick: " + name)
	}
	b.guarded.instead.Store(&h)
	b.gone.Store(true)
	b.impostor.Store(name == "hosts-entry")
	return func() { b.guarded.instead.Store(nil); b.gone.Store(false); b.impostor.Store(false) }, nil
}

// databaseTricks are what becomes of PostgreSQL. Its full disk is what it says of
// one (53100) to whatever would write.
func (b *bed) databaseTricks() map[string]func() (undo func()) {
	return map[string]func() func(){
		"database-gone": func() func() {
			b.database.Kill()
			return func() { b.database.Restart(b.t); b.well() }
		},
		"database-frozen": func() func() {
			resume := b.database.Pause(b.t)
			return func() { resume(); b.well() }
		},
		"read-only": func() func() {
			b.database.Do(b.t, `alter system set default_transaction_read_only = on`, `select pg_reload_conf()`)
			b.ill()
			return func() {
				b.database.Do(b.t, `set default_transaction_read_only = off`, `alter system reset default_transaction_read_only`, `select pg_reload_conf()`)
				b.well()
			}
		},
		"disk-full": func() func() {
			full, empty := []string{`create function disk_full() returns trigger language plpgsql as $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`}, []string{}
			for _, table := range []string{"audit_inbox", "attempt", "guess", "credential", "spent", "ticket", "session", "account", "approval", "notice"} {
				full = append(full, `create trigger disk_full before insert or update on `+table+` execute function disk_full()`)
			}
			empty = append(empty, `drop function disk_full cascade`)
			b.database.Do(b.t, full...)
			return func() { b.database.Do(b.t, empty...); b.well() }
		},
	}
}

// ill waits until the guarded server can write no more: each of PostgreSQL's processes
// reads its configuration anew when it gets to it.
func (b *bed) ill() {
	refused := 0
	b.guarded.until("the guarded server can write no more", func() bool {
		refused++
		err := b.guarded.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: "test.ill", Outcome: audit.OK})
		})
		if err == nil {
			refused = 0
		}
		return refused >= 20
	})
}

// well waits until the guarded server can write again.
func (b *bed) well() {
	b.guarded.until("the guarded server comes back by itself", func() bool {
		return nil == b.guarded.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: "test.well", Outcome: audit.OK})
		})
	})
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		c.Close()
	}
}

// reset is what a client meets at an address where nothing listens.
func reset(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		c.(*net.TCPConn).SetLinger(0) //nolint:errcheck // it is closed either way
		c.Close()
	}
}

func sayNothing(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// speakTLS answers as a TLS server does to a client that speaks http, which is
// what a wrong certificate comes to where the certificate is checked.
func speakTLS(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		c.Write([]byte{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a})
		c.Close()
	}
}

var _ drill.Bed = (*bed)(nil)

// The promise of the product: every row that has a drill is attacked with real
// components and holds, with all five proofs.
func TestDrill(t *testing.T) {
	b := newBed(t, throttle.Limits{})
	results, err := drill.Run(t.Context(), drill.Plan{Stage: b.stage, Admin: b.admin, Bed: b, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, r := range results {
		if r.Skipped != "" {
			continue
		}
		played++
		for _, p := range r.Proofs() {
			t.Logf("%-10s %-12s %-7s %s", r.Row, p.Name, p.State, p.Detail)
			if p.State != drill.Passed {
				t.Errorf("%s: %s %s: %s", r.Row, p.Name, p.State, p.Detail)
			}
		}
		for _, d := range r.Doors {
			t.Logf("%-10s   door %s: open %t %s", r.Row, d.Name, d.Open, d.Detail)
		}
	}
	want := 17
	if b.host == nil {
		want = 16
	}
	if played < want {
		t.Errorf("only %d of %d rows were drilled", played, want)
	}
}

// A drill that cannot fail shows nothing: where the guard is out, each row of a
// deployment says so.
func TestDrillFails(t *testing.T) {
	b := &bed{t: t, naked: newWorld(t)}
	b.naive = b.naked.clerk()
	b.open = b.stageOf(b.naked, b.naked.radius)
	b.naked.setPolicy(oneFactor)
	rows := []string{"T1040", "T1078", "T1110", "T1110.001", "T1110.002", "T1110.003", "T1110.004", "T1133", "T1213"}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: b.open, Admin: b.naive, Rows: rows})
	if err != nil || len(results) != len(rows) {
		t.Fatal(len(results), err)
	}
	for _, r := range results {
		if r.Blocked.State != drill.Failed || r.Passed() {
			t.Errorf("%s is said to hold without its guard: %+v", r.Row, r.Blocked)
		}
		if r.Control.State != drill.NotTried || r.Closed.State != drill.NotTried {
			t.Errorf("%s claims proofs that a deployment cannot give", r.Row)
		}
	}
}

// The same for the rows whose guard no policy takes out: each without its own.
func TestDrillFailsWithoutItsOwnGuard(t *testing.T) {
	failed := func(t *testing.T, p drill.Plan) {
		t.Helper()
		results, err := drill.Run(t.Context(), p)
		if err != nil || len(results) != len(p.Rows) {
			t.Fatal(len(results), err)
		}
		for _, r := range results {
			t.Logf("%s: %s", r.Row, r.Blocked.Detail)
			if r.Blocked.State != drill.Failed || r.Passed() || !strings.HasPrefix(r.Blocked.Detail, "got through: ") {
				t.Errorf("%s is said to hold without its guard: %+v", r.Row, r.Blocked)
			}
		}
	}
	t.Run("administration asks for nothing fresh, accounts never sleep, a host asks for no code", func(t *testing.T) {
		b := newBed(t, throttle.Limits{Dormant: 365 * 24 * time.Hour})
		b.guarded.setPolicy(oneFactor)
		rows := []string{"T1098", "T1556.006", "T1621"}
		if b.host != nil {
			b.host.stack(unguarded(documentedStack(t)))
			rows = append(rows, "T1078.003")
		}
		failed(t, drill.Plan{Stage: b.stage, Admin: b.admin, Bed: b, Rows: rows})
	})
	deployment := func(t *testing.T) (*world, drill.Stage, *clerk) {
		w := newWorld(t)
		admin := w.clerk()
		return w, (&bed{t: t}).stageOf(w, w.radius), admin
	}
	t.Run("everybody administers, nobody is suspended", func(t *testing.T) {
		_, stage, admin := deployment(t)
		failed(t, drill.Plan{Stage: stage, Admin: careless{admin}, Rows: []string{"T1098.005", "T1136"}})
	})
	t.Run("one factor, and an account that came with its password", func(t *testing.T) {
		w, stage, admin := deployment(t)
		w.setPolicy(oneFactor)
		w.plantPassword("admin", "admin")
		failed(t, drill.Plan{Stage: stage, Admin: admin, Rows: []string{"T1078.001"}})
	})
}

// plantPassword makes an account with a password that nobody may choose.
func (w *world) plantPassword(name, password string) {
	w.t.Helper()
	salt, params := slowhash.NewSalt(), slowhash.Default()
	hash := slowhash.Hash{Params: params, Salt: salt, Result: params.Sum([]byte(password), salt)}
	state := fmt.Sprintf(`{"v":1,"phc":%q}`, hash)
	err := w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Directory.Create(context.Background(), tx, directory.NewAccount{Name: name})
		if err != nil {
			return err
		}
		if _, err := w.Credentials.Add(context.Background(), tx, directory.Credential{Account: a.ID, Kind: "password", Label: "Password", Traits: assurance.Known, State: []byte(state)}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.password", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// careless is an administrator who makes everybody one, and suspends nobody.
type careless struct{ *clerk }

func (c careless) Do(ctx context.Context, action string, in, out any) error {
	if action == "account.suspend" {
		return nil
	}
	if err := c.clerk.Do(ctx, action, in, out); err != nil || action != "account.create" {
		return err
	}
	name := in.(map[string]any)["name"].(string)
	return c.clerk.Do(ctx, "group.member.add", map[string]string{"group": "administrators", "account": name}, nil)
}

// The promise: an administrator drills the running installation from the command
// line; the report is signed, handed in, and coverage knows of it.
func TestDrillCommand(t *testing.T) {
	w := newWorld(t)
	ada := w.administrator("ada")
	host := w.behindNginx(testbed.NewPage(t))
	if err := w.PlantApplications(t.Context(), host, drillSecret); err != nil {
		t.Fatal(err)
	}
	sh, browser := w.shell(), w.person()
	sh.login(browser, "ada", ada.code())
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(drillSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report")
	out, complaint, ok := sh.run("", "drill", "run", "--data", w.folder, "--page", "http://"+host+"/notes", "--radius", w.radius, "--radius-secret-file", secret,
		"--row", "T1078", "--row", "T1133", "--row", "T1213", "--row", "T1621", "--out", report)
	if !ok || strings.Count(out, "yes") != 9 || !strings.Contains(out, "Open, because") {
		t.Fatalf("%s%s", out, complaint)
	}
	if w.events("drill.recorded") != 1 {
		t.Error("the report was not handed in")
	}
	if out, complaint, ok := sh.run("", "drill", "record", report); ok {
		t.Errorf("a report counts twice: %s%s", out, complaint)
	}
	out, complaint, ok = sh.run("", "coverage", "show", "T1213")
	if !ok || !strings.Contains(out, "proven") || !strings.Contains(out, "Drill passed") {
		t.Errorf("%s%s", out, complaint)
	}
	out, _, _ = sh.run("", "account", "list", "canary")
	if strings.Contains(out, "canary") {
		t.Errorf("canaries are left over:\n%s", out)
	}
	if w.events("account.removed") < 3 {
		t.Error("the removals are not in the log")
	}
}
