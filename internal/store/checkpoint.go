package store

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"countersign/internal/audit"
)

// checkpointEvery is how often a tree that grew is signed.
const checkpointEvery = 5 * time.Second

// signer signs checkpoints of the log.
type signer struct {
	log     *slog.Logger
	rows    *reads
	changes *changes
	keys    *atomic.Pointer[AuditKeys] // nil in it before they are there
	head    *head
	alarms  *Alarms
	health  *health
	life    *life

	thinned atomic.Int64 // when old checkpoints were last thinned out
}

// Checkpoint signs the present state of the audit log, stores the note, and returns it,
// so that it can be sent to a witness.
func (db *DB) Checkpoint(ctx context.Context) (string, error) { return db.signer.checkpoint(ctx) }

// follow signs the tree every few seconds if it grew, until the database is
// closed.
func (s *signer) follow() {
	ticker := time.NewTicker(checkpointEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.life.stop:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		s.health.probe(ctx, s.changes)
		if err := s.ifGrown(ctx); err != nil {
			s.log.Error("the audit log cannot be signed", "error", err)
		}
		cancel()
	}
}

// ifGrown signs the log if no server has signed its present state, and keeps its head.
// It uses the head that this server knows, and trusts a note only by its signature.
func (s *signer) ifGrown(ctx context.Context) error {
	if s.head.refusal() != nil {
		return nil
	}
	s.head.keep()
	signed, err := s.signed(ctx)
	if err != nil || signed >= sizeOf(s.head.known()) {
		return err
	}
	_, err = s.checkpoint(ctx)
	return err
}

// signed returns the number of entries that the newest checkpoint covers, or -1 without one.
// A note without a valid signature counts as none.
func (s *signer) signed(ctx context.Context) (int64, error) {
	var size int64
	var signed string
	err := s.rows.QueryRow(ctx, "select size, note from audit_checkpoint order by size desc limit 1").Scan(&size, &signed)
	if errors.Is(err, ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	k := s.keys.Load()
	c, err := audit.OpenCheckpoint(signed, k.Origin, k.Verifier)
	if err == nil && c.Size == size {
		return size, nil
	}
	s.alarms.Report(Finding{Table: "audit_checkpoint", Row: number(size), Wrong: Altered})
	return -1, nil
}

// last signs the end of the log when the database is closed.
func (s *signer) last() {
	if s.keys.Load() == nil || s.head.refusal() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.changes.engine.flush(ctx)
	if err == nil {
		err = s.ifGrown(ctx)
	}
	if err != nil {
		s.log.Error("the audit log cannot be signed at the end", "error", err)
	}
}

// checkpoint is [DB.Checkpoint].
func (s *signer) checkpoint(ctx context.Context) (string, error) {
	k := s.keys.Load()
	if k == nil {
		return "", errors.New("store: Checkpoint before UseAuditKeys")
	}
	if err := s.head.refusal(); err != nil {
		return "", err
	}
	if err := s.changes.engine.flush(ctx); err != nil {
		return "", err
	}
	var signed string
	err := s.changes.housekeep(ctx, "signing the audit log", func(tx *Tx) error {
		c := newChain(nil, k)
		if err := c.load(ctx, tx.run); err != nil {
			return tx.fail(err)
		}
		var err error
		if signed, err = c.tree.Checkpoint(k.Origin).Sign(k.Signer); err != nil {
			return err
		}
		if err := s.thin(ctx, tx); err != nil {
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

// thin removes checkpoints older than a day except one for each hour. They only narrow
// down where the log was changed, for somebody without the MAC key. It runs once an hour.
func (s *signer) thin(ctx context.Context, tx *Tx) error {
	const hour = int64(time.Hour / time.Microsecond)
	now := Unix(tx.Now())
	if last := s.thinned.Load(); now-last < hour || !s.thinned.CompareAndSwap(last, now) {
		return nil
	}
	_, err := tx.Exec(ctx, "delete from audit_checkpoint where at < $1 and size not in "+
		"(select max(size) from audit_checkpoint where at < $1 group by at / $2)", now-24*hour, hour)
	return err
}
