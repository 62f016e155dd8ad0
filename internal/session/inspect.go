package session

import (
	"context"
	"errors"
)

// inspectPage is how many rows are looked at at a time.
const inspectPage = 500

// Inspect reads every session once and reports those that are not as they were left: that
// were altered, are there again although they are over, or are gone. It stops at none of
// them; its error is that of the database. Those that were idle for too long it ends, where they
// are to end.
func (s *Sessions) Inspect(ctx context.Context) error {
	missed := s.rows.begun.active(s.now())
	if err := s.inspectRows(ctx, missed); err != nil {
		return err
	}
	for _, k := range s.rows.begun.again(missed) {
		if err := s.endings.missing(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// inspectRows looks at every row, and takes those from missed that have one.
func (s *Sessions) inspectRows(ctx context.Context, missed map[string]beginning) error {
	last := []byte{}
	return s.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		page, ids, err := s.page(ctx, last)
		if err != nil || len(ids) == 0 {
			return false, err
		}
		last = ids[len(ids)-1]
		for _, r := range page {
			delete(missed, r.Number)
			if r.ended.IsZero() && s.now().Before(r.expires) && s.rows.over(r) {
				if err := s.rows.returned(ctx, r); err != nil {
					return false, err
				}
			}
		}
		if err := s.endings.endIdle(ctx, page); err != nil {
			return false, err
		}
		return len(ids) == inspectPage, nil
	})
}

// page reads rows behind an id: those that are as they were left, and the ids of all.
func (s *Sessions) page(ctx context.Context, after []byte) (page []*row, ids [][]byte, err error) {
	rows, err := s.db.Query(ctx, `select `+columns+` from session where id > $1 order by id limit $2`, after, inspectPage)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := s.rows.scan(rows)
		if err != nil && !errors.Is(err, altered) {
			return nil, nil, err
		}
		if ids = append(ids, r.id); err == nil {
			page = append(page, r)
		}
	}
	return page, ids, errors.Join(rows.Err(), rows.Close())
}
