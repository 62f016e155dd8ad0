package store

import (
	"context"
	"time"
)

// View is a database for whoever only reads it: rows, what is known of them outside the
// database, and a way to report what is wrong with them. It changes nothing, so that a piece
// which is given a View and no DB cannot. It is a [Reader], and safe for concurrent use.
type View struct {
	rows    *reads
	memory  *memory
	doubts  *doubts
	alarms  *Alarms
	feed    *Feed
	hearing *hearing
	life    *life
}

// View returns the database for reading.
func (db *DB) View() View { return db.view }

// Query is [DB.Query].
func (v View) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	return v.rows.Query(ctx, query, args...)
}

// QueryRow is [DB.QueryRow].
func (v View) QueryRow(ctx context.Context, query string, args ...any) Row {
	return v.rows.QueryRow(ctx, query, args...)
}

// Newest returns the newest known version of a row, 0 for an unknown row and [Gone] for
// a removed one. It is for sweeps: a row that was read earlier may have been correct then.
func (v View) Newest(kind string, number int64) int64 { return v.memory.newest(kind, number) }

// Over reports whether [Tx.End] was called for this name.
func (v View) Over(kind, name string) bool { return v.memory.over(kind, name) }

// Report is [Alarms.Report].
func (v View) Report(f Finding) { v.alarms.Report(f) }

// FeedFresh is [Feed.Fresh].
func (v View) FeedFresh() bool { return v.feed.Fresh() }

// Walk is [DB.Walk].
func (v View) Walk(ctx context.Context, page func(ctx context.Context) (more bool, err error)) error {
	return v.life.walk(ctx, page)
}

// Hear waits until this server has read all entries that are committed now, for some
// seconds at most.
func (v View) Hear(ctx context.Context) error { return v.hearing.all(ctx) }

// CaughtUp reports whether this server has read the log to its end since it started, so
// that it knows the newest version of all rows.
func (v View) CaughtUp() bool { return v.hearing.caughtUp.Load() }

// CatchUp waits until this server has read the log to its end, or ctx ends. After a crash
// the last minute is not in what this server stored, and rows that were put back meanwhile
// would pass for a moment.
func (v View) CatchUp(ctx context.Context) {
	for !v.CaughtUp() && v.hearing.head.refusal() == nil {
		select {
		case <-ctx.Done():
			return
		case <-v.life.stop:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
