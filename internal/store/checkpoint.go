package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign/internal/audit"
)

// checkpointEvery is how often a tree that grew is signed.
const checkpointEvery = 5 * time.Second

// UseAuditKeys gives the store the keys of its audit log; only then can it be
// changed. It refuses keys that are not this database's.
func (db *DB) UseAuditKeys(k AuditKeys) error {
	if err := k.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := db.Housekeep(ctx, "reading the audit log", func(tx *Tx) error {
		return tx.fail(newChain(nil, &k).load(ctx, tx.run))
	})
	if err != nil {
		return err
	}
	w := &watch{db: db, auth: audit.NewAuthenticator(k.MAC)}
	if err := db.recall(ctx, w, shelfKey(k.MAC)); err != nil {
		return err
	}
	if !db.keys.CompareAndSwap(nil, &k) {
		return errors.New("store: the audit keys were given before")
	}
	db.background(db.signNow)
	db.background(w.follow)
	db.background(db.sound)
	return nil
}

// recall reads what this server remembers from before it was stopped, and refuses a log
// that does not go on from there.
func (db *DB) recall(ctx context.Context, w *watch, key []byte) (err error) {
	db.shelf.key = key
	if w.read, err = db.shelf.open(&db.memory); err != nil {
		return err
	}
	known, err := db.shelf.read(headFile)
	if errors.Is(err, errShelf) {
		db.log.Error("what this server remembers of the log was changed; it is not believed", "error", err)
		return nil
	}
	if err != nil || known == nil {
		return err
	}
	edge, _, err := readTree(ctx, db.reads.runner())
	if err != nil {
		return err
	}
	if err := follows(ctx, db.reads.runner(), w.auth, known, edge); err != nil {
		return fmt.Errorf("%w: %w. If an older copy of the database was put back, run countersign rewound; in every other case somebody changed it: find out who, and run countersign audit accept", ErrHalted, err)
	}
	db.advance(edge)
	return nil
}

// keepHead puts the newest head on disk, outside the database.
func (db *DB) keepHead() {
	if edge := db.headEdge(); edge != nil {
		if err := db.shelf.write(headFile, edge); err != nil {
			db.log.Error("the newest head of the audit log cannot be kept", "error", err)
		}
	}
}

// signNow signs the tree every few seconds if it grew, until the database is
// closed.
func (db *DB) signNow() {
	ticker := time.NewTicker(checkpointEvery)
	defer ticker.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		db.probe(ctx)
		if err := db.signIfGrown(ctx); err != nil {
			db.log.Error("the audit log cannot be signed", "error", err)
		}
		cancel()
	}
}

func (db *DB) signIfGrown(ctx context.Context) error {
	var grown bool
	err := db.QueryRow(ctx, "select coalesce(max(size), 0) > (select coalesce(max(size), -1) from audit_checkpoint) from audit_tree").Scan(&grown)
	if err != nil || !grown {
		return err
	}
	_, err = db.Checkpoint(ctx)
	db.keepHead()
	return err
}

func (db *DB) lastCheckpoint() {
	if db.keys.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := db.engine.flush(ctx)
	if err == nil {
		err = db.signIfGrown(ctx)
	}
	if err != nil {
		db.log.Error("the audit log cannot be signed at the end", "error", err)
	}
}

// Checkpoint signs the audit log as it stands, keeps the note, and returns it:
// to be sent where nobody can take it back.
func (db *DB) Checkpoint(ctx context.Context) (string, error) {
	k := db.keys.Load()
	if k == nil {
		return "", errors.New("store: no checkpoint before UseAuditKeys")
	}
	if err := db.engine.flush(ctx); err != nil {
		return "", err
	}
	var signed string
	err := db.Housekeep(ctx, "signing the audit log", func(tx *Tx) error {
		c := newChain(nil, k)
		if err := c.load(ctx, tx.run); err != nil {
			return tx.fail(err)
		}
		var err error
		if signed, err = c.tree.Checkpoint(k.Origin).Sign(k.Signer); err != nil {
			return err
		}
		if err := db.thinCheckpoints(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "insert into audit_checkpoint (size, at, note) values ($1, $2, $3) on conflict (size) do nothing",
			c.tree.Size(), Unix(tx.Now()), signed)
		return err
	})
	if err != nil {
		return "", err
	}
	return signed, nil
}

// thinCheckpoints keeps of those older than a day one for each hour: they only
// narrow down where something was changed, for whoever has no MAC key. It looks
// once an hour.
func (db *DB) thinCheckpoints(ctx context.Context, tx *Tx) error {
	const hour = int64(time.Hour / time.Microsecond)
	now := Unix(tx.Now())
	if last := db.thinned.Load(); now-last < hour || !db.thinned.CompareAndSwap(last, now) {
		return nil
	}
	_, err := tx.Exec(ctx, "delete from audit_checkpoint where at < $1 and size not in "+
		"(select max(size) from audit_checkpoint where at < $1 group by at / $2)", now-24*hour, hour)
	return err
}

// Checkpoints returns the signed notes that are kept, the oldest first.
func (db *DB) Checkpoints(ctx context.Context) ([]string, error) {
	rows, err := db.Query(ctx, "select note from audit_checkpoint order by size")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var notes []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, rows.Err()
}
