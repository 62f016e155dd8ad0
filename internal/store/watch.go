package store

import (
	"context"
	"errors"
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
	db       *DB
	auth     *audit.Authenticator
	read     audit.Tree // as far as the log was read and was right
	saved    time.Time
	quick    int64       // how many more entries may be read without a pause
	learnt   bool        // something was learnt before the end of the log was reached
	accepted *acceptance // what an administrator has accepted, once that was looked up
	all      round
	late     round
}

// follow reads the log until the database is closed.
func (w *watch) follow() {
	ctx := background(w.db.life.ctx)
	w.quick = watchAtOnce
	for {
		err := w.step(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) && w.db.head.refusal() == nil {
			w.db.log.Warn("the audit log cannot be read", "error", err)
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
		case <-w.db.life.stop:
			return false
		case <-next.C:
			return true
		case <-w.db.hearing.asked:
		}
		if w.db.head.refusal() != nil {
			continue
		}
		if err := w.fresh(ctx); err != nil {
			w.db.head.haltIf(err) // what breaks is said at the next look
		}
	}
}

// end puts on disk what is known when everybody has been answered.
func (w *watch) end() {
	if w.db.head.refusal() == nil { // of a log that is not ours, what was right is on disk
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w.quick = watchAtOnce
		if err := w.fresh(ctx); err != nil {
			w.db.head.haltIf(err)
			w.db.log.Warn("the end of the audit log was not read", "error", err)
		}
		w.keep()
		w.db.head.keep()
	}
	if err := w.db.memory.close(); err != nil {
		w.db.log.Error("what this server remembers cannot be kept", "error", err)
	}
}

// keep puts what this server remembers on disk.
func (w *watch) keep() {
	if err := errors.Join(w.db.shelf.save(&w.db.memory, &w.read), w.db.keepAll()); err != nil {
		w.db.log.Error("what this server remembers cannot be kept", "error", err)
	}
}

// step reads what is new and some of what is old.
func (w *watch) step(ctx context.Context) error {
	if w.db.head.refusal() != nil {
		return nil
	}
	if w.db.memory.damaged() {
		w.db.log.Warn("what this server remembers is damaged; reading it again from the audit log")
		w.db.head.unlearn()
		w.read, w.accepted, w.quick = audit.Tree{}, nil, watchAtOnce
		w.db.hearing.caughtUp.Store(false)
	}
	if err := w.fresh(ctx); err != nil {
		w.db.head.haltIf(err)
		return err
	}
	if err := w.lookForDeposits(ctx); err != nil {
		w.db.head.haltIf(err)
		return err
	}
	if w.db.hearing.caughtUp.CompareAndSwap(false, true) && w.learnt {
		w.db.feed.deliver([]string{Missed}) // what was learnt meanwhile was not announced one by one
	}
	if now := time.Now(); now.Sub(w.saved) > saveEvery {
		w.saved = now
		w.keep()
	}
	err := w.old(ctx)
	w.db.head.haltIf(err)
	return err
}

// fresh reads what came since, up to the stored tree, and compares that.
func (w *watch) fresh(ctx context.Context) error {
	if err := w.skip(); err != nil {
		return err
	}
	known := w.db.head.known() // before the tree is read, so that the tree is not the older one
	edge, mac, err := readTree(ctx, w.db.reads.runner())
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
	w.db.head.advance(edge)
	w.db.hearing.read.Store(w.read.Size())
	return w.tell()
}

// skip goes on behind what this server wrote itself, and read before that. Whether it is
// still there as it was written is looked at with what is old.
func (w *watch) skip() error {
	edge := w.db.head.learntEdge()
	if sizeOf(edge) <= w.read.Size() {
		return nil
	}
	return w.read.UnmarshalBinary(edge)
}

