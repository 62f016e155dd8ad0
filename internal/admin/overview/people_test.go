package overview

import (
	"path/filepath"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: few people are counted anew each time, many at most once in a minute, and a
// clock that is put back does not have an old count told for ever.
func TestManyPeopleAreCountedOnceAMinute(t *testing.T) {
	db, keys := keyringtest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "people.db"), Now: clock}, keyring.NewRoot())
	now := clock()
	accounts := directory.NewAccounts(directory.Parts{DB: db, Keys: keys})
	p := &people{accounts: accounts, rows: db.View(), dormant: time.Hour, now: func() time.Time { return now }, many: 2}
	for _, step := range []struct {
		name  string
		later time.Duration
		want  int64
	}{
		{"ada", 0, 1}, {"bob", 0, 2}, {"carl", 0, 2}, {"dora", countedFor - 1, 2}, {"eve", 1, 5}, {"fay", -2 * countedFor, 6},
	} {
		now = now.Add(step.later)
		storetest.Change(t, db, func(tx *store.Tx) error {
			_, err := accounts.Create(t.Context(), tx, directory.NewAccount{Name: step.name})
			return err
		})
		got, err := p.count(t.Context())
		if err != nil || got.all != step.want || got.withoutTwoFactors != step.want || got.at.After(now) {
			t.Errorf("with %s: %+v, not %d, %v", step.name, got, step.want, err)
		}
	}
}
