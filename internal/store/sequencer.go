package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"countersign/internal/audit"
)

const (
	// sequenceEvery is how often deposited entries are numbered.
	sequenceEvery = 50 * time.Millisecond
	// sequenceBatch is the most entries that are numbered in one transaction.
	sequenceBatch = 1000
)

// sequencer numbers and chains the entries that servers deposit in PostgreSQL.
// Every server runs one, and a lock in the database lets one work at a time. An attacker
// who can write to the database can remove or repeat an entry while it waits; [deposits]
// notices that.
type sequencer struct {
	log  *slog.Logger
	now  func() time.Time
	rows *reads
	keys *atomic.Pointer[AuditKeys] // nil in it before they are there
	head *head
	life *life
	pool *sql.DB
}

// depositing writes entries to the inbox, in the transaction of their change.
func (s *sequencer) depositing(entries []recorded) Statement {
	auth := audit.NewAuthenticator(s.keys.Load().MAC)
	bodies, macs := make([][]byte, len(entries)), make([][]byte, len(entries))
	for i, e := range entries {
		bodies[i], macs[i] = e.body, auth.Append(nil, audit.Waiting, e.body)
	}
	return Statement{`insert into audit_inbox (body, mac)
		select body, mac from unnest($1::bytea[], $2::bytea[]) with ordinality as e (body, mac, n) order by n`, []any{bodies, macs}}
}

// follow numbers deposited entries until the database is closed.
func (s *sequencer) follow() {
	ticker := time.NewTicker(sequenceEvery)
	defer ticker.Stop()
	var said string
	for {
		select {
		case <-s.life.stop:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
		err := s.drain(ctx, "pg_try_advisory_xact_lock")
		cancel()
		if errors.Is(err, errWide) {
			err = s.approach(s.life.ctx)
		}
		if s.head.refusal() != nil || s.life.ctx.Err() != nil {
			continue // it was logged already, or the loop ends now
		}
		if err != nil && err.Error() != said {
			s.log.Error("the audit log cannot be continued", "error", err)
		}
		if said = ""; err != nil {
			said = err.Error()
		}
	}
}

// approach reads the part of the log that this server does not know yet.
func (s *sequencer) approach(ctx context.Context) error {
	return s.head.approach(ctx, s.keys.Load(), s.rows.runner())
}

// drain numbers until nothing waits, or until another server holds the lock and lock does
// not wait. Without keys there is nothing to number. It returns errWide if this server must
// first read a wide gap; other servers number meanwhile.
func (s *sequencer) drain(ctx context.Context, lock string) error {
	if s.keys.Load() == nil {
		return nil
	}
	if err := s.head.refusal(); err != nil {
		return err
	}
	for {
		var some bool
		if err := s.rows.QueryRow(ctx, "select exists (select 1 from audit_inbox)").Scan(&some); err != nil || !some {
			return err
		}
		n, err := s.number(ctx, lock)
		if err != nil {
			return classify(err)
		}
		if n < sequenceBatch {
			return nil
		}
	}
}

// number numbers one batch and returns its size.
func (s *sequencer) number(ctx context.Context, lock string) (int, error) {
	tx, err := s.pool.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var said string // "false" if another server has it; a lock that waits says nothing
	if err := tx.QueryRowContext(ctx, "select "+lock+"("+lockKey+", 2)::text").Scan(&said); err != nil || said == "false" {
		return 0, err
	}
	entries, ids, err := s.take(ctx, tx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	c := newChain(s.head, s.keys.Load())
	c.shared = true
	if err := c.load(ctx, inTx{tx}); err != nil {
		return 0, err
	}
	if err := c.append(ctx, inTx{tx}, entries); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "delete from audit_inbox where id = any($1)", ids); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	s.head.advance(c.stored)
	return len(ids), nil
}

// take reads a batch from the inbox. An entry without a valid MAC was forged: in its place
// an entry is numbered that says so.
func (s *sequencer) take(ctx context.Context, tx *sql.Tx) (entries []recorded, ids []int64, err error) {
	rows, err := tx.QueryContext(ctx, "select id, body, mac from audit_inbox order by id limit $1", sequenceBatch)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	auth := audit.NewAuthenticator(s.keys.Load().MAC)
	for rows.Next() {
		var id int64
		var body, mac []byte
		if err := rows.Scan(&id, &body, &mac); err != nil {
			return nil, nil, err
		}
		if !auth.Check(audit.Waiting, body, mac) {
			s.log.Error("a forged audit entry was waiting for its number; ignored", "id", id)
			if body, err = s.forged(id, body); err != nil {
				return nil, nil, err
			}
		}
		at, account := audit.ColumnsOf(body) // its MAC says that it was encoded by one of us
		ids = append(ids, id)
		entries = append(entries, recorded{body: body, account: account, at: Unix(at)})
	}
	return entries, ids, rows.Err()
}

// forged returns the entry that replaces a forged one.
func (s *sequencer) forged(id int64, body []byte) ([]byte, error) {
	sum := sha256.Sum256(body)
	e := audit.Entry{At: s.now(), Actor: audit.System("sequencer"), Event: "audit.forged", Outcome: audit.Failed,
		Reason: "mac", Detail: map[string]string{"inbox": strconv.FormatInt(id, 10), "sha256": hex.EncodeToString(sum[:])}}
	return e.Encode()
}
