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
	// watchAtOnce is how many entries are read without a pause at the start, and watchRest
	// how many times as long as a page of further ones took nothing is read: what rows are
	// at is to be known soon, and others need the core too.
	watchAtOnce = 200_000
	watchRest   = 1
	// watchWait bounds one page.
	watchWait = 30 * time.Second
)

// watch reads the log as it is stored: what is new at once, and what is old again and
// again. It checks every entry, and takes from it which rows are at which version.
type watch struct {
	log       *slog.Logger
	auth      *audit.Authenticator
	life      *life
	entries   *AuditLog
	head      *head
	hearing   *hearing
	keepers   *keepers
	deposits  *deposits // nil where entries are numbered as they are written
	inspector inspector
	learner   learner

	read     audit.Tree // as far as the log was read and was right
	saved    time.Time
	quick    int64       // how many more entries may be read without a pause
	accepted *acceptance // what an administrator has accepted, once that was looked up
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

// rest waits for the next look, and reports whether there is one. Whoever waits to hear all
// of the log has what is new read at once.
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
			w.head.haltIf(err) // what breaks is said at the next look
		}
	}
}

// end puts on disk what is known when everybody has been answered.
func (w *watch) end() {
	if w.head.refusal() == nil { // of a log that is not ours, what was right is on disk
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

// keep puts what this server remembers on disk.
func (w *watch) keep() {
	if err := errors.Join(w.head.shelf.save(w.head.memory, &w.read), w.keepers.write()); err != nil {
		w.log.Error("what this server remembers cannot be kept", "error", err)
	}
}

// step reads what is new and some of what is old.
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

// fresh reads what came since, up to the stored tree, and compares that.
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

// skip goes on behind what this server wrote itself, and read before that. Whether it is
// still there as it was written is looked at with what is old.
func (w *watch) skip() error {
	edge := w.head.learntEdge()
	if sizeOf(edge) <= w.read.Size() {
		return nil
	}
	return w.read.UnmarshalBinary(edge)
}

// tell says how far the log was read.
func (w *watch) tell() error {
	edge, err := w.read.MarshalBinary()
	if err == nil {
		w.head.learntTo(edge)
	}
	return err
}

// reach reads up to a tree, and compares what was read with it.
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

// page reads a page of new entries. The one that is missing or not as it was written ends
// it, unless an administrator has accepted that: what was written in its place is not
// known any more.
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

// excused returns what is wrong, unless an administrator has accepted it. Then everything
// up to there is learnt from what is left, and it goes on behind that.
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
