package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/internal/audit"
)

// UseAuditKeys gives the store the keys of its audit log; no change is possible before.
// It refuses keys of another database, and a log that differs from what this server
// left. For that it reads all entries since the newest that this server remembers, which
// may take minutes after a long absence, is logged, and ends with ctx.
func (db *DB) UseAuditKeys(ctx context.Context, k AuditKeys) error {
	if err := k.check(); err != nil {
		return err
	}
	w := newWatch(db, k)
	db.shelf.setKey(shelfKey(k.MAC))
	read, err := (&opening{&k, db.head, &db.reads, &db.changes}).recall(ctx)
	w.read = read
	if err != nil && !db.broken {
		return errors.Join(err, db.memory.close())
	}
	if err != nil {
		db.head.halt(err)
	}
	if !db.keys.CompareAndSwap(nil, &k) {
		return errors.New("store: UseAuditKeys was called before")
	}
	if db.broken {
		return nil
	}
	db.watch = w
	db.feed.Subscribe(db.alarms.hear)
	db.life.background(db.signer.follow)
	db.life.background(w.follow)
	db.life.background((&recorder{db.alarms, &db.changes, db.head, db.life}).sound)
	return nil
}

// opening compares the stored log with what this server remembers of it.
type opening struct {
	keys    *AuditKeys
	head    *head
	rows    *reads
	changes *changes
}

// recall reads what this server remembers from its last run, and refuses a log that does
// not continue from there. It returns how far this server had read the log.
func (o *opening) recall(ctx context.Context) (read audit.Tree, err error) {
	if o.head.broken {
		read, err = o.head.shelf.look()
	} else {
		read, err = o.head.shelf.open(o.head.memory)
	}
	if err != nil {
		return read, err
	}
	known, err := o.head.shelf.known(&read)
	if errors.Is(err, errShelf) {
		o.head.log.Error("what this server remembers of the log was changed from outside; ignored", "error", err)
	} else if err != nil {
		return read, err
	}
	o.head.advance(known)
	first, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	edge, err := o.firstTree(first, known)
	if err == nil && known != nil {
		err = o.goesOn(ctx, &read, known, edge)
	}
	if errors.Is(err, errTree) || errors.Is(err, errOther) {
		return read, fmt.Errorf("%w: %w. If an older copy of the database was put back, run countersign rollback-recovery; in every other case find out who changed it, and run countersign audit accept", ErrHalted, err)
	}
	if err != nil {
		return read, err
	}
	o.head.advance(edge)
	return read, nil
}

// goesOn compares the stored tree with the known one. If an administrator accepted since
// then that they differ, rows may have lower versions than the remembered ones, so those
// are forgotten.
func (o *opening) goesOn(ctx context.Context, read *audit.Tree, known, edge []byte) error {
	accepted, err := o.head.gap(audit.NewAuthenticator(o.keys.MAC), o.rows.runner()).follows(ctx, known, edge)
	if !accepted || err != nil {
		return err
	}
	o.head.set(nil)
	*read = audit.Tree{}
	return o.head.memory.clear()
}

// firstTree returns the stored tree, and creates it if there was never an entry.
func (o *opening) firstTree(ctx context.Context, known []byte) ([]byte, error) {
	if known != nil || o.head.broken {
		edge, mac, err := readTree(ctx, o.rows.runner())
		switch {
		case err != nil:
			return nil, err
		case edge == nil:
			return nil, notOurs("it is gone")
		case !audit.NewAuthenticator(o.keys.MAC).CheckTree(edge, mac):
			return nil, errTree
		}
		return edge, nil
	}
	var edge []byte
	err := o.changes.housekeep(ctx, "reading the audit log", func(tx *Tx) error {
		c := newChain(nil, o.keys)
		err := c.load(ctx, tx.run)
		edge = c.stored
		return tx.fail(err)
	})
	return edge, err
}
