package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver named "pgx"
)

const (
	// txTimeout bounds one transaction, so that a number that the feed misses
	// is surely lost after feedGap.
	txTimeout = 20 * time.Second
	// maxTries bounds how often PostgreSQL may ask to run a transaction again.
	maxTries = 20
)

// openPostgres opens one pool that writes and one that only reads.
func openPostgres(ctx context.Context, db *DB, o Options) error {
	driver := o.Driver
	if driver == "" {
		driver = "pgx"
	}
	readDSN, err := readOnlyDSN(o.DSN)
	if err != nil {
		return err
	}
	writes, err := sql.Open(driver, o.DSN)
	if err != nil {
		return errors.New("store: the database's URL cannot be read") // its text may hold a password
	}
	size := max(16, 8*runtime.GOMAXPROCS(0))
	writes.SetMaxOpenConns(size)
	writes.SetMaxIdleConns(size)
	if err := migrate(ctx, writes, pgDialect, db.now()); err != nil {
		writes.Close()
		return fmt.Errorf("store: postgres: %w", err)
	}
	reads, err := sql.Open(driver, readDSN)
	if err != nil {
		writes.Close()
		return errors.New("store: the database's URL cannot be read")
	}
	reads.SetMaxOpenConns(size)
	reads.SetMaxIdleConns(size)
	db.reads = &readers{pool: reads}
	db.engine = &postgres{db: db, pool: writes}
	return nil
}

// readOnlyDSN has every transaction of a connection refuse to write.
func readOnlyDSN(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("store: the database's URL cannot be read")
	}
	q := u.Query()
	q.Set("default_transaction_read_only", "on")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// postgres is the engine for several servers: serializable transactions, run
// again when they collide, whose entries a sequencer numbers afterwards.
type postgres struct {
	db   *DB
	pool *sql.DB
	seq  sequencer
}

func (p *postgres) run(ctx context.Context, w work) error {
	for try := 1; ; try++ {
		start := time.Now()
		answer, err := p.once(ctx, w)
		p.db.counts.batch(1, time.Since(start))
		if err == nil {
			p.db.health.wrote(nil)
			return answer
		}
		if !errors.Is(err, errRetry) {
			if errors.Is(err, ErrUnavailable) {
				p.db.health.wrote(err)
			}
			return err
		}
		if try == maxTries {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		p.db.counts.retries.Add(1)
		select {
		case <-time.After(rand.N(time.Millisecond << min(try, 6))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// once runs one try. An error means that it was rolled back, or that its answer
// was lost.
func (p *postgres) once(ctx context.Context, w work) (answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	sqlTx, err := p.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return nil, classify(err)
	}
	defer sqlTx.Rollback()
	tx := Tx{run: sqlTx, known: &p.db.known, duty: w.duty, now: p.db.now(), actor: w.actor}
	rollback, answer := tx.finish(w.fn(&tx))
	if rollback != nil {
		return nil, rollback
	}
	if err := p.seq.deposit(ctx, sqlTx, p.db.keys.Load(), tx.entries); err != nil {
		return nil, classify(err)
	}
	n, err := writeNews(ctx, sqlTx, tx.topics, tx.now)
	if err != nil {
		return nil, classify(err)
	}
	if err := sqlTx.Commit(); err != nil {
		return nil, classify(err)
	}
	p.db.feed.announced(n)
	for _, f := range tx.after {
		f()
	}
	return answer, nil
}

func (p *postgres) backup(context.Context, string) error { return errNotFile }

func (p *postgres) arm() {}

func (p *postgres) drain() { p.pool.Close() }
