package store

import (
	"context"
	"strconv"
	"strings"

	"countersign/internal/audit"
)

const (
	// indexShift is how many bits of an entry's number are its place in a page of the index
	// by account (migration 0019).
	indexShift = 12
	// indexPages are the pages that one query looks into.
	indexPages = 64
)

// byAccount selects the entries of one account in indexPages pages of the index: from $1 to
// before $2, at most $3, of the account $4. The number of an entry is no key there, so that
// the engine does not read all entries in between.
var byAccount = func() string {
	var b strings.Builder
	b.WriteString("select seq, body, mac from audit_entry where seq >> " + strconv.Itoa(indexShift) + " in (")
	for i := range indexPages {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(5+i))
	}
	b.WriteString(") and account = $4 and +seq >= $1 and +seq < $2 order by seq")
	return b.String()
}()

// scanAccount streams the entries of one account, and reports whether to continue. What it
// takes grows with the log, by a look into the index for each 4096 entries.
func (log *AuditLog) scanAccount(ctx context.Context, f *picker, from, before int64, yield func(audit.Entry, error) bool) bool {
	before, err := log.within(ctx, before)
	if err != nil {
		return yield(audit.Entry{}, err)
	}
	query := byAccount + " limit $3"
	if f.Newest {
		query = byAccount + " desc limit $3"
	}
	const width = indexPages << indexShift
	first, last := max(from, 0)/width, (before-1)/width
	for i := range max(0, last-first+1) {
		n := first + i
		if f.Newest {
			n = last - i
		}
		args := []any{max(from, n*width), min(before, (n+1)*width), page, f.Account}
		for p := range int64(indexPages) {
			args = append(args, n*indexPages+p)
		}
		if !log.scanPages(ctx, f, query, args, yield) {
			return false
		}
	}
	return true
}

// within is before, or one more than the highest number where that is less.
func (log *AuditLog) within(ctx context.Context, before int64) (int64, error) {
	var high int64
	err := log.rows.QueryRow(ctx, "select coalesce(max(seq), -1) + 1 from audit_entry").Scan(&high)
	return min(before, high), err
}
