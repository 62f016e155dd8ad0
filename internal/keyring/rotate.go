package keyring

import (
	"context"
	"crypto/cipher"
	"errors"
	"strconv"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// RotateRoot wraps all data keys under another root key, in one transaction. The old
// one no longer opens the database. Somebody with the old root key and an old copy of
// the database still has its data keys: see [Keyring.RotateDataKey].
func (k *Keyring) RotateRoot(ctx context.Context, actor audit.Actor, fresh Root) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if fresh.Equal(k.root) {
		return failure.New(failure.Invalid, "This root key is already in use.")
	}
	over, err := fresh.wrapper()
	if err != nil {
		return err
	}
	under, err := k.root.wrapper()
	if err != nil {
		return err
	}
	known := k.known()
	err = k.db.Change(ctx, actor, func(tx *store.Tx) error {
		n, err := rewrap(ctx, tx, under, over, known)
		if err != nil {
			return err
		}
		tx.Anchor(rootKind, 0, store.Unix(tx.Now()))
		tx.Announce(topic)
		return tx.Record(audit.Entry{Event: "keyring.root-rotated", Outcome: audit.OK,
			Detail: map[string]string{"keys": strconv.Itoa(n)}})
	})
	if err == nil {
		k.root = fresh
	}
	return err
}

// rewrap wraps all keys under the new root key and returns their number.
func rewrap(ctx context.Context, tx *store.Tx, under, over cipher.AEAD, known map[Purpose]int64) (int, error) {
	rows, err := readWrapped(ctx, tx)
	if err != nil {
		return 0, err
	}
	r, err := unwrapAll(rows, under)
	if err != nil {
		return 0, elsewhere(err)
	}
	if err := r.whole(known); err != nil {
		return 0, err
	}
	for _, w := range rows {
		d, err := w.unwrap(under)
		if err != nil {
			return 0, err
		}
		w.wrap(over, d.generation, d.key)
		if _, err := tx.Exec(ctx, "update wrapped_key set wrapped = $2 where id = $1", w.id, w.wrapped); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// elsewhere explains why a root key that opened the database at the start no longer does.
func elsewhere(err error) error {
	if errors.Is(err, ErrWrongRoot) {
		return failure.Wrap(failure.Conflict, err, "The root key was rotated on another server. Give this one the new key and start it again.")
	}
	return err
}

// RotateDataKey makes a new generation of a purpose's key, which seals from then on.
// Values of older generations still open. Other servers use it within a second.
func (k *Keyring) RotateDataKey(ctx context.Context, actor audit.Actor, p Purpose) error {
	if !p.known() {
		return failure.New(failure.Invalid, "No key for %q can be rotated; the purposes are %v.", string(p), Purposes())
	}
	if err := k.rotate(ctx, actor, p); err != nil {
		return err
	}
	k.reload(0)
	return nil
}

func (k *Keyring) rotate(ctx context.Context, actor audit.Actor, p Purpose) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	under, err := k.root.wrapper()
	if err != nil {
		return err
	}
	known := k.known()
	return k.db.Change(ctx, actor, func(tx *store.Tx) error {
		r, err := k.loadWhole(ctx, tx, known) // also proves that our root key is still the one
		if err != nil {
			return elsewhere(err)
		}
		old := r.newest(p)
		if _, err := tx.Exec(ctx, "update wrapped_key set retired = $2 where purpose = $1 and retired = 0", string(p), store.Unix(tx.Now())); err != nil {
			return err
		}
		if err := insertKey(ctx, tx, under, p, old.generation+1); err != nil {
			return err
		}
		tx.Announce(topic)
		return tx.Record(audit.Entry{Event: "keyring.data-key-rotated", Outcome: audit.OK,
			Detail: map[string]string{"purpose": string(p), "generation": strconv.FormatUint(uint64(old.generation)+1, 10)}})
	})
}
