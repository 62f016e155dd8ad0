package store

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"countersign/internal/audit"
)

// Filter chooses entries of the audit log. What is zero does not restrict.
type Filter struct {
	// From is the lowest number wanted, and Before the first one no longer
	// wanted. The next page has From one more than the last number shown, or
	// with Newest, Before equal to it; a page that ends with entry 0 is the last.
	From, Before int64
	// Account is whom it is about.
	Account int64
	// Event is the beginning of the event: "signin" or "signin.refused".
	Event       string
	Application string
	Outcome     string
	// Since and Until bound the time; Until is exclusive.
	Since, Until time.Time
	// Text must occur somewhere in the entry, whatever the case of letters.
	Text string
	// Limit bounds how many are returned; 0 is 100, and 10,000 the most.
	Limit int
	// Newest returns the newest first.
	Newest bool
}

// Entries returns the entries that the filter chooses, in the order of their
// numbers. It reads the log from the end that is asked for, so what is rare
// takes as long as the log is; ctx ends it.
func (db *DB) Entries(ctx context.Context, f Filter) ([]audit.Entry, error) {
	limit := min(f.Limit, 10_000)
	if limit <= 0 {
		limit = 100
	}
	var out []audit.Entry
	for e, err := range db.scan(ctx, f) {
		if err != nil {
			return nil, err
		}
		if out = append(out, e); len(out) == limit {
			break
		}
	}
	return out, nil
}

// EachEntry calls f with every entry from a number on, as it is stored: to
// export the log or to verify it. It stops at f's first error and returns it.
func (db *DB) EachEntry(ctx context.Context, from int64, f func(audit.Leaf) error) error {
	rows, err := db.Query(ctx, "select seq, body, mac from audit_entry where seq >= $1 order by seq", from)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l audit.Leaf
		if err := rows.Scan(&l.Seq, &l.Body, &l.MAC); err != nil {
			return err
		}
		if err := f(l); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scan streams the entries that f chooses: those that wait to be numbered are
// the newest, and bear a negative number.
func (db *DB) scan(ctx context.Context, f Filter) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		parts := []string{numbered, waitingRoom}
		if f.Newest {
			slices.Reverse(parts)
		}
		for _, part := range parts {
			if part == waitingRoom && f.Before > 0 {
				continue
			}
			if !db.scanPart(ctx, f, part, yield) {
				return
			}
		}
	}
}

const (
	numbered    = "audit_entry"
	waitingRoom = "audit_inbox"
)

// scanPart streams one table's entries, and reports whether to go on.
func (db *DB) scanPart(ctx context.Context, f Filter, table string, yield func(audit.Entry, error) bool) bool {
	query, args, err := db.filterQuery(ctx, f, table)
	if err != nil {
		return yield(audit.Entry{}, err)
	}
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return yield(audit.Entry{}, err)
	}
	defer rows.Close()
	text := strings.ToLower(f.Text)
	for rows.Next() {
		var seq int64
		var body []byte
		if err := rows.Scan(&seq, &body); err != nil {
			return yield(audit.Entry{}, err)
		}
		if f.Event != "" && !bytes.Contains(body, []byte(f.Event)) {
			continue // most rows of a rare search end here, undecoded
		}
		e, err := audit.Decode(body)
		if err != nil {
			e = audit.Entry{Event: "audit.unreadable", Outcome: audit.Failed, Reason: err.Error()}
		} else if !f.matches(&e) || text != "" && !strings.Contains(strings.ToLower(string(body)), text) {
			continue
		}
		if e.Seq = seq; !yield(e, nil) {
			return false
		}
	}
	if err := rows.Err(); err != nil {
		return yield(audit.Entry{}, err)
	}
	return true
}

// filterQuery writes the query for what an index can answer; matches does the
// rest.
func (db *DB) filterQuery(ctx context.Context, f Filter, table string) (string, []any, error) {
	order := " order by id"
	query, args := "select -id, body from audit_inbox where id > $1", []any{int64(0)}
	if table == numbered {
		from, before, err := db.bounds(ctx, f)
		if err != nil {
			return "", nil, err
		}
		order = " order by seq"
		query, args = "select seq, body from audit_entry where seq >= $1 and seq < $2", []any{from, before}
		if f.Account != 0 {
			query, args = query+" and account = $3", append(args, f.Account)
		}
	}
	if f.Newest {
		order += " desc"
	}
	return query + order, args, nil
}

// skew is how far the times of entries may stray from the order of their
// numbers: clocks of several servers, and a clock that was set.
const skew = 15 * time.Minute

// bounds narrows the numbers by the times that are asked for.
func (db *DB) bounds(ctx context.Context, f Filter) (from, before int64, err error) {
	from, before = f.From, f.Before
	if before <= 0 {
		before = math.MaxInt64
	}
	if !f.Since.IsZero() {
		n, err := db.firstAt(ctx, Unix(f.Since.Add(-skew)))
		if err != nil {
			return 0, 0, err
		}
		from = max(from, n)
	}
	if !f.Until.IsZero() {
		n, err := db.firstAt(ctx, Unix(f.Until.Add(skew)))
		if err != nil {
			return 0, 0, err
		}
		before = min(before, n)
	}
	return from, before, nil
}

// firstAt returns the number of the first entry at or after a moment, by
// halving: numbers follow time, nearly.
func (db *DB) firstAt(ctx context.Context, at int64) (int64, error) {
	var high int64
	if err := db.QueryRow(ctx, "select coalesce(max(seq), -1) + 1 from audit_entry").Scan(&high); err != nil {
		return 0, err
	}
	for low := int64(0); low < high; {
		mid := low + (high-low)/2
		var t int64
		err := db.QueryRow(ctx, "select at from audit_entry where seq >= $1 order by seq limit 1", mid).Scan(&t)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return 0, err
		case err == nil && t < at:
			low = mid + 1
		default:
			high = mid
		}
	}
	return high, nil
}

func (f *Filter) matches(e *audit.Entry) bool {
	return strings.HasPrefix(e.Event, f.Event) &&
		(f.Account == 0 || e.Account == f.Account) &&
		(f.Application == "" || e.Application == f.Application) &&
		(f.Outcome == "" || e.Outcome == f.Outcome) &&
		(f.Since.IsZero() || !e.At.Before(f.Since)) &&
		(f.Until.IsZero() || e.At.Before(f.Until))
}
