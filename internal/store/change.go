package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"countersign/internal/audit"
)

// Change runs fn in one transaction, as actor, and commits it. It commits only if
// fn returned nil or [Keep] of an error, and recorded at least one audit entry (or
// called [Tx.Unrecorded], for housekeeping alone); otherwise nothing is written.
// When Change returns, the transaction is on disk, and the subscribers of this
// server have received its announcements.
//
// fn may run more than once (in PostgreSQL, when transactions collide or another
// function in the same transaction fails), and other changes wait for it. So fn
// must only read and write tx, set all of its results each time, and never wait for
// another Change, the network, or a password hash.
//
// ctx limits the wait for a turn. Once fn runs, the error tells what really
// happened, except for ErrUnavailable when the database's answer to a commit was
// lost.
func (db *DB) Change(ctx context.Context, actor audit.Actor, fn func(tx *Tx) error) error {
	return db.changes.change(ctx, actor, fn)
}

// ChangeAhead is Change for a function that is about to ask these. PostgreSQL is then asked
// when the transaction begins, for all changes that share it, and the function does not wait for
// the answers. What it asks otherwise, and what somebody else has changed since, it reads as in
// any other transaction. It calls [Tx.About] for each account that it is about.
func (db *DB) ChangeAhead(ctx context.Context, actor audit.Actor, ahead []Ask, fn func(tx *Tx) error) error {
	return db.changes.run(ctx, work{duty: change, actor: actor, ahead: ahead, fn: fn})
}

// ReadsAhead reports whether something comes of what [DB.ChangeAhead] is told. With SQLite, where
// nothing is waited for, it does not, and nobody need find out.
func (db *DB) ReadsAhead() bool { return db.deposits != nil }

// Housekeep runs fn in one transaction without an audit entry. It refuses all
// statements except those that grant nothing: on attempts, tickets, guesses, known
// sources and notices, the last-seen time of sessions, and removals of what has
// expired. The purpose is for error messages. fn has the duties described at
// [DB.Change].
func (db *DB) Housekeep(ctx context.Context, purpose string, fn func(tx *Tx) error) error {
	return db.changes.housekeep(ctx, purpose, fn)
}

// HousekeepAhead is [DB.Housekeep] with what [DB.ChangeAhead] is to [DB.Change].
func (db *DB) HousekeepAhead(ctx context.Context, purpose string, ahead []Ask, fn func(tx *Tx) error) error {
	return db.changes.keep(ctx, purpose, work{duty: housekeeping, ahead: ahead, fn: fn})
}

// changes runs transactions: whatever is given it can write.
type changes struct {
	engine engine
	keys   *atomic.Pointer[AuditKeys] // nil in it before they are there
	head   *head
}

// change is [DB.Change].
func (c *changes) change(ctx context.Context, actor audit.Actor, fn func(tx *Tx) error) error {
	return c.run(ctx, work{duty: change, actor: actor, fn: fn})
}

// run runs a change.
func (c *changes) run(ctx context.Context, w work) error {
	if c.keys.Load() == nil {
		return errors.New("store: Change before UseAuditKeys")
	}
	if err := c.head.refusal(); err != nil {
		return err
	}
	if w.actor.Name == "" {
		return errors.New("store: a change without an actor")
	}
	return c.begin(ctx, w)
}

// begin hands work to the engine, unless whoever asked for it has gone: of a turn that is free and
// a context that is over the engine would take either.
func (c *changes) begin(ctx context.Context, w work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.engine.run(ctx, w)
}

// housekeep is [DB.Housekeep].
func (c *changes) housekeep(ctx context.Context, purpose string, fn func(tx *Tx) error) error {
	return c.keep(ctx, purpose, work{duty: housekeeping, fn: fn})
}

func (c *changes) keep(ctx context.Context, purpose string, w work) error {
	err := c.begin(ctx, w)
	if err != nil && purpose != "" {
		return fmt.Errorf("%s: %w", purpose, err)
	}
	return err
}

// work is one transaction to run.
type work struct {
	duty  duty
	actor audit.Actor
	ahead []Ask
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