// tell says how far the log was read.
func (w *watch) tell() error {
	edge, err := w.read.MarshalBinary()
	if err == nil {
		w.db.head.learntTo(edge)
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
	leaves, err := w.db.auditLog.stored(ctx, w.read.Size(), before)
	if err != nil {
		return err
	}
	if len(leaves) == 0 || leaves[0].Seq != w.read.Size() {
		w.missing(w.read.Size())
		return w.excused(ctx, notOurs("entry %d is missing", w.read.Size()))
	}
	for _, l := range leaves {
		if l.Seq != w.read.Size() {
			return nil // the next page begins with what is missing
		}
		if !w.check(ctx, l) {
			return w.excused(ctx, notOurs("entry %d was altered", l.Seq))
		}
		w.read.Append(l.Body)
		w.learn(l)
		if p, ok := w.db.changes.engine.(*postgres); ok && p.deposits.saw(l.Body) {
			w.db.Report(Finding{Table: "audit_inbox", Row: "entry " + number(l.Seq), Wrong: Returned, Account: l.account})
		}
	}
	if w.quick -= int64(len(leaves)); w.quick < 0 && !w.db.life.pause(time.Since(began)*watchRest) {
		return errClosed
	}
	return nil
}

// excused returns what is wrong, unless an administrator has accepted it. Then everything
// up to there is learnt from what is left, and it goes on behind that.
func (w *watch) excused(ctx context.Context, wrong error) error {
	var stored audit.Tree
	edge, _, err := readTree(ctx, w.db.reads.runner())
	if err == nil {
		err = stored.UnmarshalBinary(edge)
	}
	if err != nil {
		return errors.Join(wrong, err)
	}
	accepted, err := lastAccepted(ctx, w.db.reads.runner(), w.auth, stored.Size())
	if err != nil || accepted == nil || accepted.at < w.db.Newest(acceptances, 0) || w.accepted != nil && w.accepted.at >= accepted.at {
		return errors.Join(wrong, err)
	}
	w.accepted = accepted
	for from := w.read.Size(); from < accepted.Size(); {
		leaves, err := w.db.auditLog.stored(ctx, from, accepted.Size())
		if err != nil {
			return err
		}
		for _, l := range leaves {
			for ; from < l.Seq; from++ {
				w.missing(from)
			}
			if from++; w.check(ctx, l) {
				w.learn(l)
			}
		}
		if len(leaves) < watchPage {
			for ; from < accepted.Size(); from++ {
				w.missing(from)
			}
		}
	}
	w.read = accepted.Tree
	return nil
}

func (w *watch) missing(seq int64) {
	w.db.Report(Finding{Table: "audit_entry", Row: number(seq), Wrong: Missing})
}

// check reports whether an entry is as it was written. What stands beside it for searching
// is put right: it is in the entry too.
func (w *watch) check(ctx context.Context, l storedLeaf) bool {
	if !w.auth.Check(l.Seq, l.Body, l.MAC) {
		w.db.Report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered})
		return false
	}
	at, account := audit.Beside(l.Body)
	if Unix(at) == l.at && account == l.account {
		return true
	}
	w.db.Report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered, Account: account})
	if err := w.db.beside(ctx, l.Seq, Unix(at), account); err != nil && ctx.Err() == nil {
		w.db.log.Error("the search columns of an audit entry cannot be corrected", "entry", l.Seq, "error", err)
	}
	return true
}

// beside writes what an entry is searched by.
func (db *DB) beside(ctx context.Context, seq, at, account int64) error {
	return db.Housekeep(ctx, "the columns of an entry", func(tx *Tx) error {
		_, err := tx.run.ExecContext(ctx, "update audit_entry set at = $1, account = $2 where seq = $3", at, account, seq)
		tx.touched++
		return tx.fail(err)
	})
}

// learn takes in what an entry says of rows, and tells this server's memory of what
// another server changed: also where somebody removed its announcement.
func (w *watch) learn(l storedLeaf) {
	text := audit.VersionsIn(l.Body)
	if text == "" {
		return
	}
	stamps, err := readStamps(text)
	if err != nil {
		w.db.log.Error("an audit entry has versions that cannot be read", "entry", l.Seq, "error", err)
	}
	news := w.db.memory.learn(stamps, w.db.now())
	if !w.db.hearing.caughtUp.Load() {
		w.learnt = w.learnt || len(news) > 0
		return // everything is stale when it has
	}
	var topics []string
	for _, s := range news {
		switch {
		case s.name != "":
			topics = append(topics, s.kind+"/"+s.name)
		case w.db.memory.page(s.kind) != nil: // of these one changes all the time, and nobody remembers all of them
			topics = append(topics, s.kind+"/"+number(s.number))
		default:
			topics = append(topics, s.kind+"/"+number(s.number), s.kind)
		}
	}
	w.db.feed.deliver(topics)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
