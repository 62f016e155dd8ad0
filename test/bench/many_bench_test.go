package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// BenchmarkMany prints what a sign-in by code costs PostgreSQL by itself, for people drawn at
// random from as many as BENCHSIZE says, beside a thousand of them: docs/scale.md. The others are
// made by SQL in the tables of the migrations, so nothing but the statements of a sign-in, which
// check no MAC, can be asked about them.
//
//	BENCHSIZE=full go test ./test/bench -run - -bench Many -benchtime 1x -timeout 60m
func BenchmarkMany(b *testing.B) {
	people, _ := size()
	s := storetest.StartDurablePostgres(b, "shared_buffers=1GB", "max_wal_size=4GB")
	l := newLimit(b, s.DSN)
	b.ReportMetric(0, "ns/op")
	for _, n := range []int{accounts, people} {
		s.Do(b, "delete from audit_inbox") // nobody numbers what sign-ins left
		began, before := time.Now(), postgresSize(b, s)
		clone(b, s, n)
		s.Do(b, "vacuum analyze", "checkpoint")
		took, grown := time.Since(began).Round(time.Second), postgresSize(b, s)-before
		if n > accounts {
			fmt.Printf("%.0f bytes for each of %d accounts more, made in %s\n", grown/float64(n-accounts), n-accounts, took)
		}
		l.draw(b, s.DSN)
		const each, conns = 20, 2
		work := l.inTurn(b, s.DSN, conns, each)
		for range 2 { // the first fills the caches, as a morning does
			there := s.CPU(b)
			done, err := rate(conns, work)
			if err != nil {
				b.Fatal(err)
			}
			fmt.Printf("%d accounts: %.0f sign-ins a second, %.1f us of PostgreSQL's CPU time each\n", n, float64(done)/round.Seconds(), (s.CPU(b)-there).Seconds()*1e6/float64(done))
		}
	}
}

// clone makes accounts with a name and an authenticator until there are so many.
func clone(b *testing.B, s *storetest.Server, n int) {
	b.Helper()
	s.Do(b, fmt.Sprintf(`insert into account (name, display, kind, state, handle, created, mac, roster, roster_mac, version)
			select 'many-' || g, display, kind, state, decode(md5(g::text) || md5('x' || g), 'hex'), created, mac, roster, roster_mac, version
			from generate_series(1, %d - (select count(*) from account)) g, (select * from account order by id limit 1) a`, n),
		"insert into account_alias (alias, account, mac) select name, id, mac from account where name like 'many-%'",
		`insert into credential (account, kind, label, traits, state, status, created, used, version, power, mac)
			select a.id, c.kind, c.label, c.traits, c.state, c.status, c.created, c.used, c.version, c.power, c.mac
			from account a, (select * from credential order by id limit 1) c where a.name like 'many-%'`)
}

// drawn is how many people sign in in turn.
const drawn = 40_000

// draw has those who sign in be drawn at random.
func (l *limit) draw(b *testing.B, dsn string) {
	b.Helper()
	ctx, conn := context.Background(), l.connect(b, dsn)
	var least, most int64
	if err := conn.QueryRow(ctx, "select min(id), max(id) from credential").Scan(&least, &most); err != nil {
		b.Fatal(err)
	}
	ids := make([]int64, drawn)
	for i := range ids {
		ids[i] = least + rand.Int64N(most-least+1)
	}
	rows, err := conn.Query(ctx, `select n.alias, c.id, c.version, c.power, c.status, c.state, c.mac
		from credential c join account_alias n on n.account = c.account where c.id = any($1)`, ids)
	if err != nil {
		b.Fatal(err)
	}
	bodies, macs := l.rows[0].bodies, l.rows[0].macs
	l.rows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*limitRow, error) {
		r := &limitRow{bodies: bodies, macs: macs}
		return r, row.Scan(&r.name, &r.credential, &r.version, &r.power, &r.status, &r.state, &r.mac)
	})
	if err != nil {
		b.Fatal(err)
	}
	rand.Shuffle(len(l.rows), func(i, j int) { l.rows[i], l.rows[j] = l.rows[j], l.rows[i] })
}

// inTurn is signIns for all of these people, one after the other.
func (l *limit) inTurn(b *testing.B, dsn string, conns, each int) func(worker int) error {
	b.Helper()
	commits := make([]func() error, conns)
	for i := range commits {
		conn, rows, at, left := l.connect(b, dsn), l.rows[i*len(l.rows)/conns:(i+1)*len(l.rows)/conns], 0, 0
		commits[i] = func() error {
			if left--; left >= 0 {
				return nil // it was in the last commit
			}
			if left = each - 1; at+each > len(rows) {
				at = 0
			}
			at += each
			return l.commit(conn, rows[at-each:at])
		}
	}
	return func(worker int) error { return commits[worker]() }
}
