package servertest

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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/drill"
	"countersign/internal/drill/host"
	"countersign/internal/drill/web"
	"countersign/internal/drill/wire"
	"countersign/internal/drill/yubikey"
	"countersign/internal/failure"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// Clerk does commands on a world as an administrator who is always fresh.
// Grants come from the engine, as for everybody.
type Clerk struct {
	W      *World
	Name   string
	Person *Person
	Secret string
}

func (w *World) Clerk() *Clerk {
	return &Clerk{W: w, Name: "operator", Person: w.Administrator("operator")}
}

func (o *Clerk) Do(ctx context.Context, action string, in, out any) error {
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
	g, err := o.Grant(ctx, cmd)
	if err != nil {
		return err
	}
	answer, err := o.W.Admin.Do(ctx, g, cmd)
	if err != nil || out == nil {
		return err
	}
	if b, err = json.Marshal(answer); err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

func (o *Clerk) Grant(ctx context.Context, c admin.Command) (signin.Grant, error) {
	for range 2 {
		if o.Secret != "" {
			step, err := o.W.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Session: o.Secret, Protocol: "api"})
			if err != nil || step.State == signin.Granted {
				return step.Grant, err
			}
		}
		o.W.Later(time.Minute) // so that there is a code that was not used
		if err := o.SignIn(); err != nil {
			return signin.Grant{}, err
		}
	}
	return signin.Grant{}, failure.Refuse("operator", o.Name+" cannot sign in")
}

func (o *Clerk) SignIn() error {
	step, err := o.W.Engine.Begin(context.Background(), Line(o.Name, Passphrase, o.Person.Code()))
	if err != nil {
		return err
	}
	if step.State != signin.Granted {
		return fmt.Errorf("%s: %s %s", o.Name, step.State, step.Reason)
	}
	o.Secret, err = o.W.Sessions.Start(context.Background(), step.Grant, "operator")
	return err
}

const DrillSecret = "a-secret-of-the-equipment"

// OneFactor is a policy that takes the guard out.
const OneFactor = `rules:
  - name: anything goes
    when: '!(account.new && action == "authenticator.enroll")'
    require: one-factor
  - name: the first authenticator
    when: account.new && action == "authenticator.enroll"
    require: access-pass
`

// Bed is a guarded world and an unguarded one, each behind its nginx.
type Bed struct {
	T              testing.TB
	Guarded, Naked *World
	Stage, Open    drill.Stage
	// Sites are those of the stage that was made last: wiki and notes.
	Sites []web.Site
	// Repository is the address of that of the stage that was made last.
	Repository   string
	Admin, Naive *Clerk
	Host         *ConsoleOf // of the guarded one, or nil
	Database     *storetest.Server
	gone         atomic.Bool // what RADIUS relays drop
	impostor     atomic.Bool // who else answers RADIUS, without the secret
	post         *postOffice // of the guarded one, once somebody has an address
	cards        *CardTable  // of the guarded one
}

func NewBed(t testing.TB, limits throttle.Limits) *Bed {
	b := newBed(t, limits)
	// As much may be guessed as a server lets anybody set.
	b.Naked = NewWorldFrom(t, server.Settings{Limits: throttle.Limits{NextCode: 10, Delay: 10}}, "http://localhost", nil)
	b.Naive = b.Naked.Clerk()
	b.Open = b.StageOf(b.Naked, b.Naked.Radius)
	b.Open.Components = append(b.Open.Components, b.hybrids(b.Naked, b.Naive)...)
	b.Naked.SetPolicy(OneFactor)
	if b.Host != nil {
		without := b.Naked.Console(hostAddress + "/32")
		without.Stack(Unguarded(DocumentedStack(t)))
		b.Open.Components = append(b.Open.Components, host.Component("login", without))
	}
	return b
}

// NewGuardedBed is a bed without the unguarded world, for plans that are brief.
func NewGuardedBed(t testing.TB) *Bed { return newBed(t, throttle.Limits{}) }

func newBed(t testing.TB, limits throttle.Limits) *Bed {
	b := &Bed{T: t, Database: storetest.StartPostgres(t)}
	s := server.Settings{Database: b.Database.DSN, Limits: limits, Proxies: bedProxies}
	cards, l := cardTable(t, &s)
	b.Guarded = NewWorldFrom(t, s, "http://localhost", nil)
	b.cards, cards.World = cards, b.Guarded
	cards.serve(t, s, l)
	b.Admin = b.Guarded.Clerk()
	b.Stage = b.StageOf(b.Guarded, b.relay(b.Guarded.Radius, ""))
	b.Stage.Components = append(b.Stage.Components, b.waiting(b.Guarded), cards.reader(s.Cards.URL.Host))
	b.Stage.Components = append(b.Stage.Components, b.hybrids(b.Guarded, b.Admin)...)
	b.Guarded.SetPolicy(strings.Replace(unrepeated(PolicyInForce(b.Guarded)), "rules:\n", "rules:\n"+canariesAdminister, 1))
	b.console()
	return b
}

