package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
)

// Open reads a database's keys, and gives the store those of its audit log. In a new
// database it makes them first; purposes of a new release get theirs, with an audit
// entry. For a root key of another database it returns [ErrWrongRoot] and writes
// nothing. It never makes a key a second time: if one is missing it returns an error.
func Open(ctx context.Context, db *store.DB, root Root) (*Keyring, error) {
	return openFor(ctx, db, root, Purposes())
}

func openFor(ctx context.Context, db *store.DB, root Root, wanted []Purpose) (*Keyring, error) {
	k := &Keyring{db: db, root: root, opened: time.Now(), loaded: time.Now()}
	r, err := k.load(ctx, db)
	if err != nil {
		return nil, err
	}
	if len(r) == 0 {
		if r, err = k.makeFirst(ctx); err != nil {
			return nil, err
		}
	}
	mac, sign := r.newest(auditMAC), r.newest(auditSign)
	if mac == nil || sign == nil {
		return nil, errors.New("keyring: the keys of the audit log are missing from the table wrapped_key: the database was changed from outside; restore it from a backup")
	}
	if k.log, err = newAuditLog(mac.key, sign.key); err != nil {
		return nil, err
	}
	// Every other key comes with an entry.
	k.log.keys.Fresh = len(missing(r, wanted)) == len(wanted)
	if err := db.UseAuditKeys(ctx, k.log.keys); err != nil {
		return nil, err
	}
	if r, err = k.loadWhole(ctx, db, k.known()); err != nil { // now the log is asked what there must be
		return nil, err
	}
	if len(missing(r, wanted)) > 0 {
		if r, err = k.makeMissing(ctx, wanted); err != nil {
			return nil, err
		}
	}
	k.ring.Store(&r)
	db.Feed().Subscribe(func(t string) {
		if t == topic || t == rowKind || t == store.Missed {
			go k.reload(0) // a subscriber must not wait for the database
		}
	})
	return k, nil
}

// makeFirst makes the audit log's keys, without an entry: there is no log to
// write it in before they exist. Of several servers that start at once, one
// makes them and all read the same.
func (k *Keyring) makeFirst(ctx context.Context) (ring, error) {
	under, err := k.root.wrapper()
	if err != nil {
		return nil, err
	}
	err = k.db.Housekeep(ctx, "making the audit log's keys", func(tx *store.Tx) error {
		rows, err := readWrapped(ctx, tx)
		if err != nil || len(rows) > 0 {
			return err
		}
		if err := unused(ctx, tx); err != nil {
			return err
		}
		if err := insertKey(ctx, tx, under, auditMAC, 1); err != nil {
			return err
		}
		return insertKey(ctx, tx, under, auditSign, 1)
	})
	if err != nil {
		return nil, err
	}
	return k.load(ctx, k.db)
}

// missing lists those of the purposes that have no key.
func missing(r ring, wanted []Purpose) []Purpose {
	var out []Purpose
	for _, p := range wanted {
		if len(r[p]) == 0 {
			out = append(out, p)
		}
	}
	return out
}

// errNothing ends a change in which nothing is left to do.
var errNothing = errors.New("keyring: nothing to do")

func (k *Keyring) makeMissing(ctx context.Context, wanted []Purpose) (ring, error) {
	under, err := k.root.wrapper()
	if err != nil {
		return nil, err
	}
	before, err := k.madeBefore(ctx)
	if err != nil {
		return nil, err
	}
	err = k.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		r, err := k.load(ctx, tx)
		if err != nil {
			return err
		}
		made := missing(r, wanted)
		if len(made) == 0 {
			return errNothing // another server was faster
		}
		words := make([]string, len(made))
		for i, p := range made {
			if before[p] {
				return lost(p, 1)
			}
			words[i] = string(p)
			if err := insertKey(ctx, tx, under, p, 1); err != nil {
				return err
			}
		}
		tx.Announce(topic)
		return tx.Record(audit.Entry{Event: madeEvent, Outcome: audit.OK,
			Detail: map[string]string{"purposes": strings.Join(words, ", ")}})
	})
	if err != nil && !errors.Is(err, errNothing) {
		return nil, fmt.Errorf("keyring: making keys: %w", err)
	}
	return k.load(ctx, k.db)
}
