package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"
)

const (
	// txTimeout bounds one transaction, here and in the server, so that a number
	// that the feed misses for feedGap is surely lost.
	txTimeout = 20 * time.Second
	// maxTries bounds how often PostgreSQL may ask to run a transaction again.
	maxTries = 50
)

// postgres is the engine for several servers: serializable transactions, run
// again when they collide, whose entries a sequencer numbers afterwards.
type postgres struct {
	db    *DB
	pool  *sql.DB
	lanes *lanes
	gate  sync.RWMutex // held for reading by what is under way
	shut  bool         // no more is let in
	seq   sequencer
}

// openPostgres opens one pool that writes and one that only reads.
func openPostgres(ctx context.Context, db *DB, o Options) error {
	writes, err := openPool(o, false)
	if err != nil {
		return err
	}
	if err := durable(ctx, writes); err != nil {
		return errors.Join(err, writes.Close())
	}
	if err := migrate(ctx, writes, pgDialect, db.now()); err != nil {
		return errors.Join(fmt.Errorf("store: postgres: %w", err), writes.Close())
	}
	reads, err := openPool(o, true)
	if err != nil {
		return errors.Join(err, writes.Close())
	}
	db.reads = &readers{pool: reads}
	p := &postgres{db: db, pool: writes, lanes: newLanes(poolSize() - 2)} // the sequencer and health need a connection too
	p.seq.db, p.seq.pool = db, writes
	db.engine = p
	db.background(p.seq.follow)
	return nil
}

func openPool(o Options, readOnly bool) (*sql.DB, error) {
	// Errors do not repeat the URL: it may hold a password.
	u, err := url.Parse(o.DSN)
	if err != nil {
		return nil, errors.New("store: the database's URL cannot be read")
	}
	q := u.Query()
	if readOnly {
		q.Set("default_transaction_read_only", "on")
	}
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if !readOnly && !q.Has(limit) {
			q.Set(limit, strconv.FormatInt(txTimeout.Milliseconds(), 10))
		}
	}
	u.RawQuery = q.Encode()
	pool, err := sql.Open(o.driver("pgx"), u.String())
	if err != nil {
		return nil, errors.New("store: the database's URL cannot be read")
	}
	pool.SetMaxOpenConns(poolSize())
	pool.SetMaxIdleConns(poolSize())
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

func poolSize() int { return max(16, 8*runtime.GOMAXPROCS(0)) }

// durable refuses a server that says a transaction is committed before it is on
// disk.
func durable(ctx context.Context, pool *sql.DB) error {
	var mode string
	if err := pool.QueryRowContext(ctx, "show synchronous_commit").Scan(&mode); err != nil {
		return classify(err)
	}
	if mode == "off" {
		return errors.New("store: the server commits without waiting for its disk: set synchronous_commit to on")
	}
	return nil
}

func (p *postgres) run(ctx context.Context, w work) error {
	p.gate.RLock()
	defer p.gate.RUnlock()
	if p.shut {
		return errClosed
	}
	for try := 1; ; try++ {
		answer, err := p.try(ctx, w)
		switch {
		case err == nil:
			return answer
		case !errors.Is(err, errRetry):
			return err
		case try == maxTries:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		p.db.counts.retries.Add(1)
		select {
		case <-time.After(rand.N(time.Millisecond << min(try, 5))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// try runs a transaction once, in a lane.
func (p *postgres) try(ctx context.Context, w work) (answer, err error) {
	came := time.Now()
	if err := p.lanes.enter(ctx); err != nil {
		return nil, err
	}
	collided := false
	defer func() { p.lanes.leave(collided) }() // also if the function panics
	start := time.Now()
	answer, touched, err := p.once(ctx, w)
	p.db.counts.waited(start.Sub(came))
	p.db.counts.batch(1, time.Since(start))
	switch {
	case err == nil:
		p.db.wrote(nil, touched)
	case errors.Is(err, errRetry):
		collided = true
	case errors.Is(err, ErrUnavailable):
		p.db.wrote(err, false)
	}
	return answer, err
}

// once runs one try. An error means that it was rolled back, or that its answer
// was lost. The caller's context ends statements, never the commit.
func (p *postgres) once(ctx context.Context, w work) (answer error, touched bool, err error) {
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return nil, false, classify(err)
	}
	defer conn.Close()
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), txTimeout)
	defer cancel()
	sqlTx, err := conn.BeginTx(whole, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return nil, false, late(whole, err)
	}
	defer sqlTx.Rollback()
	tx := Tx{run: sqlTx, known: &p.db.known, duty: w.duty, now: p.db.now(), actor: w.actor}
	rollback, answer := tx.finish(w.fn(&tx))
	if rollback != nil {
		if whole.Err() != nil {
			return nil, false, late(whole, rollback)
		}
		return nil, false, rollback // already ours, or the function's own
	}
	n, err := p.seal(whole, sqlTx, &tx)
	if err != nil {
		return nil, false, late(whole, err)
	}
	p.db.feed.announced(n)
	for _, f := range tx.after {
		f()
	}
	return answer, tx.touched > 0, nil
}

// seal adds the entries and announcements, and commits.
func (p *postgres) seal(ctx context.Context, sqlTx *sql.Tx, tx *Tx) (news, error) {
	if err := p.seq.deposit(ctx, sqlTx, tx.entries); err != nil {
		return news{}, err
	}
	n, err := writeNews(ctx, sqlTx, tx.topics, tx.now)
	if err != nil {
		return news{}, err
	}
	if err := sqlTx.Commit(); err != nil {
		if err = classify(err); !errors.Is(err, errRetry) {
			err = lost(err)
		}
		return news{}, err
	}
	return n, nil
}

// late classifies an error, which is the database's own fault if it took longer
// than a transaction may.
func late(whole context.Context, err error) error {
	if whole.Err() != nil {
		return fmt.Errorf("%w: the transaction took longer than %v: %w", ErrUnavailable, txTimeout, err)
	}
	return classify(err)
}

// present asks whether the server takes writes: one that was demoted does not.
func (p *postgres) present(ctx context.Context) error {
	var standby bool
	if err := p.pool.QueryRowContext(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
		return classify(err)
	}
	if standby {
		return fmt.Errorf("store: the server is a standby and takes no writes: %w", ErrUnavailable)
	}
	return nil
}

func (p *postgres) flush(ctx context.Context) error { return p.seq.drain(ctx, "pg_advisory_xact_lock") }

func (p *postgres) drain() {
	p.gate.Lock()
	p.shut = true
	p.gate.Unlock()
	p.pool.Close()
}
