package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"
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
	*line
	commits  *commits
	doubts   *doubts
	pool     *sql.DB
	lanes    *lanes
	boarding boarding
	carriers sync.WaitGroup
	seq      *sequencer
	deposits *deposits
}

// openPostgres opens one pool that writes and one that only reads.
func openPostgres(ctx context.Context, db *DB, o Options) error {
	c, err := readURL(o.DSN)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	writes, err := openPool(o, limited(c, false))
	if err != nil {
		return err
	}
	if err := ready(ctx, writes, c, db.now()); err != nil {
		return errors.Join(fmt.Errorf("store: postgres: %w", mend(ctx, writes, c, err)), writes.Close())
	}
	reads, err := openPool(o, limited(c, true))
	if err != nil {
		return errors.Join(err, writes.Close())
	}
	db.reads.often = &readers{pool: reads}
	p := &postgres{line: newLine(), commits: db.commits, doubts: &db.doubts, pool: writes, lanes: newLanes(manyLanes()), boarding: newBoarding(manyBoarding())}
	p.seq = &sequencer{log: db.log, now: db.now, rows: &db.reads, keys: &db.keys, head: db.head, life: db.life, pool: writes}
	p.deposits = &deposits{rows: &db.reads, changes: &db.changes, alarms: db.alarms, seq: p.seq}
	db.deposits = p.deposits
	go p.dispatch()
	db.changes.engine = p
	db.life.background(p.seq.follow)
	return nil
}

func openPool(o Options, c *pgx.ConnConfig) (*sql.DB, error) {
	pool, err := sql.Open(o.driver("pgx"), stdlib.RegisterConnConfig(c))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	pool.SetMaxOpenConns(poolSize())
	pool.SetMaxIdleConns(poolSize())
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

// manyLanes is how many transactions a server runs at once. Each waits twice, and whoever waits
// for a lane shares it with others: more lanes would mean more begins and commits, and more
// collisions, and not more sign-ins.
func manyLanes() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// manyBoarding is how many of these read and call functions at once: as many as can while
// PostgreSQL works for them, on the same machine perhaps.
func manyBoarding() int { return max(1, runtime.GOMAXPROCS(0)/2) }

func poolSize() int { return max(16, 8*runtime.GOMAXPROCS(0)) }

// ready refuses a server that would not do, and brings the schema up to date.
func ready(ctx context.Context, pool *sql.DB, c *pgx.ConnConfig, now time.Time) error {
	if err := noTransactionPooler(ctx, c); err != nil {
		return classify(err)
	}
	if err := durable(ctx, pool); err != nil {
		return err
	}
	return migrate(ctx, pool, pgDialect, now)
}

// durable refuses a server that says a transaction is committed before it is on
// disk.
func durable(ctx context.Context, pool *sql.DB) error {
	var mode string
	if err := pool.QueryRowContext(ctx, "show synchronous_commit").Scan(&mode); err != nil {
		return classify(err)
	}
	if mode == "off" {
		return errors.New("the server commits without waiting for its disk: set synchronous_commit to on")
	}
	return nil
}

// present asks whether the server takes writes: one that was demoted does not.
func (p *postgres) present(ctx context.Context) error {
	var standby bool
	if err := p.pool.QueryRowContext(ctx, "select pg_is_in_recovery()").Scan(&standby); err != nil {
		return classify(err)
	}
	if standby {
		return fmt.Errorf("store: %s: %w", standbyHow, ErrUnavailable)
	}
	return nil
}

func (p *postgres) flush(ctx context.Context) error {
	const lock = "pg_advisory_xact_lock"
	_, err := p.seq.drain(ctx, lock, 0)
	if !errors.Is(err, errWide) {
		return err
	}
	if err := p.seq.approach(ctx); err != nil {
		return err
	}
	_, err = p.seq.drain(ctx, lock, 0)
	return err
}

func (p *postgres) drain() {
	close(p.quit)
	<-p.stopped
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	if err := p.flush(ctx); err != nil { // whoever can write to the database could remove what waits
		p.commits.log.Error("the last entries of the audit log are not numbered yet", "error", err)
	}
	p.pool.Close()
}
