package store

import (
	"context"
	"os"
	"sync/atomic"
)

// maxBatch bounds how many requests share one commit.
const maxBatch = 256

// writer is the SQLite engine: one goroutine that takes all waiting requests, runs each in
// a savepoint of one transaction, commits, and then answers them. A flush to disk costs the
// same for one as for many.
type writer struct {
	*line
	commits *commits
	head    *head
	keys    *atomic.Pointer[AuditKeys]
	file    *liteFile
	id      os.FileInfo // which file that was when it was opened

	// The fields below are used by the goroutine only.
	conn    *liteRunner // nil before it is needed, and after an error
	chain   *chain
	batch   []*request
	entries []recorded
	topics  []string
	ended   bool
}

// start notes which file it is and takes requests from now on.
func (w *writer) start() error {
	id, err := os.Stat(w.file.path)
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

// revive ends the writer, or continues in a new goroutine if a request's function ended
// this one, so that only its caller is affected.
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
		w.conn.Close()
	}
	close(w.stopped)
}
