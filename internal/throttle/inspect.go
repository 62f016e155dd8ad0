package throttle

import (
	"context"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

// walkPage is how many rows a sweep reads at a time.
const walkPage = 500

// Inspect looks at every budget, at what this server charged, and at the places, and reports
// those that are not as they were left. Its error is that of the database. It is for the
// background: it takes as long as the tables are large.
func (t *Throttle) Inspect(ctx context.Context) error {
	return errors.Join(t.inspect(ctx), t.budgets.ledger.doubts.Settle(ctx))
}

func (t *Throttle) inspect(ctx context.Context) error {
	if err := t.budgets.ledger.inspectRows(ctx); err != nil {
		return err
	}
	if err := t.budgets.ledger.inspectMemory(ctx); err != nil {
		return err
	}
	return t.places.inspectPlaces(ctx)
}

// Bind gives the rows of a release before, which had none, their MAC.
func (t *Throttle) Bind(ctx context.Context) error {
	return errors.Join(t.budgets.ledger.bindGuesses(ctx, t.db), t.places.bindPlaces(ctx, t.db))
}

func (l *ledger) inspectRows(ctx context.Context) error {
	after := ""
	return l.view.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := l.page(ctx, `where subject > $1 order by subject limit $2`, after, walkPage)
		for i := range page {
			after = page[i].subject
			if err := l.inspectRow(ctx, &page[i]); err != nil {
				return false, err
			}
		}
		return len(page) == walkPage, err
	})
}

func (l *ledger) page(ctx context.Context, where string, args ...any) (out []guessRow, err error) {
	rows, err := l.view.Query(ctx, `select `+guessColumns+` from guess `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row guessRow
		if err := row.scan(rows); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// inspectRow reports a row that is not ours, or is over and there again.
func (l *ledger) inspectRow(ctx context.Context, row *guessRow) error {
	switch {
	case !l.bound(row):
		l.altered(row)
		return nil
	case row.count == 0 || !l.ended(row.subject, run{owner: row.owner, since: row.since}):
		return nil
	}
	now, there, err := stored(ctx, l.view, row.subject) // it may have been removed since it was read
	if err == nil && there && now.since == row.since {
		l.view.Report(store.Finding{Table: "guess", Row: row.subject, Wrong: store.Returned, Account: row.owner})
	}
	return err
}

// inspectMemory looks for rows that say less than this server charged.
func (l *ledger) inspectMemory(ctx context.Context) error {
	for _, memory := range []*tried{l.owned, l.sources} {
		list := memory.subjects()
		err := l.view.Walk(ctx, func(ctx context.Context) (bool, error) {
			n := min(len(list), walkPage)
			for _, subject := range list[:n] {
				if err := l.inspectRun(ctx, memory, subject); err != nil {
					return false, err
				}
			}
			list = list[n:]
			return len(list) > 0, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) inspectRun(ctx context.Context, memory *tried, key string) error {
	row, there, err := stored(ctx, l.view, key)
	if err != nil {
		return err
	}
	m, ok := memory.of(key)
	switch wrong := l.lacks(&row, there, m); {
	case !ok, wrong == "":
	case l.ended(key, m):
		memory.forget(key, m.since)
	default:
		l.doubt(key, m, wrong)
	}
	return nil
}

// placeRow is a row of known_source.
type placeRow struct {
	note
	seen int64
	mac  []byte
}

// placesAfter reads the places that follow one.
func (k *places) placesAfter(ctx context.Context, after note) (out []placeRow, err error) {
	rows, err := k.view.Query(ctx, `select account, source, seen, mac from known_source where account > $1 or account = $1 and source > $2 order by account, source limit $3`,
		int64(after.account), after.source, walkPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p placeRow
		var account int64
		if err := rows.Scan(&account, &p.source, &p.seen, &p.mac); err != nil {
			return nil, err
		}
		p.account = assurance.AccountID(account)
		out = append(out, p)
	}
	return out, rows.Err()
}

// inspectPlaces looks at the places from which accounts were let in.
func (k *places) inspectPlaces(ctx context.Context) error {
	var after note
	return k.view.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := k.placesAfter(ctx, after)
		for _, p := range page {
			k.knows(p.note, p.seen, p.mac)
			after = p.note
		}
		return len(page) == walkPage, err
	})
}

// bindGuesses gives the rows of an earlier release their MAC.
func (l *ledger) bindGuesses(ctx context.Context, db *store.DB) error {
	after := ""
	return store.BindPages(ctx, db, "guess", func(ctx context.Context) (int, func(*store.Tx) error, error) {
		page, err := l.page(ctx, `where subject > $1 order by subject limit $2`, after, walkPage)
		if len(page) > 0 {
			after = page[len(page)-1].subject
		}
		return len(page), func(tx *store.Tx) error { return l.write(ctx, tx, page) }, err
	})
}

func (k *places) bindPlaces(ctx context.Context, db *store.DB) error {
	var after note
	return store.BindPages(ctx, db, "known_source", func(ctx context.Context) (int, func(*store.Tx) error, error) {
		page, err := k.placesAfter(ctx, after)
		if len(page) > 0 {
			after = page[len(page)-1].note
		}
		return len(page), func(tx *store.Tx) error {
			for _, p := range page {
				if err := k.writePlace(ctx, tx, p.note, p.seen); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}
