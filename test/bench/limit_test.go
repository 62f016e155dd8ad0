package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// limit is PostgreSQL with what a sign-in by code cannot do without, and nothing else of
// Countersign: its statements, sent together as it sends them, with as many sign-ins for each
// commit. Nothing is checked, sealed or numbered, and no client asks.
type limit struct {
	one, many exchange
	rows      []*limitRow
}

// exchange are the texts that a transaction sends: what it reads, and what it writes.
type exchange struct{ reads, writes []string }

// limitRow is what the statements of one person are given.
type limitRow struct {
	name, status               string
	credential, version, power int64
	state, mac                 []byte
	bodies, macs               [][]byte
}

// newLimit records what sign-ins send, one alone and many at once, on a database of its own.
func newLimit(b *testing.B, dsn string) *limit {
	b.Helper()
	l := &limit{}
	f := storetest.NewFaults(b, dsn)
	b.Run("record", func(b *testing.B) { // its end stops the server, whose texts are kept
		w := servertest.NewWorldFrom(b, server.Settings{Database: dsn, Driver: f.Driver}, "http://localhost", nil)
		holders := spread(populate(b, w, accounts, accounts), 64)
		signIn := func(h *holder) {
			if err := attempt(w, h, true); err != nil {
				b.Error(err)
			}
		}
		for _, h := range holders {
			signIn(h)
		}
		l.one = recorded(f, func() { signIn(holders[0]) })
		for range 20 {
			l.many = recorded(f, func() {
				var all sync.WaitGroup
				for _, h := range holders {
					all.Go(func() { signIn(h) })
				}
				all.Wait()
			})
			if len(l.many.reads) > 0 && len(l.many.writes) > 0 && strings.Contains(l.many.reads[0]+l.many.writes[0], "unnest") {
				break
			}
		}
		b.ReportMetric(0, "ns/op")
	})
	if len(l.one.reads) != 3 || len(l.one.writes) < 3 || len(l.many.reads) != 3 || len(l.many.writes) < 3 {
		b.Fatalf("a sign-in sends other statements than were known: %q, %q", l.one, l.many)
	}
	l.people(b, dsn)
	return l
}

// recorded are the largest exchanges in which a sign-in reads and writes.
func recorded(f *storetest.Faults, do func()) (e exchange) {
	var mu sync.Mutex
	f.Waits(func(_ int64, together []string) {
		mu.Lock()
		defer mu.Unlock()
		switch all := strings.Join(together, ""); {
		case len(together) == 4 && strings.HasPrefix(all, "begin") && (e.reads == nil || strings.Contains(all, "unnest")):
			e.reads = together[1:]
		case len(together) == 4 && strings.HasSuffix(all, "commit") && strings.Contains(all, "into spent") && (e.writes == nil || strings.Contains(together[0], "unnest")):
			e.writes = together[:3]
		}
	})
	do()
	f.Waits(nil)
	mu.Lock()
	defer mu.Unlock()
	return e
}

// people reads what is there of those who have signed in.
func (l *limit) people(b *testing.B, dsn string) {
	b.Helper()
	ctx := context.Background()
	conn := l.connect(b, dsn)
	rows, err := conn.Query(ctx, `select n.alias, c.id, c.version, c.power, c.status, c.state, c.mac,
			array(select body from audit_entry e where e.account = c.account order by seq desc limit 2),
			array(select mac from audit_entry e where e.account = c.account order by seq desc limit 2)
		from credential c join account_alias n on n.account = c.account where c.version > 1 order by c.id limit 64`)
	if err != nil {
		b.Fatal(err)
	}
	l.rows, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*limitRow, error) {
		r := &limitRow{}
		return r, row.Scan(&r.name, &r.credential, &r.version, &r.power, &r.status, &r.state, &r.mac, &r.bodies, &r.macs)
	})
	if err != nil || len(l.rows) != 64 {
		b.Fatalf("%d people have signed in: %v", len(l.rows), err)
	}
}

