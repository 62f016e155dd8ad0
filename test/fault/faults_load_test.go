package fault

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/prompt"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/virtualauth"
)

// town is a world with honest people who keep signing in while it is attacked:
// ada by codes from where she always is, and with a passkey in her browser.
type town struct {
	*servertest.World
	ada, browser *servertest.Person
	key          *virtualauth.Key
	before       uint64 // octets on the heap when it began
}

func newTown(t *testing.T) *town {
	t.Helper()
	w, ada, browser, key := servertest.WithPasskey(t)
	d := &town{World: w, ada: ada, browser: browser, key: key}
	d.honest() // so that it is known from where she signs in
	d.before = servertest.Heap()
	return d
}

// honest signs ada in both ways.
func (d *town) honest() {
	d.T.Helper()
	d.Later(time.Minute)
	if s := d.Begin(servertest.Line("ada", servertest.Passphrase, d.ada.Code())); s.State != signin.Granted {
		d.T.Errorf("ada's code was refused during the attack: %s", s.Reason)
	}
	d.passkey()
}

// passkey signs ada in with her passkey in a fresh browser.
func (d *town) passkey() {
	d.T.Helper()
	p := d.Person()
	p.Get("/sign-in")
	p.UsePasskey(d.key)
	if !p.Inside() {
		d.T.Error("ada's passkey was refused during the attack")
	}
}

// flat fails when what the attack left in memory is more than a generous bound,
// far below one octet for each of its packets in a real flood.
func (d *town) flat() {
	d.T.Helper()
	if is := servertest.Heap(); is > d.before+48<<20 {
		d.T.Errorf("the heap grew from %d MiB to %d MiB", d.before>>20, is>>20)
	}
}

// alarms are the details of an event's entries, in their order.
func (d *town) alarms(event string) (all []audit.Entry) {
	d.T.Helper()
	all, err := d.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		d.T.Fatal(err)
	}
	return all
}

// once fails unless the alarm was raised once for this subject at this step.
func (d *town) once(event, subject, names string) {
	d.T.Helper()
	n := 0
	for _, en := range d.alarms(event) {
		if en.Detail["subject"] == subject && en.Detail["names"] == names {
			n++
		}
	}
	if n != 1 {
		d.T.Errorf("%s at %s names from %s was raised %d times", event, names, subject, n)
	}
}

// spray tries one password on many names from these sources in turn, a window of
// the budgets after every so many.
func (d *town) spray(names, each int, sources []netip.Addr) {
	d.T.Helper()
	for from := 0; from < names; from += each {
		var next atomic.Int64
		var all sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			all.Go(func() {
				for {
					i := from + int(next.Add(1)) - 1
					if i >= min(from+each, names) {
						return
					}
					name := fmt.Sprintf("person-%d", i)
					if i == names/2 {
						name = "ada" // she is one of many
					}
					r := servertest.Line(name, "Winter2026!", "")
					r.Source = sources[i%len(sources)]
					if s, err := d.Engine.Begin(context.Background(), r); err != nil || s.State != signin.Denied {
						d.T.Errorf("a sprayed password: %v, %v", s.State, err)
					}
				}
			})
		}
		all.Wait()
		d.honest()
		d.Later(11 * time.Minute)
	}
}

// The promise: a spray lets nobody in, is noticed once at each size, and honest
// people sign in during it.
func TestSpray(t *testing.T) {
	d := newTown(t)
	d.spray(120, 60, []netip.Addr{netip.MustParseAddr("198.51.100.66")})
	d.once("alarm.spray", "source/198.51.100.66", "20")
	d.once("alarm.spray", "source/198.51.100.66", "100")
	if n := len(d.alarms("alarm.spray")); n != 2 {
		t.Errorf("%d alarms of a spray", n)
	}
	d.flat()
}

// A few people who mistype over and over are no spray.
func TestFewNamesAreNoSpray(t *testing.T) {
	t.Parallel()
	d := newTown(t)
	for range 7 {
		for _, name := range []string{"ada", "somebody", "somebody-else", "a-third"} {
			if s := d.Begin(servertest.Line(name, "not the password", "")); s.Reason == "delayed" {
				t.Fatalf("%s was not compared", name)
			}
		}
		d.Later(2 * time.Minute)
	}
	if n := len(d.alarms("alarm.spray")); n != 0 {
		t.Errorf("%d alarms of a spray", n)
	}
	d.passkey() // her password may be worn out; her passkey is not
}

// reachable gives somebody a mail address for notices.
func (d *town) reachable(name string) {
	d.T.Helper()
	people := d.Accounts
	err := d.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		a, err := people.Find(context.Background(), tx, name)
		if err != nil {
			return err
		}
		if err := people.AddMail(context.Background(), tx, a.ID, name+"@example.org"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.mail", Outcome: audit.OK})
	})
	if err != nil {
		d.T.Fatal(err)
	}
}

