package store_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A sign-in as the engine writes it: take the ticket, count the try, spend the
// code, keep the attempt, note the use, open a session, and one entry.
func signIn(ctx context.Context, db *store.DB, n int64) error {
	id := []byte(fmt.Sprintf("%032d", n))
	return db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
		var failures int64
		if err := tx.QueryRow(ctx, "select count(*) from spent where credential = $1 and once = $2", n, "57").Scan(&failures); err != nil {
			return err
		}
		for _, s := range []struct {
			q    string
			args []any
		}{
			{"insert into guess (subject, count, since) values ($1, 1, $2) on conflict (subject) do update set count = guess.count + 1", []any{"account/7", store.Unix(tx.Now())}},
			{"insert into attempt (handle, step, account, payload, created, expires) values ($1, 1, $2, $3, $4, $5)", []any{id, int64(7), make([]byte, 300), store.Unix(tx.Now()), store.Unix(tx.Now())}},
			{"insert into spent (credential, once, at) values ($1, $2, $3)", []any{n, "57", store.Unix(tx.Now())}},
			{"delete from attempt where handle = $1", []any{id}},
			{"update guess set count = count - 1 where subject = $1", []any{"account/7"}},
		} {
			if _, err := tx.Exec(ctx, s.q, s.args...); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "signin.granted", Outcome: audit.OK, Account: 7, AccountName: "ada",
			Application: "vpn", Protocol: "radius", Source: "203.0.113.9", Attempt: "4f1c2a9be77d",
			Detail: map[string]string{"authenticator": "totp", "credential": "12"}})
	})
}

func benchmarkChange(b *testing.B, db *store.DB, clients int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	before := db.Condition().Stats()
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := signIn(ctx, db, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	s := db.Condition().Stats()
	b.ReportMetric(float64(s.Requests-before.Requests)/float64(s.Batches-before.Batches), "changes/commit")
}

func BenchmarkChange1(b *testing.B)  { benchmarkChange(b, storetest.Open(b), 1) }
func BenchmarkChange64(b *testing.B) { benchmarkChange(b, storetest.Open(b), 64) }

func BenchmarkChangePostgres64(b *testing.B) {
	db := storetest.OpenWith(b, store.Options{DSN: storetest.Postgres(b)}, storetest.Keys(b))
	benchmarkChange(b, db, 64)
}

// The same behind a log of a million entries about as many accounts.
func BenchmarkChangeGrown64(b *testing.B) {
	db := storetest.Open(b)
	for part := range int64(100) {
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			for i := range int64(10_000) {
				n := part*10_000 + i
				e := audit.Entry{Event: "signin.granted", Outcome: audit.OK, Account: n * 7919 % 1_000_003, AccountName: "somebody"}
				if err := tx.Record(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	benchmarkChange(b, db, 64)
}
