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
// generation, having opened each with the root key. One that does not open though others
// do is left out.
func (k *Keyring) List(ctx context.Context) ([]Key, error) {
	k.mu.Lock()
	under, err := k.root.wrapper()
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	rows, err := readWrapped(ctx, k.db)
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, w := range rows {
		d, err := w.unwrap(under)
		if err != nil {
			continue
		}
		out = append(out, Key{ID: w.id, Purpose: w.purpose, Generation: d.generation, Created: store.Time(w.created)})
	}
	if len(out) == 0 && len(rows) > 0 {
		return nil, ErrWrongRoot
	}
	slices.SortFunc(out, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Generation, b.Generation))
	})
	for i := range len(out) - 1 {
		if out[i].Purpose == out[i+1].Purpose {
			out[i].Retired = out[i+1].Created
		}
	}
	return out, nil
}
