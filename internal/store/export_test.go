package store

import (
	"context"
	"runtime"

	"countersign/internal/audit"
)

// WaitQueued waits until n requests stand in the engine's line.
func WaitQueued(db *DB, n int) {
	for Queued(db) < n {
		runtime.Gosched()
	}
}

// Probe does at once what the store does every few seconds.
func Probe(db *DB) { db.health.probe(context.Background(), &db.changes) }

// Sign does at once what the signer does every few seconds.
func Sign(db *DB) error { return db.signer.ifGrown(context.Background()) }

// Pragma reads a pragma on a connection opened as the writer's is.
func Pragma(db *DB, name string) (value string, err error) {
	c, err := db.changes.engine.(*writer).file.connect(false)
	if err != nil {
		return "", err
	}
	defer c.Close()
	rows, err := c.Query(context.Background(), "pragma "+name, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	rows.Next()
	err = rows.Scan(&value)
	return value, err
}

// OneLane has PostgreSQL's transactions run one after the other from now on.
func OneLane(db *DB) {
	l := db.changes.engine.(*postgres).lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most, l.limit = 1, 1
}

// Board has so many of PostgreSQL's transactions read and call functions at once from now on. Nothing
// may run.
func Board(db *DB, most int) { db.changes.engine.(*postgres).boarding = newBoarding(most) }

// Boarded is how many transactions are counted: those that read or call functions, and with them
// those that wait for their commit.
func Boarded(db *DB) (reading, under int) {
	b := db.changes.engine.(*postgres).boarding
	return len(b.reading), len(b.under)
}

// Queued is how many requests stand in the engine's line.
func Queued(db *DB) int { return db.changes.engine.(interface{ waiting() int }).waiting() }

// Overdue has what this server left to be numbered be so for long.
func Overdue(db *DB) {
	d := db.deposits
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.left {
		one.since = one.since.Add(-depositWait)
	}
}

// ReadTo is how many entries the watch has read.
func ReadTo(db *DB) int64 { return db.hearing.read.Load() }

// Age has what this server knows of versions be old news.
func (db *DB) Age() {
	db.memory.mu.Lock()
	defer db.memory.mu.Unlock()
	db.memory.lately.turned = db.memory.lately.turned.Add(-2 * readsTake)
}

// Left is how many entries this server waits for to be numbered.
func Left(db *DB) (n int) {
	d := db.deposits
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.left {
		if one.body != nil {
			n++
		}
	}
	return n
}

// Recorded reports whether the log says a finding, as far as this server knows.
func Recorded(db *DB, f Finding) bool {
	found := &db.alarms.found
	found.mu.Lock()
	defer found.mu.Unlock()
	one := found.found[f.name()]
	return one != nil && one.recorded
}

// Find keeps a finding in mind without recording it.
func Find(db *DB, f Finding) { db.alarms.found.add(&f, db.now()) }

const FindingsMost = findingsMost

// HeadEdge is the newest state of the log that a server knows.
func HeadEdge(db *DB) []byte { return db.head.known() }

// SetHead has a server know no more of the log than it did.
func SetHead(db *DB, edge []byte) {
	db.head.set(edge)
}

// Approach reads what is ahead of what a server knows.
func Approach(db *DB) error {
	return db.head.approach(context.Background(), db.keys.Load(), db.reads.runner())
}

// ReadURL is what is read of a database's URL.
var ReadURL = readURL

// Setting is one of PostgreSQL, on a connection that reads or one that writes.
func Setting(ctx context.Context, db *DB, reading bool, name string) (value string) {
	pool := db.changes.engine.(*postgres).pool
	if reading {
		pool = db.reads.often.(*readers).pool
	}
	if err := pool.QueryRowContext(ctx, "show "+name).Scan(&value); err != nil {
		return err.Error()
	}
	return value
}

// Shared is a change that is to share a transaction with others.
type Shared struct {
	Ahead []Ask
	Do    func(tx *Tx) error
}

// Share runs changes in one transaction of PostgreSQL, in their order, and returns what each
// caller gets.
func Share(db *DB, all ...Shared) []error {
	p := db.changes.engine.(*postgres)
	c := &carrier{postgres: p}
	for _, one := range all {
		c.batch = append(c.batch, &request{work: work{duty: change, actor: audit.System("test"), ahead: one.Ahead, fn: one.Do}, done: make(chan struct{})})
	}
	batch := append([]*request(nil), c.batch...)
	_ = p.lanes.enter(context.Background())
	c.commit()
	errs := make([]error, len(batch))
	for i, r := range batch {
		errs[i] = r.err
	}
	return errs
}

// Expecting is the statement that PostgreSQL runs for [Tx.Expect].
func Expecting(query string, rows int64) string { return expecting(query, rows) }

// ByAccount is the question for an account's entries, and IndexPages in how many pages.
var (
	ByAccount  = byAccount
	IndexPages = indexPages
)
