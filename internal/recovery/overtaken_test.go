package recovery

import (
	"context"
	"errors"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// meanwhile reads, and has something done once before what was read is looked at.
type meanwhile struct {
	store.Reader
	do func()
}

func (m *meanwhile) once() {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
}

func (m *meanwhile) QueryRow(ctx context.Context, query string, args ...any) store.Row {
	row := m.Reader.QueryRow(ctx, query, args...)
	m.once()
	return row
}

func (m *meanwhile) Query(ctx context.Context, query string, args ...any) (*store.Rows, error) {
	rows, err := m.Reader.Query(ctx, query, args...)
	m.once()
	return rows, err
}

// blind reads as of before anything was opened.
type blind struct{ store.Reader }

func (b blind) QueryRow(ctx context.Context, query string, _ ...any) store.Row {
	return b.Reader.QueryRow(ctx, query, int64(-1))
}

// A case that is changed between reading it and looking at it is read again: nobody is
// told that somebody changed it from outside, and nobody has what it was.
func TestACaseThatIsChangedWhileItIsRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn, nil)
		r.person("bob", "password", "totp")
		secret, c := r.opens("helga", "bob", false)
		change := func() {
			r.change(func(tx *store.Tx) error {
				was, err := r.bySecret(t.Context(), tx, secret)
				if err != nil {
					return err
				}
				return r.write(t.Context(), tx, was, was)
			})
		}
		for i, read := range []func(from store.Reader) (Case, error){
			func(from store.Reader) (Case, error) { return r.bySecret(t.Context(), from, secret) },
			func(from store.Reader) (Case, error) { return r.byNumber(t.Context(), from, c.ID) },
			func(from store.Reader) (Case, error) {
				c, _, err := r.underWay(t.Context(), from, c.Account)
				return c, err
			},
		} {
			if now, err := read(&meanwhile{r.db, change}); err != nil || now.version != int64(i+2) {
				t.Errorf("%d: version %d, %v", i, now.version, err)
			}
		}
		if lost, err := r.lost(t.Context(), blind{r.db}, c.Account); lost || err != nil {
			t.Errorf("read before it was opened, it is lost: %t, %v", lost, err)
		}
		reads := 0
		_, err := settled(r.db, func() (Case, error) { reads++; return Case{}, errOvertaken })
		if !errors.Is(err, store.ErrUnavailable) || reads != mostReads {
			t.Errorf("changed always, it is read %d times, %v", reads, err)
		}
		r.inspects()
		storetest.Quiet(t, r.db)
	})
}

// A browser for which a case is opened while it is read is served, and nobody put it back.
func TestABrowserThatIsServedWhileItIsRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn, nil)
		bob := r.person("bob", "password")
		_, number := r.asks("bob")
		from := &meanwhile{r.db, func() {
			if _, err := r.tryOpen("helga", "bob", Opening{Account: bob, Number: number, Check: "in-person", Note: "ticket 1"}); err != nil {
				t.Error(err)
			}
		}}
		if q, err := r.showing(t.Context(), from, bob.ID, number); err == nil {
			t.Errorf("%+v is shown", q)
		}
		r.inspects()
		storetest.Quiet(t, r.db)
	})
}

// On PostgreSQL a transaction that reads a case as it was before is run again.
func TestATransactionThatReadsOfBefore(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		if dsn == "" || dsn[0] != 'p' {
			t.Skip("SQLite runs one change after the other")
		}
		r := setUpOn(t, dsn, nil)
		r.person("bob", "password", "totp")
		secret, c := r.opens("helga", "bob", false)
		runs := 0
		r.change(func(tx *store.Tx) error {
			if runs++; runs == 1 {
				if err := tx.QueryRow(t.Context(), again, c.ID).Scan(new(int64)); err != nil {
					return err
				}
				r.change(func(other *store.Tx) error { return r.write(t.Context(), other, c, c) })
			}
			now, err := r.bySecret(t.Context(), tx, secret)
			if err == nil && now.version != 2 {
				t.Errorf("version %d", now.version)
			}
			return err
		})
		if runs != 2 {
			t.Errorf("%d runs", runs)
		}
		storetest.Quiet(t, r.db)
	})
}
