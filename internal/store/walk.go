package store

import (
	"context"
	"time"
)

const (
	// walkAtOnce is how long a walk runs without a pause; most tables take less.
	walkAtOnce = 500 * time.Millisecond
	// walkRest is the length of a pause, as a multiple of the time that the page took, so
	// that a long walk uses a fortieth of a core. Garbage collection and the reading of the
	// log bring that to less than a twentieth.
	walkRest = 39
)

// Walk calls page until that returns that there are no more, and pauses in between, so
// that a sweep over a large table takes a fortieth of a core. It stops at the first error,
// when ctx ends and when the database is closed.
func (db *DB) Walk(ctx context.Context, page func(ctx context.Context) (more bool, err error)) error {
	return db.life.walk(ctx, page)
}

// walk is [DB.Walk].
func (l *life) walk(ctx context.Context, page func(ctx context.Context) (more bool, err error)) error {
	start, ctx := time.Now(), background(ctx)
	for {
		began := time.Now()
		more, err := page(ctx)
		if err != nil || !more {
			return err
		}
		if time.Since(start) < walkAtOnce {
			continue
		}
		select {
		case <-time.After(walkRest * time.Since(began)):
		case <-ctx.Done():
			return ctx.Err()
		case <-l.stop:
			return errClosed
		}
	}
}