// connect opens a connection as the server's own are.
func (*limit) connect(b *testing.B, dsn string) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err == nil {
		_, err = conn.Exec(context.Background(), "set enable_seqscan = off; set plan_cache_mode = force_generic_plan", pgx.QueryExecModeSimpleProtocol)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// signIns are sign-ins over so many connections, so many for each commit.
func (l *limit) signIns(b *testing.B, dsn string, conns, each int) func(worker int) error {
	b.Helper()
	commits := make([]func(worker int) error, conns)
	for i := range commits {
		conn, rows, left := l.connect(b, dsn), l.rows[i*len(l.rows)/conns:][:each], 0
		commits[i] = func(int) error {
			if left--; left >= 0 {
				return nil // it was in the last commit
			}
			left = each - 1
			return l.commit(conn, rows)
		}
	}
	return func(worker int) error { return commits[worker](worker) }
}

// commit is one transaction. It is run again where it collides, as the server does.
func (l *limit) commit(conn *pgx.Conn, rows []*limitRow) error {
	e := l.many
	if len(rows) == 1 {
		e = l.one
	}
	for {
		err := send(conn, append([]statement{{text: "begin isolation level serializable"}}, l.reading(e, rows)...))
		if err == nil {
			err = send(conn, append(l.writing(e, rows), statement{text: "commit"}))
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "40001" {
			if _, err := conn.Exec(context.Background(), "rollback"); err != nil {
				return err
			}
			continue
		}
		for _, r := range rows {
			r.version++
		}
		return err
	}
}

type statement struct {
	text string
	args []any
}

// send is one exchange.
func send(conn *pgx.Conn, all []statement) error {
	batch := &pgx.Batch{}
	for _, s := range all {
		batch.Queue(s.text, s.args...)
	}
	answers := conn.SendBatch(context.Background(), batch)
	for range all {
		rows, err := answers.Query()
		if err != nil {
			return errors.Join(err, answers.Close())
		}
		for rows.Next() {
			rows.RawValues()
		}
		if rows.Close(); rows.Err() != nil {
			return errors.Join(rows.Err(), answers.Close())
		}
	}
	return answers.Close()
}

var parameter = regexp.MustCompile(`\$(\d+)::(text|bigint|bytea)\[\]`)

// reading asks by the name for each text, and by 0 for each number.
func (l *limit) reading(e exchange, rows []*limitRow) (all []statement) {
	for i, text := range e.reads {
		var values [][]any
		for _, m := range parameter.FindAllStringSubmatch(l.many.reads[i], -1) {
			column := make([]any, len(rows))
			for k, r := range rows {
				if column[k] = any(r.name); m[2] == "bigint" {
					column[k] = int64(0)
				}
			}
			values = append(values, column)
		}
		all = append(all, statement{text, arguments(values, len(rows) == 1)})
	}
	return all
}

// writing spends a code, moves the counter, and leaves two entries, for each.
func (l *limit) writing(e exchange, rows []*limitRow) (all []statement) {
	now := time.Now().UnixMicro()
	spent, moved := make([][]any, 3), make([][]any, 9)
	var bodies, macs [][]byte
	for _, r := range rows {
		for i, v := range []any{r.credential, fmt.Sprintf("limit/%d", r.version), now} {
			spent[i] = append(spent[i], v)
		}
		for i, v := range []any{r.state, r.status, r.version + 1, r.power, now, r.mac, r.credential, r.version, r.power} {
			moved[i] = append(moved[i], v)
		}
		bodies, macs = append(bodies, r.bodies...), append(macs, r.macs...)
	}
	for _, text := range e.writes[:2] {
		values := spent
		if strings.Contains(text, "update credential") {
			values = moved
		}
		all = append(all, statement{text, arguments(values, len(rows) == 1)})
	}
	return append(all, statement{e.writes[2], []any{bodies, macs}})
}

// arguments are the values of one row, or an array for each column.
func arguments(values [][]any, one bool) (all []any) {
	for _, column := range values {
		switch column[0].(type) {
		case string:
			all = append(all, typed[string](column))
		case int64:
			all = append(all, typed[int64](column))
		default:
			all = append(all, typed[[]byte](column))
		}
		if one {
			all[len(all)-1] = column[0]
		}
	}
	return all
}

func typed[T any](column []any) []T {
	out := make([]T, len(column))
	for i, v := range column {
		out[i] = v.(T)
	}
	return out
}
