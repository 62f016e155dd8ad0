package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// together is one transaction on PostgreSQL that one request or several share. What need not
// be waited for is sent together: its begin with what its requests are about to read, and its
// commit with what they wrote. It is a [runner].
type together struct {
	conn *sql.Conn
	ctx  context.Context // of the whole transaction
	// shared ignores the contexts of statements: a cancelled statement would close the
	// connection, and all other requests would have to run again.
	shared bool
	// patient waits for each statement.
	patient bool

	known   *statements
	counted boarded // until it waits for a statement that was not read ahead

	begun  bool       // the begin was sent
	queue  []expected // writes that were not sent yet
	sent   int        // how many were
	failed bool       // a statement failed, and so the transaction
	wrote  footprints // of the requests that are done
}

// expected is a write of which it is expected how many rows it affects.
type expected struct {
	Statement
	rows int64
}

func newTogether(ctx context.Context, conn *sql.Conn, known *statements, shared, patient bool) *together {
	return &together{conn: conn, ctx: ctx, known: known, shared: shared, patient: patient, wrote: footprints{}}
}

// readAhead begins the transaction, and reads what its requests are about to read. Asks of one
// text are sent as one statement. Where one fails, the transaction is run again and nothing read
// ahead, so that only the request whose ask it is hears of it.
func (t *together) readAhead(batch []*request) error {
	if t.patient {
		for _, r := range batch {
			r.ahead = nil // of an earlier try
		}
		return nil
	}
	var asks groups
	var places []place
	for _, r := range batch {
		for _, a := range r.work.ahead {
			places = append(places, asks.add(alike{query: a.Query, kinds: kindsOf(a.Args)}, a.Args))
		}
	}
	if len(asks) == 0 {
		return nil // it begins with the first statement
	}
	all, sent := asks.statements()
	results, err := t.exchange(t.ctx, all...)
	if own(err) {
		return fmt.Errorf("%w: %w", errUnlike, err)
	}
	if err != nil {
		return err
	}
	answers := make([][]Result, len(asks))
	for i, g := range asks {
		answers[i], results = g.answers(results[:sent[i]]), results[sent[i]:]
	}
	for _, r := range batch {
		r.ahead = make([]read, len(r.work.ahead))
		for i, a := range r.work.ahead {
			r.ahead[i] = read{a, answers[places[i].group][places[i].at], t.known.touches(a.Query).reads}
		}
		places = places[len(r.ahead):]
	}
	return nil
}

// undo takes back what a request has queued since a mark, and reports whether that was all
// that it has done.
func (t *together) undo(m progress) bool {
	if t.failed || t.sent != m.sent || len(t.queue) < m.queued {
		return false
	}
	t.queue = t.queue[:m.queued]
	return true
}

// progress is how far a transaction was before a request.
type progress struct{ sent, queued int }

func (t *together) progress() progress { return progress{t.sent, len(t.queue)} }

// errUnlike marks a transaction in which a statement did not do what [Tx.Expect] expected, or an
// [Ask] failed. It is run again, and each statement waited for.
var errUnlike = errors.New("store: a statement did not do what was expected of it")

// exchange sends what is queued and these statements, and returns the results of these.
func (t *together) exchange(ctx context.Context, more ...Statement) ([]Result, error) {
	if t.shared {
		ctx = t.ctx
	}
	all := make([]Statement, 0, 1+len(t.queue)+len(more))
	if !t.begun {
		all = append(all, Statement{Query: "begin isolation level serializable"})
	}
	all = append(all, t.queued()...)
	before := len(all)
	all = append(all, more...)
	t.begun, t.sent, t.queue = true, t.sent+len(t.queue), nil
	results, err := t.send(ctx, all)
	if err == nil {
		prove(all)
		return results[before:], nil
	}
	t.failed = true
	if misunderstood(err) && refuse(all) {
		return nil, errRetry
	}
	if len(results) < before && own(err) {
		err = fmt.Errorf("%w: %w", errUnlike, err)
	}
	return results[min(before, len(results)):], err
}

func (t *together) send(ctx context.Context, all []Statement) (results []Result, err error) {
	raw := t.conn.Raw(func(c any) error {
		results, err = Exchange(ctx, c, all)
		return nil
	})
	return results, errors.Join(raw, err)
}

// own reports whether an error is the fault of a statement itself: PostgreSQL said so, and
// neither that the transaction collided nor that it is not available.
func own(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	kind := pgKind(pg.Code)
	return kind == nil || kind == ErrConflict
}

// misunderstood reports whether PostgreSQL says that a statement has a wrong syntax or type.
func misunderstood(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "42")
}

// expect queues a write that is expected to affect so many rows: if it does not, the
// transaction fails.
func (t *together) expect(rows int64, query string, args []any) {
	t.queue = append(t.queue, expected{Statement{query, args}, rows})
}

// queued are the statements for what is queued.
func (t *together) queued() []Statement {
	var writes groups
	for _, w := range t.queue {
		writes.add(alike{query: w.Query, kinds: kindsOf(w.Args), write: true, rows: w.rows, touch: t.known.touches(w.Query)}, w.Args)
	}
	all, _ := writes.statements()
	return all
}

// expectations are the statements that fail where they do not affect so many rows.
var expectations sync.Map // expectation -> string

type expectation struct {
	query string
	rows  int64
}

// expecting returns a statement that divides by zero where it does not affect so many rows.
func expecting(query string, rows int64) string {
	key := expectation{query, rows}
	if text, ok := expectations.Load(key); ok {
		return text.(string)
	}
	text := fmt.Sprintf("with done as (%s returning 1) select 1 / (count(*) = %d)::int from done", query, rows)
	expectations.Store(expectation{strings.Clone(query), rows}, text)
	return text
}

func (t *together) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	t.counted.leaves()
	results, err := t.exchange(ctx, Statement{query, args})
	t.sent++
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(results[0].affected), nil
}

func (t *together) QueryContext(ctx context.Context, query string, args ...any) (cursor, error) {
	t.counted.leaves()
	if t.shared {
		ctx = t.ctx
	}
	if len(t.queue) > 0 || !t.begun {
		if _, err := t.exchange(ctx); err != nil {
			return nil, err
		}
	}
	rows, err := t.conn.QueryContext(ctx, query, args...)
	t.failed = t.failed || err != nil
	if !strings.HasPrefix(query, "select") {
		t.sent++ // a write that returns rows
	}
	return rows, err
}

// rollback ends a transaction that was begun. A connection on which that fails is closed.
func (t *together) rollback() {
	if !t.begun {
		return
	}
	_ = t.conn.Raw(func(c any) error {
		if _, err := Exchange(t.ctx, c, []Statement{{Query: "rollback"}}); err != nil {
			return driver.ErrBadConn
		}
		return nil
	})
}
