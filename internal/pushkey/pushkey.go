// Package pushkey keeps the key that push services know us by.
//
// It owns the table push_key, of one row: sealed, and said by the log to be there. It
// sends nothing: webpush does, with the key that it is handed. Its one invariant: there
// is one key, made once, because another one silences every app that is subscribed.
package pushkey

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/webpush"
)

// Kept is the key that is in use, and where it is kept. It is safe for concurrent use.
type Kept struct {
	db     *store.DB
	keys   *keyring.Keyring
	key    webpush.Key
	scalar []byte
}

// Open reads the key, and makes it the first time. One that is missing though it was
// made is an alarm, and is made anew; one that does not open is an error.
func Open(ctx context.Context, db *store.DB, keys *keyring.Keyring) (*Kept, error) {
	k := &Kept{db: db, keys: keys}
	var err error
	k.scalar, err = k.stored(ctx)
	if errors.Is(err, store.ErrNotFound) {
		if err := k.make(ctx); err != nil {
			return nil, err
		}
		k.scalar, err = k.stored(ctx) // another server may have been first
	}
	if err != nil {
		return nil, err
	}
	k.key, err = webpush.ParseKey(k.scalar)
	return k, err
}

// Key is the key in use.
func (k *Kept) Key() webpush.Key { return k.key }

// place is where the key is.
var place = keyring.AAD{Table: "push_key", Column: "payload", Key: "1"}

const madeEvent = "key.push-made"

func (k *Kept) stored(ctx context.Context) ([]byte, error) {
	var sealed []byte
	if err := k.db.QueryRow(ctx, `select payload from push_key where id = 1`).Scan(&sealed); err != nil {
		return nil, err
	}
	scalar, err := k.keys.Open(keyring.Push, place, sealed)
	if err != nil {
		return nil, fmt.Errorf("the key for push services: %w", err)
	}
	return scalar, nil
}

func (k *Kept) make(ctx context.Context) error {
	made, err := k.db.AuditLog().Entries(ctx, store.Filter{Event: madeEvent, Limit: 1})
	if err != nil {
		return err
	}
	if len(made) > 0 || k.db.Newest("push_key", 1) > 0 {
		k.db.Report(store.Finding{Table: "push_key", Row: "1", Wrong: store.Missing})
	}
	fresh, err := webpush.NewKey()
	if err != nil {
		return err
	}
	scalar, err := fresh.Bytes()
	if err != nil {
		return err
	}
	return k.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: madeEvent, Outcome: audit.OK})
		tx.Anchor("push_key", 1, store.Unix(tx.Now()))
		_, err := tx.Exec(ctx, `insert into push_key (id, payload, created) values (1, $1, $2) on conflict do nothing`, k.keys.Seal(keyring.Push, place, scalar), store.Unix(tx.Now()))
		return err
	})
}

// Inspect reports the key where it is missing, does not open or is another than the one
// that this server has in use.
func (k *Kept) Inspect(ctx context.Context) error {
	finding := store.Finding{Table: "push_key", Row: "1", Wrong: store.Older}
	scalar, err := k.stored(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		finding.Wrong = store.Missing
	case errors.Is(err, keyring.ErrSealed):
		finding.Wrong = store.Altered
	case err != nil:
		return err
	case subtle.ConstantTimeCompare(scalar, k.scalar) == 1:
		return nil
	}
	k.db.Report(finding)
	return nil
}
