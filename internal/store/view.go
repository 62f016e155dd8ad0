package store

import "context"

// View is a database for whoever only reads it: rows, what is known of them outside the
// database, and a way to report what is wrong with them. It changes nothing, so that a piece
// which is given a View and no DB cannot. It is a [Reader], and safe for concurrent use.
type View struct{ db *DB }

// View returns the database for reading.
func (db *DB) View() View { return View{db} }

// Query is [DB.Query].
func (v View) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	return v.db.Query(ctx, query, args...)
}

// QueryRow is [DB.QueryRow].
func (v View) QueryRow(ctx context.Context, query string, args ...any) Row {
	return v.db.QueryRow(ctx, query, args...)
}

// Newest is [DB.Newest].
func (v View) Newest(kind string, number int64) int64 { return v.db.Newest(kind, number) }

// Over is [DB.Over].
func (v View) Over(kind, name string) bool { return v.db.Over(kind, name) }

// Report is [DB.Report].
func (v View) Report(f Finding) { v.db.Report(f) }

// Walk is [DB.Walk].
func (v View) Walk(ctx context.Context, page func(ctx context.Context) (more bool, err error)) error {
	return v.db.Walk(ctx, page)
}

// Hear is [DB.Hear].
func (v View) Hear(ctx context.Context) error { return v.db.Hear(ctx) }

// FeedFresh is [DB.FeedFresh].
func (v View) FeedFresh() bool { return v.db.FeedFresh() }
