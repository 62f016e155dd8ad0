package store

import (
	"context"
	"database/sql"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// maxBatch bounds how many requests share one commit.
const maxBatch = 256

// writer is the SQLite engine: one goroutine that takes all requests that wait,
// runs each in a savepoint of one transaction, commits, and only then answers
// them. A flush to disk costs the same for one as for many.
type writer struct {
	db      *DB
	pool    *sql.DB
	spare   func() (*sql.DB, error) // opens another pool, for a backup
	file    string
	id      os.FileInfo // which file that was when it was opened
	queue   chan *request
	quit    chan struct{} // closed by drain
	stopped chan struct{} // closed when the goroutine has ended

	// What follows is the goroutine's own.
	conn    *liteConn // nil until it is needed, and after trouble
	chain   *chain
	batch   []*request
	entries []recorded
	topics  []string
	ended   bool
}

// request is one work on its way through the writer.
type request struct {
	work  work
	tx    Tx
	since time.Time
	turn  atomic.Int32 // waiting, taken, left
	done  chan struct{}

	answer    error // what the caller gets if the batch commits
	err       error // what the caller gets
	committed bool
	panicked  any  // what the function panicked with, to panic again where it belongs
	exited    bool // the function ended its goroutine, as t.FailNow does
}

const (
	waiting int32 = iota
	taken         // the writer has it: its caller waits for the outcome
	left          // its caller went away before
)

func startWriter(db *DB, pool *sql.DB, file string) (*writer, error) {
	id, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, pool: pool, file: file, id: id, queue: make(chan *request, maxBatch),
		quit: make(chan struct{}), stopped: make(chan struct{})}
	go w.loop()
	return w, nil
}

func (w *writer) run(ctx context.Context, job work) error {
	r := &request{work: job, since: time.Now(), done: make(chan struct{})}
	select {
	case <-w.quit:
		return errClosed
	default:
	}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	if err := w.await(ctx, r); err != nil {
		return err
	}
	switch {
	case r.panicked != nil:
		panic(r.panicked)
	case r.exited:
		runtime.Goexit()
	case r.committed:
		for _, f := range r.tx.after {
			f()
		}
	}
	return r.err
}

// await returns nil once the request is decided, or why it never will be.
func (w *writer) await(ctx context.Context, r *request) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		if r.turn.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		<-r.done
		return nil
	case <-w.stopped:
	}
	select {
	case <-r.done:
		return nil
	default:
		return errClosed // it was queued after the last batch
	}
}

// flush has nothing to do: every batch numbers its entries itself.
func (w *writer) flush(context.Context) error { return nil }

func (w *writer) drain() {
	close(w.quit)
	<-w.stopped
}

// loop commits batches until drain.
func (w *writer) loop() {
	defer w.revive()
	for {
		select {
		case r := <-w.queue:
			w.collect(r)
		case <-w.quit:
			if w.collect(); len(w.batch) == 0 {
				w.ended = true
				return
			}
		}
		w.commit()
	}
}

// revive ends the writer, or goes on in a new goroutine if a function ended this
// one: nobody but its caller shall suffer.
func (w *writer) revive() {
	if !w.ended {
		w.abandon()
		for _, r := range w.batch {
			r.settle(errExited)
		}
		go w.loop()
		return
	}
	if w.conn != nil {
		w.conn.close()
	}
	w.pool.Close()
	close(w.stopped)
}

// collect makes the next batch of these and whatever else waits.
func (w *writer) collect(first ...*request) {
	clear(w.batch)
	w.batch = append(w.batch[:0], first...)
	for len(w.batch) < maxBatch {
		select {
		case r := <-w.queue:
			w.batch = append(w.batch, r)
		default:
			return
		}
	}
}
