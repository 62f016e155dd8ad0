package token

import (
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/directory"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// overtaken is two tokens, of which the first was changed after a sweep began to read it;
// then happens before the sweep reads it again.
func overtaken(t *testing.T, then ...string) *rig {
	t.Helper()
	r := stocked(t, filepath.Join(t.TempDir(), "token.db"))
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	faults := storetest.NewFaults(t, r.dsn)
	db, keys := keyringtest.Open(t, store.Options{DSN: r.dsn, Remember: r.folder, Driver: faults.Driver}, r.root)
	r.Stock = NewStock(db, keys)
	one, err := r.Get(t.Context(), r.db, "A1")
	if err != nil {
		t.Fatal(err)
	}
	faults.AroundReads(func(query string) {
		switch {
		case strings.HasPrefix(query, `select version from token`):
			r.intruder(t, then...)
		case strings.HasPrefix(query, `select `+columns):
			r.change(t, func(tx *store.Tx) error { tx.Anchor("token", one.id, one.version+1); return nil })
		}
	})
	t.Cleanup(func() { faults.AroundReads(nil) })
	return r
}

// A sweep goes on behind a token that is removed while it reads: that is no error and no
// alarm, and what comes after it is looked at.
func TestASweepGoesOnBehindWhatIsRemoved(t *testing.T) {
	r := overtaken(t, `delete from token where serial = 'A1'`)
	second, err := r.Get(t.Context(), r.db, "A2")
	if err != nil {
		t.Fatal(err)
	}
	r.intruder(t, `update token set detail = 'x' where serial = 'A2'`)
	if err := r.Inspect(t.Context()); err != nil {
		t.Errorf("the sweep ends: %v", err)
	}
	r.finds(t, store.Finding{Table: "token", Row: number(second.id), Wrong: store.Altered})
}

// A sweep that cannot read says so, and does not pass for one that found nothing.
func TestASweepThatCannotRead(t *testing.T) {
	r := overtaken(t, `alter table token rename to gone`)
	if err := r.Inspect(t.Context()); err == nil || err == unknown || directory.ErrTampered == err {
		t.Errorf("the sweep says %v", err)
	}
	r.finds(t)
}
