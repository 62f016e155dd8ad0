//go:build soak

package fault

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// TestSoakEveryStatementMayBreak breaks every statement, those that only read
// among them, on both sides, in both databases.
func TestSoakEveryStatementMayBreak(t *testing.T) {
	all := []breaking{
		{"before statement", func(f *storetest.Faults, n int) { f.Arm(n, storetest.Before) }},
		{"after statement", func(f *storetest.Faults, n int) { f.Arm(n, storetest.After) }},
	}
	for name, dsn := range map[string]func() string{"sqlite": func() string { return "" }, "postgres": func() string { return storetest.StartPostgres(t).DSN }} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, dsn())
			for _, a := range acts {
				t.Run(a.name, func(t *testing.T) { breakEvery(h, t, a, all) })
			}
		})
	}
}

// TestSoakKilled is TestKilledUnderRealClients, 500 times. Each customer tries
// used codes again after every fiftieth, so that none guesses more than an account
// may in an hour.
func TestSoakKilled(t *testing.T) {
	k := newKilling(t, 50)
	for n := range 500 {
		k.round(n)
	}
	k.settle()
}

// TestSoakPostgreSQLFrozen is TestPostgreSQLFrozen for ten seconds.
func TestSoakPostgreSQLFrozen(t *testing.T) {
	server := storetest.StartPostgres(t)
	frozen(newHouse(t, server.DSN), server, 10*time.Second)
}

// TestSoakSpray is an hour of a spray over 100,000 names, from one source and
// then from many.
func TestSoakSpray(t *testing.T) {
	var many []netip.Addr
	for i := range 250 {
		many = append(many, netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}))
	}
	for name, sources := range map[string][]netip.Addr{"one source": many[:1], "many sources": many} {
		t.Run(name, func(t *testing.T) {
			d := newTown(t)
			d.spray(50_000, 10_000, sources)
			if len(d.alarms("alarm.spray")) == 0 {
				t.Error("nobody noticed")
			}
			d.flat()
		})
	}
}

// TestSoakFlood is a long flood of garbage, and many half-open sign-ins.
func TestSoakFlood(t *testing.T) {
	d := newTown(t)
	d.garbage(5_000_000)
	d.abandoned(50_000)
}

// TestSoakSingleUse is TestSingleUseOnSeveralServers on two and on three for
// longer.
func TestSoakSingleUse(t *testing.T) {
	for _, servers := range []int{2, 3} {
		for round := range 10 { // of as many wrong answers as one source may give
			t.Run(fmt.Sprint(servers, "/", round), func(t *testing.T) { newSeveral(t, servers, 4).run(8, 8) })
		}
	}
}

// TestSoakAnHourOfStrangers is TestAnHourOfStrangers with twenty thousand requests of
// each kind.
func TestSoakAnHourOfStrangers(t *testing.T) { servertest.AnHourOfStrangers(t, 20_000) }
