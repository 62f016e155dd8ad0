package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// BenchmarkScale prints what accounts with an authenticator and entries of the audit log take
// on disk, and how many sign-ins by code a database of that size takes: docs/scale.md.
//
//	BENCHSIZE=full go test ./test/bench -run - -bench Scale -benchtime 1x -timeout 60m
func BenchmarkScale(b *testing.B) {
	for _, on := range []string{"sqlite", "postgres"} {
		b.Run(on, func(b *testing.B) {
			dsn, folder := "", b.TempDir()
			var s *storetest.Server
			if on == "postgres" {
				s = storetest.StartDurablePostgres(b)
				dsn = s.DSN
			}
			w := servertest.NewWorldOn(b, dsn)
			if s == nil {
				folder = w.Folder
			}
			bytes := func() float64 {
				if s != nil {
					return postgresSize(b, s)
				}
				return sqliteSize(b, folder)
			}
			accounts, entries := size()
			began, empty := time.Now(), bytes()
			holders := populate(b, w, accounts, accounts)
			people := bytes()
			fillLog(b, w, entries)
			logged := bytes()
			b.Logf("%d accounts with an authenticator: %.0f bytes each; %d entries: %.0f bytes each; %.2f GB in %s", accounts, (people-empty)/float64(accounts),
				entries, (logged-people)/float64(entries), logged/1e9, time.Since(began).Round(time.Second))
			all := askers(b, w.Radius)
			done := int64(0)
			for range rounds {
				n, err := rate(inFlight, func(i int) error { return holders[i*len(holders)/inFlight].signIn(all[i]) })
				if err != nil {
					b.Fatal(err)
				}
				done += n
			}
			b.Logf("%d sign-ins: %.0f bytes each", done, (bytes()-logged)/float64(done))
			b.ReportMetric(float64(done)/rounds/round.Seconds(), "sign-ins/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// postgresSize is what the database takes, indexes included, after the entries that waited for
// their number have it and the room of what was removed can be used again.
func postgresSize(b *testing.B, s *storetest.Server) (n float64) {
	b.Helper()
	db := storetest.File(b, s.DSN)
	for waiting := 1; waiting > 0; time.Sleep(100 * time.Millisecond) {
		if err := db.QueryRow("select count(*) from audit_inbox").Scan(&waiting); err != nil {
			b.Fatal(err)
		}
	}
	s.Do(b, "vacuum", "checkpoint")
	if err := db.QueryRow("select pg_database_size(current_database())").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// sqliteSize is what the file and its log take.
func sqliteSize(b *testing.B, folder string) (n float64) {
	b.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "countersign.db*"))
	if err != nil || len(all) == 0 {
		b.Fatal(fmt.Sprint("there is no database: ", err))
	}
	for _, file := range all {
		if info, err := os.Stat(file); err == nil {
			n += float64(info.Size())
		}
	}
	return n
}
