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

// UseAuditKeys gives the store the keys of its audit log; no change is possible before.
// It refuses keys of another database, and a log that differs from what this server
// left. For that it reads all entries since the newest that this server remembers, which
// may take minutes after a long absence, is logged, and ends with ctx.
func (db *DB) UseAuditKeys(ctx context.Context, k AuditKeys) error {
	if err := k.check(); err != nil {
		return err
	}
	w := &watch{db: db, auth: audit.NewAuthenticator(k.MAC)}
	db.shelf.setKey(shelfKey(k.MAC))
	err := db.recall(ctx, w, &k)
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
	db.life.background(db.signNow)
	db.life.background(w.follow)
	db.life.background((&recorder{db.alarms, &db.changes, db.head, db.life}).sound)
	return nil
}

// recall reads what this server remembers from before it was stopped, and refuses a log
// that does not go on from there.
func (db *DB) recall(ctx context.Context, w *watch, k *AuditKeys) (err error) {
	if db.broken {
		w.read, err = db.shelf.look()
	} else {
		w.read, err = db.shelf.open(&db.memory)
	}
	if err != nil {
		return err
	}
	known, err := db.shelf.known(&w.read)
	if errors.Is(err, errShelf) {
		db.log.Error("what this server remembers of the log was changed from outside; ignored", "error", err)
	} else if err != nil {
		return err
	}
	db.head.advance(known)
	first, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	edge, err := db.firstTree(first, k, known)
	if err == nil && known != nil {
		err = db.goesOn(ctx, w, known, edge)
	}
	if errors.Is(err, errTree) || errors.Is(err, errOther) {
		return fmt.Errorf("%w: %w. If an older copy of the database was put back, run countersign rewound; in every other case find out who changed it, and run countersign audit accept", ErrHalted, err)
	}
	if err != nil {
		return err
	}
	db.head.advance(edge)
	return nil
}

// goesOn compares the stored tree with the one that is known. Where an administrator has
// accepted since that they differ, rows may be at lower versions than is remembered.
func (db *DB) goesOn(ctx context.Context, w *watch, known, edge []byte) error {
	accepted, err := db.head.gap(w.auth, db.reads.runner()).follows(ctx, known, edge)
	if !accepted || err != nil {
		return err
	}
	db.head.set(nil)
	w.read = audit.Tree{}
	return db.memory.clear()
}

// firstTree returns the stored tree, and makes it where there was never an entry.
func (db *DB) firstTree(ctx context.Context, k *AuditKeys, known []byte) ([]byte, error) {
	if known != nil || db.broken {
		edge, mac, err := readTree(ctx, db.reads.runner())
		switch {
		case err != nil:
			return nil, err
		case edge == nil:
			return nil, notOurs("it is gone")
		case !audit.NewAuthenticator(k.MAC).CheckTree(edge, mac):
			return nil, errTree
		}
		return edge, nil
	}
	var edge []byte
	err := db.Housekeep(ctx, "reading the audit log", func(tx *Tx) error {
		c := newChain(nil, k)
		err := c.load(ctx, tx.run)
		edge = c.stored
		return tx.fail(err)
	})
	return edge, err
}

// signNow signs the tree every few seconds if it grew, until the database is
// closed.
func (db *DB) signNow() {
	ticker := time.NewTicker(checkpointEvery)
	defer ticker.Stop()
	for {
		select {
		case <-db.life.stop:
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

// signIfGrown signs the log where nobody has signed it as it stands, and keeps its head.
// It goes by the head that this server knows, and believes a note only by its signature.
func (db *DB) signIfGrown(ctx context.Context) error {
	if db.head.refusal() != nil {
		return nil
	}
	db.head.keep()
	signed, err := db.signed(ctx)
	if err != nil || signed >= sizeOf(db.head.known()) {
		return err
	}
	_, err = db.Checkpoint(ctx)
	return err
}

// signed is how much of the log the newest checkpoint covers, and -1 without any. A note that
// is not ours counts as none.
func (db *DB) signed(ctx context.Context) (int64, error) {
	var size int64
	var signed string
	err := db.QueryRow(ctx, "select size, note from audit_checkpoint order by size desc limit 1").Scan(&size, &signed)
	if errors.Is(err, ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	k := db.keys.Load()
	c, err := audit.OpenCheckpoint(signed, k.Origin, k.Verifier)
	if err == nil && c.Size == size {
		return size, nil
	}
	db.Report(Finding{Table: "audit_checkpoint", Row: number(size), Wrong: Altered})
	return -1, nil
}

func (db *DB) lastCheckpoint() {
	if db.keys.Load() == nil || db.head.refusal() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := db.changes.engine.flush(ctx)
	if err == nil {
		err = db.signIfGrown(ctx)
	}
	if err != nil {
		db.log.Error("the audit log cannot be signed at the end", "error", err)
	}
}

// Checkpoint signs the present state of the audit log, stores the note, and returns it,
// so that it can be sent to a witness.
func (db *DB) Checkpoint(ctx context.Context) (string, error) {
	k := db.keys.Load()
	if k == nil {
		return "", errors.New("store: Checkpoint before UseAuditKeys")
	}
	if err := db.head.refusal(); err != nil {
		return "", err
	}
	if err := db.changes.engine.flush(ctx); err != nil {
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
