package store

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"countersign/internal/audit"
)

// Filter selects entries of the audit log. Zero fields do not restrict.
type Filter struct {
	// From is the lowest number, and Before is one more than the highest. For the
	// next page set From to one more than the last number shown, or with Newest
	// set Before to it; a page that ends with entry 0 is the last.
	From, Before int64
	// Account is the account that the entry concerns.
	Account int64
	// Actor is the name of who made the change, as in the log.
	Actor string
	// Event is a prefix of the event: "signin" or "signin.refused".
	Event       string
	Application string
	Outcome     string
	// Since and Until limit the time; Until is exclusive.
	Since, Until time.Time
	// Text must occur in the entry, regardless of case.
	Text string
	// Limit is the largest number of results; 0 means 100, and 10,000 is the maximum.
	Limit int
	// Newest returns the newest first.
	Newest bool
}

// AuditLog reads the audit log: whoever is given one can write nothing. It is safe for
// concurrent use.
type AuditLog struct {
	rows   *reads
	keys   *atomic.Pointer[AuditKeys] // nil in it before they are there
	head   *head
	alarms *Alarms
}

// AuditLog returns the audit log, for reading.
func (db *DB) AuditLog() *AuditLog { return db.auditLog }

// Entries returns the entries that match the filter, in the order of their numbers.
// It scans the log, so a search for rare entries takes time in proportion to the
// length of the log; ctx ends it.
func (log *AuditLog) Entries(ctx context.Context, f Filter) ([]audit.Entry, error) {
	limit := min(f.Limit, 10_000)
	if limit <= 0 {
		limit = 100
	}
	var out []audit.Entry
	for e, err := range log.scan(ctx, f) {
		if err != nil {
			return nil, err
		}
		if out = append(out, e); len(out) == limit {
			break
		}
	}
	return out, nil
}

// page is the number of rows that one query of a long read takes. A single query for all
// rows would keep SQLite from checkpointing its write-ahead log.
const page = 5000

// EachEntry calls f with every stored entry from a number on, for exporting or
// verifying the log. It stops at f's first error and returns it.
func (log *AuditLog) EachEntry(ctx context.Context, from int64, f func(audit.Leaf) error) error {
	for {
		n, err := log.entryPage(ctx, &from, f)
		if err != nil || n < page {
			return err
		}
	}
}

// entryPage reads one page and moves from after it.
func (log *AuditLog) entryPage(ctx context.Context, from *int64, f func(audit.Leaf) error) (n int, err error) {
	rows, err := log.rows.Query(ctx, "select seq, at, account, body, mac from audit_entry where seq >= $1 order by seq limit $2", *from, page)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		l := audit.Leaf{Columns: new(audit.Columns)}
		if err := rows.Scan(&l.Seq, &l.Columns.At, &l.Columns.Account, &l.Body, &l.MAC); err != nil {
			return n, err
		}
		if err := f(l); err != nil {
			return n, err
		}
		*from = l.Seq + 1
	}
	return n, rows.Err()
}

// storedLeaf is an entry with the columns that stand beside it for searching.
type storedLeaf struct {
	audit.Leaf
	at, account int64
}

