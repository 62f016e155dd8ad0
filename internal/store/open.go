package store

import (
	"context"
	"countersign/internal/audit"
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
	now       func() time.Time
	log       *slog.Logger
	reads     reads
	changes   changes
	keys      atomic.Pointer[AuditKeys]
	broken    bool
	feed      *Feed
	health    health
	signer    *signer
	commits   *commits
	condition *Condition

	memory   memory
	shelf    shelf
	keepers  keepers
	head     *head
	hearing  *hearing
	view     View
	alarms   *Alarms
	auditLog *AuditLog
	doubts   doubts
	deposits *deposits // nil with SQLite
	watch    *watch    // nil before the keys are there, and with Options.Broken

	life      *life
	closeOnce sync.Once
	closeErr  error
}

// Open opens the database and migrates its schema. Until [DB.UseAuditKeys] it can be
// read but not changed.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{now: o.Now, log: o.Log, life: newLife(), shelf: shelf{folder: o.Remember}, broken: o.Broken}
	if db.now == nil {
		db.now = time.Now
	}
	if db.log == nil {
		db.log = slog.Default()
	}
	db.compose()
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
	if err := db.feed.begin(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// compose makes the pieces of a database, each from the others that it uses.
func (db *DB) compose() {
	db.head = &head{log: db.log, shelf: &db.shelf, memory: &db.memory, broken: db.broken}
	db.changes.keys, db.changes.head = &db.keys, db.head
	db.alarms = &Alarms{log: db.log, now: db.now, rows: &db.reads, doubts: &db.doubts, table: alarmTable{&db.shelf, &db.memory},
		queue: make(chan Finding, 256), look: make(chan bool, 1)}
	db.auditLog = &AuditLog{rows: &db.reads, keys: &db.keys, head: db.head, alarms: db.alarms}
	db.health.log, db.keepers.shelf = db.log, &db.shelf
	db.signer = &signer{log: db.log, rows: &db.reads, changes: &db.changes, keys: &db.keys, head: db.head, alarms: db.alarms, health: &db.health, life: db.life}
	db.feed = &Feed{log: db.log, rows: &db.reads, changes: &db.changes, life: db.life}
	db.commits = &commits{log: db.log, now: db.now, health: &db.health, memory: &db.memory, feed: db.feed}
	db.condition = &Condition{now: db.now, rows: &db.reads, changes: &db.changes, keys: &db.keys, head: db.head, life: db.life, health: &db.health, counts: &db.commits.counts, feed: db.feed}
	db.hearing = &hearing{rows: &db.reads, head: db.head, life: db.life, asked: make(chan bool, 1)}
	db.view = View{&db.reads, &db.memory, &db.doubts, db.alarms, db.feed, db.hearing, db.life}
}

// newWatch returns a watch with these keys that has read nothing yet.
func newWatch(db *DB, k AuditKeys) *watch {
	auth := audit.NewAuthenticator(k.MAC)
	return &watch{log: db.log, auth: auth, life: db.life, entries: db.auditLog, head: db.head, hearing: db.hearing, keepers: &db.keepers, deposits: db.deposits,
		inspector: inspector{log: db.log, auth: auth, alarms: db.alarms, changes: &db.changes},
		learner:   learner{log: db.log, now: db.now, memory: &db.memory, feed: db.feed, hearing: db.hearing}}
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
		db.signer.last()
		db.life.end()
		db.changes.engine.drain()
		if db.watch != nil {
			db.watch.end()
		}
		db.closeErr = db.reads.close()
	})
	return db.closeErr
}

// Query reads committed rows. The statement may not write.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	return db.reads.Query(ctx, query, args...)
}

// QueryRow is Query for one row; the error comes from its Scan.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) Row {
	return db.reads.QueryRow(ctx, query, args...)
}
