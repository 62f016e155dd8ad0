package store

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"countersign/internal/audit"
)

const (
	watchEvery = time.Second // how often what is new in the log is read
	saveEvery  = time.Minute // how often what is remembered is put on disk
	watchPage  = 1000
	// watchAtOnce is the number of entries that are read without a pause at the start, so
	// that the versions of rows are known soon. After each further page the watch pauses
	// for watchRest times as long as the page took, to leave the CPU to others.
	watchAtOnce = 200_000
	watchRest   = 1
	// watchWait limits the reading of one page.
	watchWait = 30 * time.Second
)

// watch reads the stored log: new entries at once, and old ones again and again. It checks
// every entry, and learns the versions of rows from it.
type watch struct {
	log       *slog.Logger
	auth      *audit.Authenticator
	life      *life
	entries   *AuditLog
	head      *head
	hearing   *hearing
	keepers   *keepers
	deposits  *deposits // nil with SQLite, which numbers entries as it writes them
	inspector inspector
	learner   learner

	read     audit.Tree // the part of the log that was read and found correct
	saved    time.Time
	quick    int64       // number of further entries to read without a pause
	accepted *acceptance // what an administrator accepted, once it was looked up
	all      round
	late     round
}

// follow reads the log until the database is closed.
func (w *watch) follow() {
	ctx := background(w.life.ctx)
	w.quick = watchAtOnce
	for {
		err := w.step(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) && w.head.refusal() == nil {
			w.log.Warn("the audit log cannot be read", "error", err)
		}
		if !w.rest(ctx) {
			return
		}
	}
}

// rest waits for the next step, and reports whether there is one. If somebody waits until
// the log is read, it reads new entries at once.
func (w *watch) rest(ctx context.Context) bool {
	next := time.NewTimer(watchEvery)
	defer next.Stop()
	for {
		select {
		case <-w.life.stop:
			return false
		case <-next.C:
			return true
		case <-w.hearing.asked:
		}
		if w.head.refusal() != nil {
			continue
		}
		if err := w.fresh(ctx); err != nil {
			w.head.haltIf(err) // other errors are logged at the next step
		}
	}
}

// end saves what is known after all requests were answered.
func (w *watch) end() {
	if w.head.refusal() == nil { // if it is halted, the last correct state is on disk already
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w.quick = watchAtOnce
		if err := w.fresh(ctx); err != nil {
			w.head.haltIf(err)
			w.log.Warn("the end of the audit log was not read", "error", err)
		}
		w.keep()
		w.head.keep()
	}
	if err := w.head.memory.close(); err != nil {
		w.log.Error("what this server remembers cannot be kept", "error", err)
	}
}

// keep writes what this server remembers to disk.
func (w *watch) keep() {
	if err := errors.Join(w.head.shelf.save(w.head.memory, &w.read), w.keepers.write()); err != nil {
		w.log.Error("what this server remembers cannot be kept", "error", err)
	}
}

// step reads the new entries and some of the old ones.
func (w *watch) step(ctx context.Context) error {
	if w.head.refusal() != nil {
		return nil
	}
	if w.head.memory.damaged() {
		w.log.Warn("what this server remembers is damaged; reading it again from the audit log")
		w.head.unlearn()
		w.read, w.accepted, w.quick = audit.Tree{}, nil, watchAtOnce
		w.hearing.caughtUp.Store(false)
	}
	if err := w.fresh(ctx); err != nil {
		w.head.haltIf(err)
		return err
	}
	if err := w.deposits.look(ctx, w.fresh); err != nil {
		w.head.haltIf(err)
		return err
	}
	w.learner.reachedEnd()
	if now := time.Now(); now.Sub(w.saved) > saveEvery {
		w.saved = now
		w.keep()
	}
	err := w.old(ctx)
	w.head.haltIf(err)
	return err
}

