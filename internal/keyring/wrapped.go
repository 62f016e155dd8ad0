package keyring

import (
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"countersign/internal/store"
)

// ErrWrongRoot is returned for a root key of another database.
var ErrWrongRoot = errors.New("this root key does not open this database")

// wrapVersion begins a wrapped key: version (1 byte) | nonce | ciphertext of
// generation (4) and key (32) | tag.
const wrapVersion = 1

// wrappedKey is a row of the table.
type wrappedKey struct {
	id      int64
	purpose Purpose
	wrapped []byte
	created int64 // microseconds
}

func (w wrappedKey) aad() []byte {
	return appendInt(appendString(appendString(nil, "countersign wrapped key"), string(w.purpose)), w.created)
}

// wrap sets the row's wrapped key.
func (w *wrappedKey) wrap(under cipher.AEAD, generation uint32, key [keySize]byte) {
	plain := binary.BigEndian.AppendUint32(make([]byte, 0, 4+keySize), generation)
	plain = append(plain, key[:]...)
	w.wrapped = under.Seal([]byte{wrapVersion}, nil, plain, w.aad())
	clear(plain)
}

func (w wrappedKey) unwrap(under cipher.AEAD) (*dataKey, error) {
	if len(w.wrapped) == 0 || w.wrapped[0] != wrapVersion {
		return nil, ErrSealed
	}
	plain, err := under.Open(nil, nil, w.wrapped[1:], w.aad())
	if err != nil || len(plain) != 4+keySize {
		return nil, ErrSealed
	}
	defer clear(plain)
	return newDataKey(binary.BigEndian.Uint32(plain), [keySize]byte(plain[4:])), nil
}

func readWrapped(ctx context.Context, r store.Reader) ([]wrappedKey, error) {
	rows, err := r.Query(ctx, "select id, purpose, wrapped, created from wrapped_key order by id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []wrappedKey
	for rows.Next() {
		var w wrappedKey
		var purpose string
		if err := rows.Scan(&w.id, &purpose, &w.wrapped, &w.created); err != nil {
			return nil, err
		}
		w.purpose = Purpose(purpose)
		out = append(out, w)
	}
	return out, rows.Err()
}

// load reads all keys and unwraps them with the present root key.
func (k *Keyring) load(ctx context.Context, r store.Reader) (ring, error) {
	rows, err := readWrapped(ctx, r)
	if err != nil {
		return nil, err
	}
	under, err := k.root.wrapper()
	if err != nil {
		return nil, err
	}
	return unwrapAll(rows, under)
}

// unwrapAll opens all keys or none. If none opens the root key is another one; if
// some do not open, or one is missing, somebody changed the table.
func unwrapAll(rows []wrappedKey, under cipher.AEAD) (ring, error) {
	out := ring{}
	var bad []wrappedKey
	for _, w := range rows {
		d, err := w.unwrap(under)
		if err != nil {
			bad = append(bad, w)
			continue
		}
		if old := out.find(w.purpose, d.generation); old != nil {
			return nil, w.altered("keyring: key %d (%s) is there twice: the table wrapped_key was changed from outside")
		}
		out[w.purpose] = append(out[w.purpose], d)
	}
	switch {
	case len(bad) > 0 && len(bad) == len(rows):
		return nil, ErrWrongRoot
	case len(bad) > 0:
		return nil, bad[0].altered("keyring: key %d (%s) does not open though others do: the table wrapped_key was changed from outside; restore it from a backup")
	}
	for p, keys := range out {
		slices.SortFunc(keys, func(a, b *dataKey) int { return cmp.Compare(a.generation, b.generation) })
		for i, d := range keys {
			if int(d.generation) != i+1 {
				return nil, lost(p, uint32(i+1))
			}
		}
	}
	return out, nil
}

// insertKey makes a key at random and inserts it.
func insertKey(ctx context.Context, tx *store.Tx, under cipher.AEAD, p Purpose, generation uint32) error {
	w := wrappedKey{purpose: p, created: tx.Now().Truncate(time.Microsecond).UnixMicro()}
	var key [keySize]byte
	rand.Read(key[:])
	w.wrap(under, generation, key)
	clear(key[:])
	tx.Anchor(rowKind, store.NumberOf(string(p)), int64(generation))
	_, err := tx.Exec(ctx, "insert into wrapped_key (purpose, wrapped, created) values ($1, $2, $3)",
		string(p), w.wrapped, w.created)
	return err
}
