package directory

import (
	"path/filepath"
	"testing"

	"countersign/internal/store"
)

// What stands alone against the same answer is remembered beyond its row, by all and after
// a restart; what the credential's own state refuses is not.
func TestSpentBeyondItsRow(t *testing.T) {
	r := setUpOn(t, filepath.Join(t.TempDir(), "directory.db"))
	spend := func(o Once) (fresh bool) {
		t.Helper()
		r.change(t, func(tx *store.Tx) (err error) {
			fresh, err = r.credentials.Spend(t.Context(), tx, o, tx.Now())
			return err
		})
		return fresh
	}
	alone, state := Once{Credential: 3, Key: "c1", Alone: true}, Once{Credential: 3, Key: "t1"}
	if !spend(alone) || !spend(state) || spend(alone) || spend(state) {
		t.Fatal("not once")
	}
	forget := func() { r.sabotage(t, `delete from spent`) }
	if forget(); spend(alone) {
		t.Error("its row deleted, it is good again")
	}
	r.alarmed(t, "spent", store.Missing)
	if forget(); !spend(state) {
		t.Error("what a state refuses is remembered")
	}
	for _, other := range []Once{{Credential: 4, Key: "c1", Alone: true}, {Credential: 3, Key: "c2", Alone: true}, {Credential: 3, Alone: true}, {Credential: 3, Alone: true}} {
		if !spend(other) {
			t.Errorf("%+v was not spent", other)
		}
	}
	r.restart(t)
	if forget(); spend(alone) {
		t.Error("after a restart it is good again")
	}
}
