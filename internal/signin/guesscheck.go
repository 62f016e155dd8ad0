package signin

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/store"
)

// walkPage is how many rows a sweep reads at a time.
const walkPage = 500

// inspect looks at every budget, at what this server charged, and at the places.
func (g *guesses) inspect(ctx context.Context) error {
	after := ""
	err := g.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := g.page(ctx, `where subject > $1 order by subject limit $2`, after, walkPage)
		for i := range page {
			after = page[i].subject
			if err := g.inspectRow(ctx, &page[i]); err != nil {
				return false, err
			}
		}
		return len(page) == walkPage, err
	})
	if err != nil {
		return err
	}
	if err := g.inspectMemory(ctx); err != nil {
		return err
	}
	return g.inspectPlaces(ctx)
}

func (g *guesses) page(ctx context.Context, where string, args ...any) (out []guessRow, err error) {
	rows, err := g.db.Query(ctx, `select `+guessColumns+` from guess `+where, args...)
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
func (g *guesses) inspectRow(ctx context.Context, row *guessRow) error {
	switch {
	case !g.bound(row):
		g.altered(row)
		return nil
	case row.count == 0 || !g.ended(row.subject, run{owner: row.owner, since: row.since}):
		return nil
	}
	now, there, err := stored(ctx, g.db, row.subject) // it may have been removed since it was read
	if err == nil && there && now.since == row.since {
		g.db.Report(store.Finding{Table: "guess", Row: row.subject, Wrong: store.Returned, Account: row.owner})
	}
	return err
}

// inspectMemory looks for rows that say less than this server charged.
func (g *guesses) inspectMemory(ctx context.Context) error {
	for _, memory := range []*tried{g.owned, g.places} {
		list := memory.subjects()
		err := g.db.Walk(ctx, func(ctx context.Context) (bool, error) {
			n := min(len(list), walkPage)
			for _, subject := range list[:n] {
				if err := g.inspectRun(ctx, memory, subject); err != nil {
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

func (g *guesses) inspectRun(ctx context.Context, memory *tried, key string) error {
	row, there, err := stored(ctx, g.db, key)
	if err != nil {
		return err
	}
	m, ok := memory.of(key)
	switch wrong := g.lacks(&row, there, m); {
	case !ok, wrong == "":
	case g.ended(key, m):
		memory.forget(key, m.since)
	default:
		g.doubt(key, m, wrong)
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
func (g *guesses) placesAfter(ctx context.Context, after note) (out []placeRow, err error) {
	rows, err := g.db.Query(ctx, `select account, source, seen, mac from known_source where account > $1 or account = $1 and source > $2 order by account, source limit $3`,
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
func (g *guesses) inspectPlaces(ctx context.Context) error {
	var after note
	return g.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := g.placesAfter(ctx, after)
		for _, p := range page {
			g.knows(p.note, p.seen, p.mac)
			after = p.note
		}
		return len(page) == walkPage, err
	})
}

// bindGuesses gives the rows of an earlier release their MAC.
func (g *guesses) bindGuesses(ctx context.Context) error {
	after := ""
	return bindPages(ctx, g.db, "guess", func(ctx context.Context) (int, func(*store.Tx) error, error) {
		page, err := g.page(ctx, `where subject > $1 order by subject limit $2`, after, walkPage)
		if len(page) > 0 {
			after = page[len(page)-1].subject
		}
		return len(page), func(tx *store.Tx) error { return g.write(ctx, tx, page) }, err
	})
}

func (g *guesses) bindPlaces(ctx context.Context) error {
	var after note
	return bindPages(ctx, g.db, "known_source", func(ctx context.Context) (int, func(*store.Tx) error, error) {
		page, err := g.placesAfter(ctx, after)
		if len(page) > 0 {
			after = page[len(page)-1].note
		}
		return len(page), func(tx *store.Tx) error {
			for _, p := range page {
				if err := g.writePlace(ctx, tx, p.note, p.seen); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}

// bindPages binds a page of rows of a table after the other, each in a change of its own.
// read returns how many rows there are, and what binds them.
func bindPages(ctx context.Context, db *store.DB, table string, read func(ctx context.Context) (int, func(*store.Tx) error, error)) error {
	for {
		n, bind, err := read(ctx)
		if err != nil || n == 0 {
			return err
		}
		err = db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
			if err := bind(tx); err != nil {
				return err
			}
			return tx.RecordBound(table, n)
		})
		if err != nil {
			return err
		}
	}
}

// forgetOld forgets what a release before left of messages and pushes: it is over within
// minutes, or limits for a day what nobody gains much by.
func (e *Engine) forgetOld(ctx context.Context) error {
	return e.db.Housekeep(ctx, "forgetting what is not bound", func(tx *store.Tx) error {
		for _, statement := range []string{`delete from message`, `delete from sent where mac is null`, `delete from wake where mac is null`} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}