// stored reads a page of entries, from a number on and before another.
func (log *AuditLog) stored(ctx context.Context, from, before int64) ([]storedLeaf, error) {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	rows, err := log.rows.Query(ctx, "select seq, at, account, body, mac from audit_entry where seq >= $1 and seq < $2 order by seq limit $3", from, before, watchPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([]storedLeaf, 0, min(before-from, watchPage))
	for rows.Next() {
		var one storedLeaf
		if err := rows.Scan(&one.Seq, &one.at, &one.account, &one.Body, &one.MAC); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, rows.Err()
}

// Leaves is EachEntry for [audit.Verify], from the first entry.
func (log *AuditLog) Leaves(ctx context.Context) iter.Seq2[audit.Leaf, error] {
	return func(yield func(audit.Leaf, error) bool) {
		err := log.EachEntry(ctx, math.MinInt64, func(l audit.Leaf) error {
			if !yield(l, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(audit.Leaf{}, err)
		}
	}
}

var errStop = errors.New("store: enough")

// scan streams the entries that f selects. Entries that wait to be numbered are the newest
// and have a negative number. It leaves out entries that are numbered after it read the
// waiting ones, so that each entry is found exactly once.
func (log *AuditLog) scan(ctx context.Context, f Filter) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		end, waiting, err := log.end(ctx, f)
		if err != nil {
			yield(audit.Entry{}, err)
			return
		}
		p := &picker{Filter: f, report: log.alarms.Report}
		if k := log.keys.Load(); k != nil {
			p.auth = audit.NewAuthenticator(k.MAC)
		}
		if f.Newest {
			slices.Reverse(waiting)
			if p.each(waiting, yield) {
				log.scanNumbered(ctx, p, end, yield)
			}
			return
		}
		if log.scanNumbered(ctx, p, end, yield) {
			p.each(waiting, yield)
		}
	}
}

// end returns the number before which a read of the log ends, and the entries that waited
// to be numbered at that moment, which are few. One statement reads both.
func (log *AuditLog) end(ctx context.Context, f Filter) (before int64, waiting []audit.Leaf, err error) {
	if f.Before > 0 {
		return f.Before, nil, nil
	}
	rows, err := log.rows.Query(ctx, `select top + 1, coalesce(-id, 0), body, mac
		from (select coalesce(max(seq), -1) as top from audit_entry) as log left join audit_inbox on true order by id`)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l audit.Leaf
		if err := rows.Scan(&before, &l.Seq, &l.Body, &l.MAC); err != nil {
			return 0, nil, err
		}
		if l.Body != nil {
			waiting = append(waiting, l)
		}
	}
	return before, waiting, rows.Err()
}

// picker selects entries by a filter.
type picker struct {
	Filter
	auth   *audit.Authenticator // nil before the keys are there
	report func(Finding)
}

// each streams the selected entries of leaves, and reports whether to continue. It ignores
// waiting entries without a valid MAC.
func (f *picker) each(leaves []audit.Leaf, yield func(audit.Entry, error) bool) bool {
	for _, l := range leaves {
		if f.auth != nil && !f.auth.Check(audit.Waiting, l.Body, l.MAC) {
			continue
		}
		e, ok := f.pick(l.Body)
		if e.Seq = l.Seq; ok && !yield(e, nil) {
			return false
		}
	}
	return true
}

// scanNumbered streams the numbered entries before a number, page by page, and reports
// whether to continue.
func (log *AuditLog) scanNumbered(ctx context.Context, f *picker, end int64, yield func(audit.Entry, error) bool) bool {
	from, before, err := log.bounds(ctx, f.Filter, end)
	if err != nil {
		return yield(audit.Entry{}, err)
	}
	if f.Account != 0 {
		return log.scanAccount(ctx, f, from, before, yield)
	}
	query := "select seq, body, mac from audit_entry where seq >= $1 and seq < $2 order by seq"
	if f.Newest {
		query += " desc"
	}
	return log.scanPages(ctx, f, query+" limit $3", []any{from, before, page}, yield)
}

// scanPages streams what a query finds from its first argument to before its second, and
// reports whether to continue.
func (log *AuditLog) scanPages(ctx context.Context, f *picker, query string, args []any, yield func(audit.Entry, error) bool) bool {
	for {
		p := log.scanPage(ctx, f, query, args, yield)
		if p.ended || p.rows < page {
			return !p.ended
		}
		if f.Newest {
			args[1] = p.last
		} else {
			args[0] = p.last + 1
		}
	}
}

// scanned is the result of a page: the rows read, the number of the last one, and whether
// the stream ended with it.
type scanned struct {
	rows  int
	last  int64
	ended bool
}

func (log *AuditLog) scanPage(ctx context.Context, f *picker, query string, args []any, yield func(audit.Entry, error) bool) (p scanned) {
	rows, err := log.rows.Query(ctx, query, args...)
	if err != nil {
		yield(audit.Entry{}, err)
		return scanned{ended: true}
	}
	defer rows.Close()
	for ; rows.Next(); p.rows++ {
		var l audit.Leaf
		if err := rows.Scan(&l.Seq, &l.Body, &l.MAC); err != nil {
			p.ended = true
			yield(audit.Entry{}, err)
			return p
		}
		p.last = l.Seq
		if e, ok := f.numbered(l); ok && !yield(e, nil) {
			p.ended = true
			return p
		}
	}
	if err := rows.Err(); err != nil {
		p.ended = true
		yield(audit.Entry{}, err)
	}
	return p
}

// numbered selects a numbered entry. An altered one is reported and shown as unreadable.
func (f *picker) numbered(l audit.Leaf) (audit.Entry, bool) {
	e, ok := f.pick(l.Body)
	if ok && f.auth != nil && !f.auth.Check(l.Seq, l.Body, l.MAC) {
		f.report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered})
		e = audit.Entry{Event: "audit.unreadable", Outcome: audit.Failed, Reason: "altered"}
	}
	e.Seq = l.Seq
	return e, ok
}

