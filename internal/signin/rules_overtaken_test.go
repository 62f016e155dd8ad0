package signin

import (
	"context"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// thenSaved is a reader after whose first query a document is saved.
type thenSaved struct {
	store.Reader
	then func()
}

func (r *thenSaved) Query(ctx context.Context, query string, args ...any) (*store.Rows, error) {
	rows, err := r.Reader.Query(ctx, query, args...)
	if f := r.then; f != nil {
		r.then = nil
		f()
	}
	return rows, err
}

// A document that is saved while the one before it is read is in force at once, and nobody
// took it back. A transaction that may see what was before runs again.
func TestAPolicyThatIsSavedWhileItIsRead(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		g := newGoverned(t, dsn)
		var saved Document
		from := &thenSaved{g.db, func() { saved = g.save(anyFactor) }}
		if d, err := g.Latest(t.Context(), from); err != nil || d.Version != saved.Version || d.Body != anyFactor {
			t.Errorf("read %d, %v; saved was %d", d.Version, err, saved.Version)
		}
		if strings.HasPrefix(dsn, "postgres") {
			runs, versions := 0, []int64{}
			err := g.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
				from := &thenSaved{Reader: tx}
				if runs++; runs == 1 {
					from.then = func() { saved = g.save(denying) }
				}
				d, err := g.Latest(t.Context(), from)
				if err != nil {
					return err
				}
				versions = append(versions, d.Version)
				return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
			})
			if err != nil || runs != 2 || versions[len(versions)-1] != saved.Version {
				t.Errorf("%d runs, versions %v, %v; saved was %d", runs, versions, err, saved.Version)
			}
		}
		storetest.Quiet(t, g.db)
	})
}