// fresh reads the new entries up to the stored tree, and compares the result with it.
func (w *watch) fresh(ctx context.Context) error {
	if err := w.skip(); err != nil {
		return err
	}
	known := w.head.known() // before the tree is read, so that the tree is not the older one
	edge, mac, err := readTree(ctx, w.entries.rows.runner())
	switch {
	case err != nil:
		return err
	case edge == nil:
		return notOurs("it is gone")
	case !w.auth.CheckTree(edge, mac):
		return errTree
	}
	var stored, before audit.Tree
	if err := stored.UnmarshalBinary(edge); err != nil {
		return err
	}
	if known != nil {
		if err := before.UnmarshalBinary(known); err != nil {
			return err
		}
	}
	if most := max(before.Size(), w.read.Size()); stored.Size() < most {
		return notOurs("it has %d entries, and had %d", stored.Size(), most)
	}
	for _, tree := range []*audit.Tree{&before, &stored} {
		if err := w.reach(ctx, tree); err != nil {
			return err
		}
	}
	w.head.advance(edge)
	w.hearing.read.Store(w.read.Size())
	return w.tell()
}

// skip moves past the entries that this server wrote itself. The round over the old
// entries checks whether they are still there as they were written.
func (w *watch) skip() error {
	edge := w.head.learntEdge()
	if sizeOf(edge) <= w.read.Size() {
		return nil
	}
	return w.read.UnmarshalBinary(edge)
}

// tell notes how far the log was read.
func (w *watch) tell() error {
	edge, err := w.read.MarshalBinary()
	if err == nil {
		w.head.learntTo(edge)
	}
	return err
}

// reach reads up to the size of a tree, and compares the entries with the tree.
func (w *watch) reach(ctx context.Context, tree *audit.Tree) error {
	for w.read.Size() < tree.Size() {
		if err := w.page(ctx, tree.Size()); err != nil {
			return err
		}
	}
	if w.read.Size() == tree.Size() && w.read.Root() != tree.Root() {
		return w.excused(ctx, notOurs("its %d entries are not those that were written", tree.Size()))
	}
	return nil
}

// page reads a page of new entries. It stops with an error at an entry that is missing or
// altered, unless an administrator accepted that: then the original is lost.
func (w *watch) page(ctx context.Context, before int64) error {
	began := time.Now()
	leaves, err := w.entries.stored(ctx, w.read.Size(), before)
	if err != nil {
		return err
	}
	if len(leaves) == 0 || leaves[0].Seq != w.read.Size() {
		w.inspector.missing(w.read.Size())
		return w.excused(ctx, notOurs("entry %d is missing", w.read.Size()))
	}
	for _, l := range leaves {
		if l.Seq != w.read.Size() {
			return nil // the next page begins with what is missing
		}
		if !w.inspector.check(ctx, l) {
			return w.excused(ctx, notOurs("entry %d was altered", l.Seq))
		}
		w.read.Append(l.Body)
		w.learner.learn(l)
		if w.deposits.saw(l.Body) {
			w.inspector.repeated(l)
		}
	}
	if w.quick -= int64(len(leaves)); w.quick < 0 && !w.life.pause(time.Since(began)*watchRest) {
		return errClosed
	}
	return nil
}

// excused returns the error, unless an administrator accepted it. In that case it learns
// from the entries that are left and continues after the accepted state.
func (w *watch) excused(ctx context.Context, wrong error) error {
	var stored audit.Tree
	edge, _, err := readTree(ctx, w.entries.rows.runner())
	if err == nil {
		err = stored.UnmarshalBinary(edge)
	}
	if err != nil {
		return errors.Join(wrong, err)
	}
	accepted, err := lastAccepted(ctx, w.entries.rows.runner(), w.auth, stored.Size())
	if err != nil || accepted == nil || accepted.at < w.head.memory.newest(acceptances, 0) || w.accepted != nil && w.accepted.at >= accepted.at {
		return errors.Join(wrong, err)
	}
	w.accepted = accepted
	for from := w.read.Size(); from < accepted.Size(); {
		leaves, err := w.entries.stored(ctx, from, accepted.Size())
		if err != nil {
			return err
		}
		for _, l := range leaves {
			for ; from < l.Seq; from++ {
				w.inspector.missing(from)
			}
			if from++; w.inspector.check(ctx, l) {
				w.learner.learn(l)
			}
		}
		if len(leaves) < watchPage {
			for ; from < accepted.Size(); from++ {
				w.inspector.missing(from)
			}
		}
	}
	w.read = accepted.Tree
	return nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