// pick decodes a body and reports whether the filter selects it. An unreadable entry is
// shown unless it lacks the event of the filter.
func (f *Filter) pick(body []byte) (audit.Entry, bool) {
	if f.Event != "" && !bytes.Contains(body, []byte(f.Event)) {
		return audit.Entry{}, false // most rows of a rare search end here, undecoded
	}
	e, err := audit.Decode(body)
	if err != nil {
		return audit.Entry{Event: "audit.unreadable", Outcome: audit.Failed, Reason: err.Error()}, true
	}
	if f.Text != "" && !strings.Contains(strings.ToLower(string(body)), strings.ToLower(f.Text)) {
		return audit.Entry{}, false
	}
	return e, f.matches(&e)
}

// skew is how far the times of entries may deviate from the order of their numbers, as
// the clocks of servers differ and are set.
const skew = 15 * time.Minute

// bounds narrows the numbers before end by the times of the filter.
func (log *AuditLog) bounds(ctx context.Context, f Filter, end int64) (from, before int64, err error) {
	from, before = f.From, end
	if !f.Since.IsZero() {
		n, err := log.firstAt(ctx, Unix(f.Since.Add(-skew)))
		if err != nil {
			return 0, 0, err
		}
		from = max(from, n)
	}
	if !f.Until.IsZero() {
		n, err := log.firstAt(ctx, Unix(f.Until.Add(skew)))
		if err != nil {
			return 0, 0, err
		}
		before = min(before, n)
	}
	return from, before, nil
}

// firstAt returns the number of the first entry at or after a time, by binary search:
// numbers nearly follow time.
func (log *AuditLog) firstAt(ctx context.Context, at int64) (int64, error) {
	var high int64
	if err := log.rows.QueryRow(ctx, "select coalesce(max(seq), -1) + 1 from audit_entry").Scan(&high); err != nil {
		return 0, err
	}
	for low := int64(0); low < high; {
		mid := low + (high-low)/2
		var t int64
		err := log.rows.QueryRow(ctx, "select at from audit_entry where seq >= $1 order by seq limit 1", mid).Scan(&t)
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
		(f.Actor == "" || e.Actor.Name == f.Actor) &&
		(f.Application == "" || e.Application == f.Application) &&
		(f.Outcome == "" || e.Outcome == f.Outcome) &&
		(f.Since.IsZero() || !e.At.Before(f.Since)) &&
		(f.Until.IsZero() || e.At.Before(f.Until))
}
