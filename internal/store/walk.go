package store

import (
	"context"
	"time"
)

const (
	// walkAtOnce is how long a walk goes on without a rest: most tables take less.
	walkAtOnce = 500 * time.Millisecond
	// walkRest is how many times as long as a page of a longer one took nothing is done, so
	// that a million rows take a fortieth of a core: less than a twentieth with the garbage
	// that is collected after them, and with the log, which is read again meanwhile.
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
