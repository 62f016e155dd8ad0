package keyring

import (
	"cmp"
	"context"
	"slices"
	"time"

	"countersign/internal/store"
)

// Key is one data key, without the key.
type Key struct {
	ID         int64
	Purpose    Purpose
	Generation uint32
	Created    time.Time
	// Retired is since when it only opens; zero while it seals.
	Retired time.Time
}

// List returns every data key that the database holds, by purpose and
// generation, having opened each with the root key.
func (k *Keyring) List(ctx context.Context) ([]Key, error) {
	k.mu.Lock()
	under, err := k.root.wrapper()
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	rows, err := k.db.Query(ctx, "select id, purpose, wrapped, created, retired from wrapped_key")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Key
	for rows.Next() {
		var w wrappedKey
		var purpose string
		var retired int64
		if err := rows.Scan(&w.id, &purpose, &w.wrapped, &w.created, &retired); err != nil {
			return nil, err
		}
		w.purpose = Purpose(purpose)
		d, err := w.unwrap(under)
		if err != nil {
			return nil, err
		}
		out = append(out, Key{ID: w.id, Purpose: w.purpose, Generation: d.generation, Created: store.Time(w.created), Retired: store.Time(retired)})
	}
	slices.SortFunc(out, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Generation, b.Generation))
	})
	return out, rows.Err()
}
