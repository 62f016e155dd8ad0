package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/virtualauth"
)

// BenchmarkUnderAttack prints how long honest people wait while somebody attacks,
// against how long they wait when nobody does, in turns in the same run.
//
//	make bench-attack
//	make bench-attack ATTACK=/sign-ins
func BenchmarkUnderAttack(b *testing.B) {
	server.CollectLater()
	go server.CollectByLoad(b.Context())
	a := newBesieged(b)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nATTACK\tHONEST\tQUIET\tUNDER ATTACK\tRATIO\tLIMIT\tTURNED AWAY")
	for _, attack := range []struct {
		name string
		one  func(worker, i int)
	}{
		{"passwords sprayed from one address", a.spray(1)},
		{"passwords sprayed from 250 new addresses", a.spray(250)},
		{"passwords sprayed from 250 addresses, later", a.spray(250)},
		{"passwords sprayed, each from an address of its own", a.spray(1 << 24)},
		{"codes guessed", a.guess},
		{"sign-ins that nobody ends", a.halfOpen},
		{"garbage packets", a.garbage},
	} {
		b.Run(attack.name, func(b *testing.B) {
			for _, honest := range a.honest() {
				a.forgive()
				if strings.HasSuffix(attack.name, "later") {
					a.remember(250)
				}
				quiet, under := a.turns(attack.one, honest.sign)
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\tat most 2.00\t%d of %d\n", attack.name, honest.how, milliseconds(quiet.median()), milliseconds(under.median()),
					float64(under.median())/float64(quiet.median()), under.refused, under.refused+len(under.took))
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	w.Flush()
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1e3) }

// besieged is a server with an honest woman and an attacker.
type besieged struct {
	*servertest.World
	b       *testing.B
	key     *virtualauth.Key
	browser string // what ada's keeps
	holders []*holder
	asker   *asker
	n       atomic.Int64
}

func newBesieged(b *testing.B) *besieged {
	w := servertest.NewWorld(b)
	a := &besieged{World: w, b: b, holders: populate(b, w, 1000, inFlight)}
	a.asker = newAsker(b, w.Radius, servertest.DrillSecret)
	ada := w.EnrollCodes("ada")
	browser := w.Person()
	browser.Get("/sign-in")
	browser.SignIn("ada", ada.Code())
	a.key = &virtualauth.Key{NoCounter: true, BackupEligible: true, BackupState: true}
	browser.AddPasskey(a.key)
	a.comesFrom(home)
	return a
}

// home is from where ada was let in before, away from where nobody was.
var home, away = netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.77")

// passkey signs ada in from an address.
func (a *besieged) passkey(from netip.Addr) (signin.Step, error) {
	ctx := context.Background()
	s, err := a.Engine.Begin(ctx, signin.Request{Application: signin.Self, Protocol: "browser", Medium: prompt.Browser, Source: from})
	if err != nil {
		return s, err
	}
	i := slices.IndexFunc(s.Prompts, func(p prompt.Prompt) bool { return p.Kind == prompt.PublicKey })
	data, err := a.key.Get(a.Base, s.Prompts[i].Data)
	if err != nil {
		return s, err
	}
	return a.Engine.Answer(ctx, s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}, Source: from})
}

// comesFrom has ada let in from an address.
func (a *besieged) comesFrom(from netip.Addr) {
	s, err := a.passkey(from)
	if err != nil {
		a.b.Fatal(err)
	}
	g, err := a.Engine.Claim(context.Background(), s.Ticket, signin.Self, signin.SignIn, "")
	if err != nil {
		a.b.Fatal(err)
	}
	a.browser = a.Engine.Remember(g)
}

// way is one in which an honest person signs in.
type way struct {
	how  string
	sign func() (in bool, err error)
}

