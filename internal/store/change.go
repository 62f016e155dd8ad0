package store

import (
	"context"
	"errors"
	"fmt"

	"countersign/internal/audit"
)

// Change runs fn in one transaction, as actor, and commits what it wrote. It
// commits only if fn returned nil or [Keep] of an error, and recorded at least
// one entry (or, where it did chores only, said [Tx.Unrecorded]); otherwise nothing is written. When Change returns, the transaction
// is on disk, and this server's memory has heard what was announced.
//
// fn may run more than once (in PostgreSQL, when transactions collide or one that
// shares its transaction fails), and others wait for it: in SQLite every change, in
// PostgreSQL those that share. So it only reads and writes tx, sets
// its results anew each time, and waits for nothing: never another Change, the
// network, or a password hash.
//
// ctx bounds the wait for a turn. Once fn runs, the answer is always what
// really happened, except for ErrUnavailable when the database's answer to a
// commit was lost.
func (db *DB) Change(ctx context.Context, actor audit.Actor, fn func(tx *Tx) error) error {
	if db.keys.Load() == nil {
		return errors.New("store: no change before UseAuditKeys")
	}
	if err := db.Halted(); err != nil {
		return err
	}
	if actor.Name == "" {
		return errors.New("store: a change without an actor")
	}
	return db.engine.run(ctx, work{duty: change, actor: actor, fn: fn})
}

// Housekeep runs fn in one transaction that needs no entry, and may therefore
// write only what grants nobody anything: attempts, tickets, guesses, known
// sources, notices, the last-seen time of sessions, and removals of what has run
// out. Any other statement is refused. The purpose is for the error.
// What is said of fn at [DB.Change] holds here too.
func (db *DB) Housekeep(ctx context.Context, purpose string, fn func(tx *Tx) error) error {
	err := db.engine.run(ctx, work{duty: housekeeping, fn: fn})
	if err != nil && purpose != "" {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	return err
}

// work is one transaction to run.
type work struct {
	duty  duty
	actor audit.Actor
	fn    func(*Tx) error
}

// engine is what SQLite and PostgreSQL do each in their own way.
type engine interface {
	// run executes one transaction and returns when it is decided.
	run(ctx context.Context, w work) error
	// flush numbers the entries that wait to be.
	flush(ctx context.Context) error
	// present says whether the database is still the one that was opened, and
	// one that takes writes.
	present(ctx context.Context) error
	// drain answers what is under way; run fails from then on.
	drain()
}
