package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// commit runs the batch in one transaction and answers everybody in it.
func (w *writer) commit() {
	start := time.Now()
	live := w.commits.taken(w.batch, start)
	if w.batch = live; len(live) == 0 {
		return
	}
	n, err := w.attempt()
	if err != nil {
		err = lost(err)
		w.abandon()
	}
	w.commits.counts.batch(len(live), time.Since(start))
	w.commits.health.wrote(err, w.touched())
	if err == nil {
		w.committed()
		w.commits.feed.announced(n)
	}
	for _, r := range live {
		r.settle(err)
	}
}

// committed remembers what the batch left, before its callers are answered.
func (w *writer) committed() {
	for _, r := range w.batch {
		if r.err == nil && r.panicked == nil {
			w.commits.learn(r)
		}
	}
	if len(w.entries) > 0 {
		w.head.advance(w.chain.stored)
		w.head.learntFrom(w.chain.tree.Size()-int64(len(w.entries)), w.chain.stored)
	}
}

// touched reports whether the batch wrote anything: an empty transaction
// commits on a full disk too.
func (w *writer) touched() bool {
	for _, r := range w.batch {
		if r.err == nil && r.tx.touched > 0 {
			return true
		}
	}
	return false
}

// lost is the error for a batch that failed as a whole: for its members the database was
// not available, whatever the reason.
func lost(err error) error {
	err = classify(err)
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// attempt runs the batch up to and including its commit. An error means that
// nothing of it is there (or, if the commit's own answer was lost, that all is).
func (w *writer) attempt() (n news, err error) {
	ctx := context.Background()
	if err := w.connect(); err != nil {
		return news{}, err
	}
	if err := w.conn.do("begin immediate"); err != nil {
		return news{}, err
	}
	w.entries, w.topics = w.entries[:0], w.topics[:0]
	for _, r := range w.batch {
		if err := w.one(r); err != nil {
			return news{}, err
		}
		if r.err == nil && r.panicked == nil {
			w.entries = append(w.entries, r.tx.entries...)
			w.topics = append(w.topics, r.tx.topics...)
		}
	}
	if err := w.append(ctx); err != nil {
		return news{}, err
	}
	if n, err = writeNews(ctx, w.conn, w.topics, w.commits.now()); err != nil {
		return news{}, err
	}
	return n, w.conn.do("commit")
}

// connect opens the connection if there is none.
func (w *writer) connect() (err error) {
	if err := w.present(context.Background()); err != nil {
		return err
	}
	if w.conn != nil {
		return nil
	}
	c, err := w.file.connect(false)
	if err == nil {
		w.conn = &liteRunner{c}
	}
	return err
}

// present returns an error if the file is no longer under its name: what is written to it
// then is lost.
func (w *writer) present(context.Context) error {
	id, err := os.Stat(w.file.path)
	if err != nil || !os.SameFile(id, w.id) {
		return fmt.Errorf("store: the database file %s was removed or replaced: %w", w.file.path, ErrUnavailable)
	}
	return nil
}

// append numbers the batch's entries and appends them to the log.
func (w *writer) append(ctx context.Context) error {
	if len(w.entries) == 0 {
		return nil
	}
	if w.chain == nil {
		w.chain = newChain(w.head, w.keys.Load())
	}
	if err := w.chain.load(ctx, w.conn); err != nil {
		return err
	}
	return w.chain.append(ctx, w.conn, w.entries)
}

// one runs one request in its savepoint. Its own failure stays in the request;
// an error is the failure of the whole transaction.
func (w *writer) one(r *request) error {
	if err := w.conn.do("savepoint request"); err != nil {
		return err
	}
	if w.commits.call(r, w.conn); r.err == nil && r.panicked == nil {
		return w.conn.do("release request")
	}
	// If the engine gave up the transaction by itself (a full disk), there is
	// no savepoint left and this fails: then the batch is lost, as it must be.
	if err := w.conn.do("rollback to request"); err != nil {
		return errors.Join(r.err, err)
	}
	return w.conn.do("release request")
}

// abandon gives up a failed transaction together with its connection. The next batch opens
// a new one.
func (w *writer) abandon() {
	if w.conn == nil {
		return
	}
	_ = w.conn.do("rollback")
	w.conn.Close()
	w.conn = nil
}