func (a *besieged) honest() []way {
	password := func(from netip.Addr, browser string) func() (bool, error) {
		return func() (bool, error) {
			s, err := a.Engine.Begin(context.Background(), signin.Request{Application: signin.Self, Name: "ada", Protocol: "browser", Medium: prompt.Browser, Source: from, Browser: browser,
				Opening: []prompt.Answer{{Authenticator: "password", Text: servertest.Passphrase}}})
			return s.State == signin.Ask, err
		}
	}
	return []way{
		{"code by RADIUS", func() (bool, error) {
			code, err := a.asker.ask(a.holders[0].name, a.holders[0].code())
			return code == 2, err
		}},
		{"passkey", func() (bool, error) {
			s, err := a.passkey(home)
			return s.State == signin.Granted, err
		}},
		{"password, as from home", password(home, "")},
		{"password, from a new place in her own browser", password(away, a.browser)},
		{"password, from a new place in another", password(away, "")},
	}
}

// spray tries passwords on names from so many addresses.
func (a *besieged) spray(addresses int) func(worker, i int) {
	return func(_, _ int) {
		n := a.n.Add(1)
		r := servertest.Line(fmt.Sprint("somebody-", n), "Winter2026!", "")
		r.Source = sprayer(n % int64(addresses))
		a.Engine.Begin(context.Background(), r) //nolint:errcheck // being turned away is what it gets
	}
}

// forgive waits until the window of what the whole installation was guessed is over:
// measured is how long people wait, and not from when on typed answers are taken from known
// places alone.
func (a *besieged) forgive() { a.Later(11 * time.Minute) }

// sprayer is one of an attacker's addresses.
func sprayer(i int64) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// remember gives the addresses of a spray the record of its first minutes.
func (a *besieged) remember(addresses int) {
	err := a.DB.Housekeep(context.Background(), "bench", func(tx *store.Tx) error {
		for i := range addresses {
			if err := servertest.Wears(a.World, tx, "source/"+sprayer(int64(i)).String(), 0, 20); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.b.Fatal(err)
	}
}

func (a *besieged) guess(worker, i int) {
	a.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: a.holders[1+i%(inFlight-1)].name, Protocol: "radius", Medium: prompt.Single, //nolint:errcheck // see spray
		CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: fmt.Sprintf("%06d", i%1_000_000)}}, Partner: "load"})
}

// halfOpen opens the sign-in page and goes no further, over a connection: this attack writes
// nothing, so that a loop in this process would wait for nothing and keep the cores to itself.
func (a *besieged) halfOpen(_, _ int) {
	r, err := http.Get(a.Base + "/sign-in")
	if err != nil {
		return
	}
	io.Copy(io.Discard, r.Body) //nolint:errcheck // see spray
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		a.b.Errorf("the page is answered by %s", r.Status)
	}
}

func (a *besieged) garbage(worker, i int) {
	conn := newAsker(a.b, a.Radius, strings.Repeat("x", 16)).conn
	defer conn.Close()
	for n := range 100 {
		conn.Write(make([]byte, 20+n%200)) //nolint:errcheck // a flood does not mind
	}
	time.Sleep(40 * time.Millisecond) // 20,000 a second of all eight: more would measure this machine's own sending
}

// waits are how long honest people waited.
type waits struct {
	took    []time.Duration
	refused int
}

func (w *waits) median() time.Duration {
	if len(w.took) == 0 {
		return 0
	}
	slices.Sort(w.took)
	return w.took[len(w.took)/2]
}

// turns measures honest sign-ins without and with an attack of eight at once.
func (a *besieged) turns(attack func(worker, i int), sign func() (bool, error)) (quiet, under waits) {
	for range 3 {
		a.measure(&quiet, sign)
		var stop atomic.Bool
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := worker; !stop.Load(); i += 8 {
					attack(worker, i)
				}
			})
		}
		time.Sleep(200 * time.Millisecond) // until it has begun
		a.measure(&under, sign)
		stop.Store(true)
		all.Wait()
	}
	return quiet, under
}

// measure signs in for a second, every twenty milliseconds more or less: at a fixed
// distance everybody would come in step with the attacker's hashes.
func (a *besieged) measure(w *waits, sign func() (bool, error)) {
	for begin := time.Now(); time.Since(begin) < time.Second; {
		time.Sleep(rand.N(40 * time.Millisecond))
		a.Later(time.Millisecond)
		start := time.Now()
		in, err := sign()
		if err != nil || !in {
			w.refused++
			continue
		}
		w.took = append(w.took, time.Since(start))
	}
}
