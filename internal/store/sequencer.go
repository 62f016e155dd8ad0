package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
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
	var from floor
	for {
		select {
		case <-s.life.stop:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
		last, err := s.drain(ctx, "pg_try_advisory_xact_lock", from.tick())
		cancel()
		from.saw(last)
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

// floor is the id in the inbox after which what waits is looked for. What was numbered stays in
// the index until PostgreSQL cleans it, after a minute of sign-ins hundreds of its pages, and each look from
// the beginning would read them all. An entry whose transaction took its id early and
// committed late can be below, so that the floor stays some seconds behind, and from time to time there is none.
type floor struct {
	ticks              int
	at, next, numbered int64
}

const (
	floorEvery = 20  // ticks after which the floor rises to where numbering was as long ago
	floorless  = 200 // ticks after which one looks everywhere
)

func (f *floor) tick() int64 {
	if f.ticks++; f.ticks%floorEvery == 0 {
		f.at, f.next = f.next, f.numbered
	}
	if f.ticks%floorless == 0 {
		return 0
	}
	return f.at
}

func (f *floor) saw(id int64) { f.numbered = max(f.numbered, id) }

// approach reads the part of the log that this server does not know yet.
func (s *sequencer) approach(ctx context.Context) error {
	return s.head.approach(ctx, s.keys.Load(), s.rows.runner())
}

// drain numbers what has an id above after until nothing waits, or until another server holds the lock and lock does
// not wait, and returns the highest id. Without keys there is nothing to number. It returns errWide if this server must
// first read a wide gap; other servers number meanwhile.
func (s *sequencer) drain(ctx context.Context, lock string, after int64) (last int64, err error) {
	if s.keys.Load() == nil {
		return 0, nil
	}
	if err := s.head.refusal(); err != nil {
		return 0, err
	}
	for {
		var some bool
		if err := s.rows.QueryRow(ctx, "select exists (select 1 from audit_inbox where id > $1)", after).Scan(&some); err != nil || !some {
			return last, err
		}
		ids, err := s.number(ctx, lock, after)
		if err != nil {
			return last, classify(err)
		}
		if len(ids) > 0 {
			last = ids[len(ids)-1]
		}
		if len(ids) < sequenceBatch {
			return last, nil
		}
	}
}

const (
	// lockText takes the lock, and keeps in the transaction whether it did: inboxText finds nothing
	// if not.
	lockText  = "select set_config('countersign.numbering', %s(" + lockKey + ", 2)::text, true)"
	inboxText = "select id, body, mac from audit_inbox where current_setting('countersign.numbering') <> 'false' and id > $1 order by id limit $2"
	entryText = "insert into audit_entry (seq, at, account, body, mac) select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])"
)

// number numbers one batch of what has an id above after, and returns their ids. It waits for PostgreSQL twice. The
// transaction is no serializable one: each of its statements must see what was committed when
// the lock was free.
func (s *sequencer) number(ctx context.Context, lock string, after int64) ([]int64, error) {
	conn, err := s.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	t := newTogether(ctx, conn, nil, true, false)
	t.begun = true
	ended := false
	defer func() {
		if !ended {
			t.rollback()
		}
	}()
	known := s.head.known() // before the tree is read, so that the tree is not the older one
	found, err := t.exchange(ctx, Statement{Query: "begin isolation level read committed"}, Statement{Query: fmt.Sprintf(lockText, lock)},
		Statement{inboxText, []any{after, sequenceBatch}}, Statement{Query: selectTree})
	if err != nil {
		return nil, err
	}
	entries, ids, err := s.take(found[2])
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	edge, mac, err := scanTree(&resultRows{Result: found[3]})
	if err != nil {
		return nil, err
	}
	c := newChain(s.head, s.keys.Load())
	c.shared = true
	if err := c.follow(ctx, t, known, edge, mac); err != nil {
		s.head.haltIf(err)
		return nil, err
	}
	inserts := c.numbering(entries)
	edge, tree, err := c.storing()
	if err != nil {
		return nil, err
	}
	if _, err := t.exchange(ctx, inserts, tree, Statement{"delete from audit_inbox where id = any($1)", []any{ids}}, Statement{Query: "commit"}); err != nil {
		return nil, err
	}
	ended = true
	s.head.advance(edge)
	return ids, nil
}

// numbering numbers the entries, and is the statement that inserts them with their MACs.
func (c *chain) numbering(entries []recorded) Statement {
	n := len(entries)
	seqs, ats, accounts := make([]int64, n), make([]int64, n), make([]int64, n)
	bodies, macs, all := make([][]byte, n), make([][]byte, n), make([]byte, 0, n*sha256.Size)
	for i, e := range entries {
		seqs[i], all = c.number(e, all)
		ats[i], accounts[i], bodies[i], macs[i] = e.at, e.account, e.body, all[len(all)-sha256.Size:]
	}
	return Statement{entryText, []any{seqs, ats, accounts, bodies, macs}}
}

// take reads a batch from the inbox. An entry without a valid MAC was forged: in its place
// an entry is numbered that says so.
func (s *sequencer) take(found Result) (entries []recorded, ids []int64, err error) {
	rows := &resultRows{Result: found}
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
	return entries, ids, nil
}

// forged returns the entry that replaces a forged one.
func (s *sequencer) forged(id int64, body []byte) ([]byte, error) {
	sum := sha256.Sum256(body)
	e := audit.Entry{At: s.now(), Actor: audit.System("sequencer"), Event: "audit.forged", Outcome: audit.Failed,
		Reason: "mac", Detail: map[string]string{"inbox": strconv.FormatInt(id, 10), "sha256": hex.EncodeToString(sum[:])}}
	return e.Encode()
}