// The promise: a run of pairs that leaked elsewhere lets nobody in, is noticed as
// what it is, and each owner is told once.
func TestStuffing(t *testing.T) {
	d := newTown(t)
	const people = 6
	for i := range people {
		name := fmt.Sprintf("person-%d", i)
		d.Welcomed(name).EnrollApp()
		d.reachable(name)
	}
	thief := netip.MustParseAddr("198.51.100.77")
	for range 2 {
		for i := range people {
			r := servertest.Line(fmt.Sprintf("person-%d", i), servertest.Passphrase, "000000")
			r.Source = thief
			if s := d.Begin(r); s.State != signin.Denied {
				t.Errorf("a leaked pair: %v", s.State)
			}
		}
		d.honest()
	}
	d.once("alarm.stuffing", "source/198.51.100.77", "5")
	if n := len(d.alarms("alarm.stuffing")); n != 1 {
		t.Errorf("%d alarms of a stuffing run", n)
	}
	if n := len(d.alarms("alarm.factor-missing")); n != 2*people {
		t.Errorf("%d times the password was right and the factor missing; %d in the log", 2*people, n)
	}
	var notices, owners int
	if err := d.DB.QueryRow(t.Context(), `select count(*), count(distinct account) from notice where subject like 'Somebody used your password%'`).Scan(&notices, &owners); err != nil {
		t.Fatal(err)
	}
	if notices != people || owners != people {
		t.Errorf("%d notices to %d owners; %d owners are each to be told once", notices, owners, people)
	}
	d.flat()
}

// flood sends garbage to the RADIUS server: noise, truncated packets, and
// requests under a secret that nobody has.
func (d *town) flood(packets int) {
	d.T.Helper()
	conn, err := net.Dial("udp", d.Radius)
	if err != nil {
		d.T.Fatal(err)
	}
	defer conn.Close()
	wrong := packet.NewSecret([]byte("not the secret of anybody"))
	noise := make([]byte, 256)
	for i := range packets {
		rand.Read(noise)
		octets := noise[:i%len(noise)]
		if i%3 == 0 {
			r := packet.Start(nil, packet.AccessRequest, byte(i))
			r.Add(packet.UserName, []byte("ada"))
			r.Hide(wrong, []byte(servertest.Passphrase), [16]byte(noise))
			if octets, err = r.Request(wrong, [16]byte(noise)); err != nil {
				d.T.Fatal(err)
			}
		}
		conn.Write(octets) //nolint:errcheck // a flood does not mind
	}
}

// The promise: a flood of garbage packets fills no memory and keeps no honest
// gateway out.
func TestFloodOfGarbage(t *testing.T) {
	d := newTown(t)
	d.garbage(20_000)
}

func (d *town) garbage(packets int) {
	g := servertest.Gateway{Address: d.World.Radius, Secret: "a-secret-of-the-equipment"}
	var flood sync.WaitGroup
	flood.Go(func() { d.flood(packets) })
	d.Later(time.Minute)
	code := d.ada.Code()
	d.Until("a gateway's request gets through", func() bool {
		ctx, stop := context.WithTimeout(context.Background(), 3*time.Second)
		defer stop()
		_, o := g.SignIn(ctx, "ada", func() string { return code })
		if o == servertest.Unknown { // a datagram may be lost; the code is spent then, or not
			d.Later(time.Minute)
			code = d.ada.Code()
		}
		return o == servertest.Accepted
	})
	flood.Wait()
	d.passkey()
	d.flat()
}

// halfOpen begins sign-ins that nobody goes on with.
func (d *town) halfOpen(many int) {
	d.T.Helper()
	for i := range many {
		s, err := d.Engine.Begin(context.Background(), signin.Request{Application: signin.Self, Name: fmt.Sprintf("person-%d", i), Protocol: "browser",
			Medium: prompt.Browser, Source: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})})
		if err != nil || s.State != signin.Ask {
			d.T.Fatalf("a sign-in that begins: %v, %v", s.State, err)
		}
	}
}

// The promise: sign-ins that nobody ends fill no memory, keep nobody out, and are
// gone when their time is over.
func TestHalfOpenSignIns(t *testing.T) {
	d := newTown(t)
	d.abandoned(2000)
}

func (d *town) abandoned(many int) {
	d.halfOpen(many)
	d.honest()
	d.flat()
	d.Later(time.Hour)
	for {
		n, err := d.Engine.Sweep(context.Background())
		if err != nil {
			d.T.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	var left int
	if err := d.DB.QueryRow(context.Background(), `select count(*) from attempt`).Scan(&left); err != nil {
		d.T.Fatal(err)
	}
	if left != 0 {
		d.T.Errorf("%d half-open sign-ins are left", left)
	}
	d.honest()
}