// canariesAdminister is the rule of a new installation that those of the test bed lack, because
// their operator has no passkey.
const canariesAdminister = `  - name: whoever else administers
    when: account.privileged && account.name != "operator" && action != "sign-in" && !reads
    require: phishing-resistant
    within: 5m
`

// unrepeated is the policy of a new installation without its last two rules, and their tests:
// they say again what the engine does by itself, that suspended and dormant accounts get
// nothing, so that a drill would not notice that the engine does not.
func unrepeated(body string) string {
	for _, part := range [][2]string{{"  - name: nobody dormant\n", "# Expectations"}, {"  - name: a dormant account enrolls nothing\n", ""}} {
		before, after, _ := strings.Cut(body, part[0])
		body = before
		if part[1] != "" {
			_, rest, _ := strings.Cut(after, part[1])
			body += part[1] + rest
		}
	}
	return body
}

// hostAddress is where the host of the console asks from.
const hostAddress = "127.0.0.77"

// console gives the guarded world a host that asks it, as the documentation has it; the
// unguarded world has one without the line that asks for codes. Only root can add a PAM
// service.
func (b *Bed) console() {
	if os.Getuid() != 0 {
		b.T.Log("T1078.003 is not drilled: only root can add a PAM service; run the tests with sudo")
		return
	}
	with := b.Guarded.Console(hostAddress + "/32")
	with.radius = b.relay(b.Guarded.Radius, hostAddress)
	with.asks(with.radius, PamSecret)
	b.Host = with
	b.Stage.Components = append(b.Stage.Components, host.Component("login", with))
}

func (w *World) SetPolicy(body string) {
	w.T.Helper()
	err := w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := w.Rules.Save(context.Background(), tx, body, "test"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.policy", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

func (b *Bed) StageOf(w *World, radius string) drill.Stage {
	server := web.Server(w.Base)
	b.Sites = b.sites(w)
	w.SetPolicy(bedPolicy)
	all := append([]drill.Component{server.Portal()}, server.Pages(b.Sites...)...)
	all = append(all, b.equipment(w, wire.Radius{Application: "vpn", Address: radius, Secret: DrillSecret, Owners: server})...)
	all = append(all, b.code(w)...)
	all = append(all, yubikey.Components(validation(w, "gate", "a-key-of-the-programs", 17), validation(w, "gate-other", "a-key-of-the-others!!", 18))[0])
	return drill.Stage{Components: append(all, server.Administration()), Groups: []string{writers}, Patience: 700 * time.Millisecond, From: netip.MustParseAddr("127.0.0.66")}
}

// relay passes datagrams on to a RADIUS server, from an address of its own where it
// has one, until it is told to drop them. What comes from one port leaves from one port, so
// that a retransmission is one behind it too.
func (b *Bed) relay(to, as string) string {
	d := net.Dialer{}
	if as != "" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(as)}
	}
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.T.Fatal(err)
	}
	b.T.Cleanup(func() { front.Close() })
	go func() {
		buffer, behind := make([]byte, 4096), map[string]net.Conn{}
		for {
			n, from, err := front.ReadFrom(buffer)
			if err != nil {
				for _, c := range behind {
					c.Close()
				}
				return
			}
			switch packet := slices.Clone(buffer[:n]); {
			case b.impostor.Load():
				go welcomeAll(front, from, packet, "a guess")
			case !b.gone.Load():
				passOn(front, from, d, to, behind, packet)
			}
		}
	}()
	return front.LocalAddr().String()
}

// passOn sends a datagram on, from the port that is kept for where it came from.
func passOn(front net.PacketConn, from net.Addr, d net.Dialer, to string, behind map[string]net.Conn, packet []byte) {
	c := behind[from.String()]
	if c == nil {
		var err error
		if c, err = d.Dial("udp", to); err != nil {
			return
		}
		behind[from.String()] = c
		go func() {
			reply := make([]byte, 4096)
			for {
				n, err := c.Read(reply)
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err == nil {
					front.WriteTo(reply[:n], from)
				}
			}
		}()
	}
	c.Write(packet) //nolint:errcheck // what is lost is sent again
}

// welcomeAll answers as a RADIUS server does that asks for nothing: it accepts, under a
// secret that may not be the client's.
func welcomeAll(front net.PacketConn, from net.Addr, packet []byte, secret string) {
	if len(packet) < 20 {
		return
	}
	reply := append([]byte{2, packet[1], 0, 20}, packet[4:20]...)
	sum := md5.Sum(append(slices.Clone(reply), secret...))
	front.WriteTo(append(reply[:4], sum[:]...), from)
}

func (b *Bed) Unguarded() (drill.Stage, drill.Administrator) { return b.Open, b.Naive }

func (b *Bed) Later(d time.Duration) {
	b.Guarded.Later(d)
	if b.Naked != nil {
		b.Naked.Later(d)
	}
}

