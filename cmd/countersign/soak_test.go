//go:build soak

package main

import (
	"testing"
	"time"

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
				t.Run(a.name, func(t *testing.T) { h.breakEvery(t, a, all) })
			}
		})
	}
}

// TestSoakKilled is TestKilledUnderRealClients, 500 times.
func TestSoakKilled(t *testing.T) {
	k := newKilling(t, 24)
	for n := range 500 {
		k.round(n)
	}
	k.settle()
}

// TestSoakPostgreSQLFrozen is TestPostgreSQLFrozen for ten seconds.
func TestSoakPostgreSQLFrozen(t *testing.T) {
	server := storetest.StartPostgres(t)
	newHouse(t, server.DSN).frozen(server, 10*time.Second)
}
