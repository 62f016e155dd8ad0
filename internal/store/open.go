package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options select the database to open.
type Options struct {
	// DSN is the path of an SQLite file, made if it does not exist, or a
	// postgres:// URL.
	DSN string
	// Now is the clock of [Tx.Now]; nil is time.Now.
	Now func() time.Time
	// Log receives errors and warnings of background work; nil is slog.Default.
	Log *slog.Logger
	// Remember is a folder outside the database in which this server stores the newest
	// known head of the log and versions of rows, to detect an older copy of the database
	// after a restart. If it is empty nothing is stored.
	Remember string
	// Broken is for commands that examine or accept a damaged audit log: UseAuditKeys
	// accepts any state of it, and it is not watched. If the log failed its integrity
	// check all changes are refused.
	Broken bool
	// Driver is the database/sql driver to use instead of the engine's own, such as
	// one that injects faults in tests.
	Driver string
}

func (o Options) driver(own string) string {
	if o.Driver != "" {
		return o.Driver
	}
	return own
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	now    func() time.Time
	log    *slog.Logger
	reads  *readers
	quiet  *readers // for what reads everything in the background: it keeps next to nothing
	engine engine
	known  statements
	keys   atomic.Pointer[AuditKeys]
	broken bool
	feed   feed
	health health
	counts counts

	memory   memory
	shelf    shelf
	keepers  keepers
	head     *head
	caughtUp atomic.Bool
	heard    atomic.Int64 // how many entries the watch has read
	listen   chan bool    // somebody waits for what is new in the log
	alarms   alarms
	doubts   doubts
	watch    *watch // nil before the keys are there, and where nothing is watched

	thinned atomic.Int64 // when old checkpoints were last thinned out

	life      *life
	closeOnce sync.Once
	closeErr  error
}

// Open opens the database and migrates its schema. Until [DB.UseAuditKeys] it can be
// read but not changed.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{now: o.Now, log: o.Log, life: newLife(), shelf: shelf{folder: o.Remember}, broken: o.Broken}
	db.alarms.queue, db.alarms.look = make(chan Finding, 256), make(chan bool, 1)
	db.listen = make(chan bool, 1)
	if db.now == nil {
		db.now = time.Now
	}
	if db.log == nil {
		db.log = slog.Default()
	}
	db.head = &head{log: db.log, shelf: &db.shelf, memory: &db.memory, broken: o.Broken}
	if o.DSN == "" {
		return nil, errors.New("store: no database named; give the path of a file or a postgres:// URL")
	}
	open := openSQLite
	if isPostgres(o.DSN) {
		open = openPostgres
	}
	if err := open(ctx, db, o); err != nil {
		return nil, err
	}
	if err := db.startFeed(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// Log returns the logger of Options, for packages that work in the background for the
// database.
func (db *DB) Log() *slog.Logger { return db.log }

// Close signs a last checkpoint, completes the running requests, and closes the
// database. All later calls fail.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		db.lastCheckpoint()
		db.life.end()
		db.engine.drain()
		if db.watch != nil {
			db.watch.end()
		}
		db.closeErr = db.reads.close()
		if db.quiet != nil {
			db.closeErr = errors.Join(db.closeErr, db.quiet.close())
		}
	})
	return db.closeErr
}

// Query reads committed rows. The statement may not write.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	if err := checkArgs(args); err != nil {
		return nil, err
	}
	reads := db.reads
	if db.quiet != nil && ctx.Value(inBackground{}) != nil {
		reads = db.quiet
	}
	rows, err := reads.query(ctx, query, args)
	if err != nil {
		return nil, classify(err)
	}
	return &Rows{rows: rows}, nil
}

// inBackground marks a context of what reads whole tables, over and over.
type inBackground struct{}

func background(ctx context.Context) context.Context {
	return context.WithValue(ctx, inBackground{}, true)
}

// QueryRow is Query for one row; the error comes from its Scan.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := db.Query(ctx, query, args...)
	return Row{rows: rows, err: err}
}

// readers is the pool that reads, with a prepared statement for each text.
type readers struct {
	pool    *sql.DB
	prepare bool     // false where the driver remembers statements itself
	stmts   sync.Map // query -> *sql.Stmt
	count   atomic.Int32
}

// maxStatements bounds what readers keep prepared, so that a text made up at run
// time cannot fill the memory; further texts are prepared each time.
const maxStatements = 512

func (r *readers) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if !r.prepare {
		return r.pool.QueryContext(ctx, query, args...)
	}
	if s, ok := r.stmts.Load(query); ok {
		return s.(*sql.Stmt).QueryContext(ctx, args...)
	}
	if r.count.Load() >= maxStatements {
		return r.pool.QueryContext(ctx, query, args...)
	}
	s, err := r.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if old, loaded := r.stmts.LoadOrStore(strings.Clone(query), s); loaded {
		s.Close()
		s = old.(*sql.Stmt)
	} else {
		r.count.Add(1)
	}
	return s.QueryContext(ctx, args...)
}

// runner reads as a transaction's statements are run.
func (r *readers) runner() runner { return pooled{r} }

// pooled runs statements of a reader. It writes nothing.
type pooled struct{ *readers }

func (p pooled) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.query(ctx, query, args)
}

func (p pooled) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("store: a write on a connection that only reads")
}

func (r *readers) close() error {
	for _, s := range r.stmts.Range {
		s.(*sql.Stmt).Close()
	}
	return r.pool.Close()
}
