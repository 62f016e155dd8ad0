package store

import (
	"context"
	"database/sql"
	"os"
	"sync/atomic"
)

// maxBatch bounds how many requests share one commit.
const maxBatch = 256

// writer is the SQLite engine: one goroutine that takes all requests that wait,
// runs each in a savepoint of one transaction, commits, and only then answers
// them. A flush to disk costs the same for one as for many.
type writer struct {
	*line
	commits *commits
	head    *head
	keys    *atomic.Pointer[AuditKeys]
	pool    *sql.DB
	spare   func() (*sql.DB, error) // opens another pool, for a backup
	file    string
	id      os.FileInfo // which file that was when it was opened

	// What follows is the goroutine's own.
	conn    *liteConn // nil until it is needed, and after trouble
	chain   *chain
	batch   []*request
	entries []recorded
	topics  []string
	ended   bool
}

// start takes requests from now on, for the file that is there.
func (w *writer) start() error {
	id, err := os.Stat(w.file)
	if err != nil {
		return err
	}
	w.line, w.id = newLine(), id
	go w.loop()
	return nil
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
			w.batch = w.collect(w.batch, maxBatch, r)
		case <-w.quit:
			if w.batch = w.collect(w.batch, maxBatch); len(w.batch) == 0 {
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