// Smuggle does what somebody can who writes into the database: an account that nobody made.
func (b *Bed) Smuggle(account, name string) (undo func()) {
	where, fresh := fmt.Sprintf("where name = '%s'", account), fmt.Sprintf("(select id from account where name = '%s')", name)
	b.Database.Do(b.T,
		`insert into account overriding system value select (jsonb_populate_record(a, jsonb_build_object('id', 1000000 + a.id, 'name', '`+name+`', 'handle', '\\x' || encode(sha256(a.handle), 'hex')))).* from account a `+where,
		`insert into account_alias select (jsonb_populate_record(s, jsonb_build_object('alias', '`+name+`', 'account', `+fresh+`))).* from account_alias s where alias = '`+account+`'`,
		`insert into credential overriding system value select (jsonb_populate_record(c, jsonb_build_object('id', 1000000 + c.id, 'account', `+fresh+`, 'handle', null))).* from credential c where account = (select id from account `+where+`)`)
	return func() {
		b.Database.Do(b.T, `delete from credential where account = `+fresh, `delete from account_alias where alias = '`+name+`'`, `delete from account where name = '`+name+`'`)
	}
}

// Mailbox gives an account an address at which its mails are caught.
func (b *Bed) Mailbox(_ context.Context, name string) (func(context.Context) ([]string, error), error) {
	if b.post == nil {
		b.post = b.Guarded.PostOffice()
	}
	address := name + "@example.org"
	b.Guarded.Address(name, address)
	return func(context.Context) (subjects []string, err error) {
		b.post.Collect()
		for _, m := range b.post.Server.Mails() {
			if slices.Contains(m.To, address) {
				subjects = append(subjects, m.Header.Get("Subject"))
			}
		}
		return subjects, nil
	}, nil
}

// Woken wakes what waits, as a server does every second, until the test ends, and counts it.
func (b *Bed) Woken(endpoint string) (rings func() int) {
	var n atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	b.T.Cleanup(func() { stop(); done.Wait() })
	done.Go(func() {
		for ctx.Err() == nil {
			b.Guarded.SignIn.Pushes.Wake(ctx, func(_ context.Context, to authenticator.Address) error { //nolint:errcheck // the database is taken away at times
				if to.Endpoint == endpoint {
					n.Add(1)
				}
				return nil
			})
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() int { return int(n.Load()) }
}

// Trick plays what an intruder leaves of Countersign's address, or of what it
// stands on.
func (b *Bed) Trick(_ context.Context, name string) (func(), error) {
	if play := b.databaseTricks()[name]; play != nil {
		return play(), nil
	}
	if name == "clock-a-year-on" {
		b.Guarded.Later(365 * 24 * time.Hour)
		return func() { b.Guarded.Later(-365 * 24 * time.Hour) }, nil
	}
	h := map[string]http.HandlerFunc{"hosts-entry": reset, "stopped": hangUp, "silent": sayNothing, "wrong-certificate": speakTLS}[name]
	if h == nil {
		return nil, errors.New("no such trick: " + name)
	}
	b.Guarded.instead.Store(&h)
	b.gone.Store(true)
	b.impostor.Store(name == "hosts-entry")
	return func() { b.Guarded.instead.Store(nil); b.gone.Store(false); b.impostor.Store(false) }, nil
}

// databaseTricks are what becomes of PostgreSQL. Its full disk is what it says of
// one (53100) to whatever would write.
func (b *Bed) databaseTricks() map[string]func() (undo func()) {
	return map[string]func() func(){
		"database-gone": func() func() {
			b.Database.Kill()
			return func() { b.Database.Restart(b.T); b.well() }
		},
		"database-frozen": func() func() {
			resume := b.Database.Pause(b.T)
			return func() { resume(); b.well() }
		},
		"read-only": func() func() {
			b.Database.Do(b.T, `alter system set default_transaction_read_only = on`, `select pg_reload_conf()`)
			b.ill()
			return func() {
				b.Database.Do(b.T, `set default_transaction_read_only = off`, `alter system reset default_transaction_read_only`, `select pg_reload_conf()`)
				b.well()
			}
		},
		"disk-full": func() func() {
			full, empty := []string{`create function disk_full() returns trigger language plpgsql as $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`}, []string{}
			for _, table := range []string{"audit_inbox", "attempt", "guess", "credential", "spent", "ticket", "session", "account", "approval", "notice"} {
				full = append(full, `create trigger disk_full before insert or update on `+table+` execute function disk_full()`)
			}
			empty = append(empty, `drop function disk_full cascade`)
			b.Database.Do(b.T, full...)
			return func() { b.Database.Do(b.T, empty...); b.well() }
		},
	}
}

// ill waits until the guarded server can write no more: each of PostgreSQL's processes
// reads its configuration anew when it gets to it.
func (b *Bed) ill() {
	refused := 0
	b.Guarded.Until("the guarded server can write no more", func() bool {
		refused++
		err := b.Guarded.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
			return tx.Record(audit.Entry{Event: "test.ill", Outcome: audit.OK})
		})
		if err == nil {
			refused = 0
		}
		return refused >= 20
	})
}

// well waits until the guarded server can write again.
func (b *Bed) well() {
	b.Guarded.Until("the guarded server comes back by itself", func() bool {
		return nil == b.Guarded.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
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
