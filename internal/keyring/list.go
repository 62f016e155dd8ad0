package keyring

import (
	"cmp"
	"context"
	"slices"
	"time"

	"countersign/internal/store"
)

// Key describes a data key, without the key itself.
type Key struct {
	ID         int64
	Purpose    Purpose
	Generation uint32
	Created    time.Time
	// Retired is when a newer generation replaced it; zero while it seals.
	Retired time.Time
}

// List returns all data keys of the database, by purpose and generation, after opening
// each with the root key. It leaves out a key that does not open if others do.
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
