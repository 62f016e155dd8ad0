package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// maxBatch bounds how many requests share one commit.
const maxBatch = 256

var errBadConn = driver.ErrBadConn

var errClosed = fmt.Errorf("store: the database is closed: %w", ErrUnavailable)

// writer is the SQLite engine: one goroutine that takes all requests that wait,
// runs each in a savepoint of one transaction, commits, and only then answers
// them. A flush to disk costs the same for one as for many.
type writer struct {
	db      *DB
	pool    *sql.DB
	conn    *liteConn // nil until it is needed, and after trouble
	chain   *chain
	queue   chan *request
	quit    chan struct{} // closed by drain
	stopped chan struct{} // closed when the goroutine has ended
}

// request is one work on its way through the writer.
type request struct {
	work  work
	tx    Tx
	ctx   context.Context
	since time.Time
	turn  atomic.Int32 // waiting, taken, left
	done  chan struct{}

	answer   error // what the caller gets if the batch commits
	err      error // what the caller gets
	panicked any
}

const (
	waiting int32 = iota
	taken         // the writer has it: its caller waits for the outcome
	left          // its caller went away before
)

func startWriter(db *DB, pool *sql.DB) *writer {
	w := &writer{db: db, pool: pool, queue: make(chan *request, maxBatch),
		quit: make(chan struct{}), stopped: make(chan struct{})}
	go w.loop()
	return w
}

func (w *writer) run(ctx context.Context, job work) error {
	r := &request{work: job, ctx: ctx, since: time.Now(), done: make(chan struct{})}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.turn.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		<-r.done
	case <-w.stopped:
		select {
		case <-r.done:
		default:
			return errClosed // queued after the last batch
		}
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.err
}

func (w *writer) drain() {
	close(w.quit)
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	defer w.pool.Close()
	batch := make([]*request, 0, maxBatch)
	for {
		select {
		case r := <-w.queue:
			batch = w.collect(append(batch[:0], r))
		case <-w.quit:
			if batch = w.collect(batch[:0]); len(batch) == 0 {
				if w.conn != nil {
					w.conn.forget()
					w.conn.conn.Close()
				}
				return
			}
		}
		w.commit(batch)
		clear(batch)
	}
}

// collect adds whatever waits to the batch.
func (w *writer) collect(batch []*request) []*request {
	for len(batch) < maxBatch {
		select {
		case r := <-w.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// commit runs a batch in one transaction and answers everybody in it.
func (w *writer) commit(batch []*request) {
	start := time.Now()
	live := batch[:0]
	for _, r := range batch {
		if r.turn.CompareAndSwap(waiting, taken) {
			live = append(live, r)
			w.db.counts.waited(start.Sub(r.since))
		}
	}
	if len(live) == 0 {
		return
	}
	n, err := w.attempt(live)
	if err != nil {
		err = lost(err)
		w.abandon()
	}
	w.db.health.wrote(err)
	w.db.counts.batch(len(live), time.Since(start))
	if err == nil {
		w.db.feed.announced(n)
	}
	for _, r := range live {
		r.settle(err)
	}
}

// lost says that a whole batch failed: whatever the reason, it is the database
// that was not available to its members.
func lost(err error) error {
	err = classify(err)
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// settle tells a request's caller how it ended: batch is what became of the
// transaction that carried it.
func (r *request) settle(batch error) {
	switch {
	case r.err != nil || r.panicked != nil: // decided by its own function
	case batch != nil:
		r.err = batch
	default:
		for _, f := range r.tx.after {
			f()
		}
		r.err = r.answer
	}
	close(r.done)
}

// attempt runs the batch up to and including its commit. An error means that
// nothing of it is there (or, if the commit's own answer was lost, that all is).
func (w *writer) attempt(batch []*request) (n news, err error) {
	ctx := context.Background()
	if w.conn == nil {
		if w.conn, err = openLiteConn(w.pool); err != nil {
			return news{}, err
		}
	}
	if err := w.conn.do("begin immediate"); err != nil {
		return news{}, err
	}
	var entries []recorded
	var topics []string
	for _, r := range batch {
		if err := w.one(r); err != nil {
			return news{}, err
		}
		if r.err == nil && r.panicked == nil {
			entries = append(entries, r.tx.entries...)
			topics = append(topics, r.tx.topics...)
		}
	}
	if len(entries) > 0 {
		if err := w.append(ctx, entries); err != nil {
			return news{}, err
		}
	}
	if n, err = writeNews(ctx, w.conn, topics, w.db.now()); err != nil {
		return news{}, err
	}
	return n, w.conn.do("commit")
}

func (w *writer) append(ctx context.Context, entries []recorded) error {
	if w.chain == nil {
		w.chain = newChain(w.db.keys.Load())
	}
	if err := w.chain.load(ctx, w.conn); err != nil {
		return err
	}
	return w.chain.append(ctx, w.conn, entries)
}

// one runs one request in its savepoint. Its own failure stays in the request;
// an error is the failure of the whole transaction.
func (w *writer) one(r *request) error {
	if err := w.conn.do("savepoint request"); err != nil {
		return err
	}
	r.tx = Tx{run: w.conn, known: &w.db.known, duty: r.work.duty, now: w.db.now(), actor: r.work.actor}
	r.err, r.answer = r.call()
	if r.err == nil && r.panicked == nil {
		return w.conn.do("release request")
	}
	// If the engine gave up the transaction by itself (a full disk), there is
	// no savepoint left and this fails: then the batch is lost, as it must be.
	if err := w.conn.do("rollback to request"); err != nil {
		return errors.Join(r.err, err)
	}
	return w.conn.do("release request")
}

// call runs the function, and keeps a panic for the goroutine that it belongs to.
func (r *request) call() (rollback, answer error) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked = p
			r.tx.finish(errNoEntry)
		}
	}()
	return r.tx.finish(r.work.fn(&r.tx))
}

// abandon leaves a transaction that failed, and the connection with it: the next
// batch opens a fresh one.
func (w *writer) abandon() {
	if w.conn == nil {
		return
	}
	_ = w.conn.do("rollback")
	w.conn.discard()
	w.conn = nil
}

// arm has nothing to start: the writer chains entries itself.
func (w *writer) arm() {}
