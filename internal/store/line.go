package store

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// line holds the requests that wait until an engine takes them, a batch at a time.
type line struct {
	queue   chan *request
	quit    chan struct{} // closed when no more requests are accepted
	stopped chan struct{} // closed when no more requests are taken
}

func newLine() *line {
	return &line{queue: make(chan *request, maxBatch), quit: make(chan struct{}), stopped: make(chan struct{})}
}

func (l *line) run(ctx context.Context, job work) error {
	r := newRequest(job)
	select {
	case <-l.quit:
		return errClosed
	default:
	}
	select {
	case l.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.quit:
		return errClosed
	}
	if err := l.await(ctx, r); err != nil {
		return err
	}
	return r.outcome()
}

// outcome is what the caller gets of a request that was settled.
func (r *request) outcome() error {
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

// await returns nil once the request is decided, or an error if it never will be.
func (l *line) await(ctx context.Context, r *request) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		if r.turn.CompareAndSwap(waiting, left) {
			return ctx.Err()
		}
		<-r.done
		return nil
	case <-l.stopped:
	}
	select {
	case <-r.done:
		return nil
	default:
		return errClosed // queued after the last batch
	}
}

// waiting returns the number of waiting requests.
func (l *line) waiting() int { return len(l.queue) }

// collect makes a batch of these requests and the waiting ones, and reuses the slice of the
// last batch.
func (l *line) collect(room []*request, most int, first ...*request) []*request {
	clear(room)
	batch := append(room[:0], first...)
	for len(batch) < most {
		select {
		case r := <-l.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// request is one transaction on its way through an engine.
type request struct {
	work  work
	tx    Tx
	since time.Time
	turn  atomic.Int32 // waiting, begun, left
	ahead []read       // the answers to work.ahead
	done  chan struct{}

	answer    error // what the caller gets if the batch commits
	err       error // what the caller gets
	committed bool
	panicked  any  // what the function panicked with, to panic again where it belongs
	exited    bool // the function ended its goroutine, like t.FailNow
}

func newRequest(job work) *request {
	return &request{work: job, since: time.Now(), done: make(chan struct{})}
}

const (
	waiting int32 = iota
	begun         // an engine runs it, and its caller waits for the outcome
	left          // its caller gave up before that
)

// call runs the function. A panic is kept for the goroutine of its caller.
func (r *request) call(log *slog.Logger) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if r.panicked = recover(); r.panicked == nil {
			r.exited = true
			return
		}
		log.Error("a change panicked", "stack", string(debug.Stack()))
		r.tx.finish(errNoEntry)
	}()
	err := r.work.fn(&r.tx)
	returned = true
	r.err, r.answer = r.tx.finish(err)
}

// settle tells the caller how the request ended. Batch is the outcome of its transaction.
func (r *request) settle(batch error) {
	switch {
	case r.err != nil || r.panicked != nil || r.exited: // its own function decided
	case batch != nil:
		r.err = batch
	default:
		r.err, r.committed = r.answer, true
	}
	close(r.done)
}

var errExited = fmt.Errorf("store: another request ended the writer: %w", ErrUnavailable)
