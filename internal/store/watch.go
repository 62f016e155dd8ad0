package store

import (
	"bytes"
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
	// watchShare is how many times as long as a page of old entries took nothing is read,
	// so that going through a long log takes less than a twentieth of a core.
	watchShare = 20
	// watchAtOnce is how many entries are read without a pause at the start.
	watchAtOnce = 200_000
)

// watch reads the log as it is stored: what is new at once, and what is old again and
// again. It checks every entry, and takes from it which rows are at which version.
type watch struct {
	db    *DB
	auth  *audit.Authenticator
	read  audit.Tree // as far as the log was read and was right
	again int64      // the next old entry to be read once more
	saved time.Time
	quick int64 // how many more entries may be read without a pause
}

// follow reads the log until the database is closed.
func (w *watch) follow() {
	defer w.end()
	w.quick = watchAtOnce
	for w.db.pause(watchEvery) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := w.step(ctx)
		cancel()
		if err != nil && !errors.Is(err, ErrUnavailable) && w.db.Halted() == nil {
			w.db.log.Warn("the audit log cannot be read", "error", err)
		}
	}
}

// pause waits, and reports whether to go on.
func (db *DB) pause(d time.Duration) bool {
	select {
	case <-db.stop:
		return false
	case <-time.After(d):
		return true
	}
}

func (w *watch) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	w.quick = watchAtOnce
	if err := w.fresh(ctx); err != nil && w.db.Halted() == nil {
		w.db.log.Warn("the end of the audit log was not read", "error", err)
	}
	w.keep()
	w.db.memory.close()
}

// keep puts what this server remembers on disk.
func (w *watch) keep() {
	if err := errors.Join(w.db.shelf.save(&w.db.memory, &w.read), w.db.keepAll()); err != nil {
		w.db.log.Error("what this server remembers cannot be kept", "error", err)
	}
}

// step reads what is new and one page of what is old.
func (w *watch) step(ctx context.Context) error {
	if err := w.fresh(ctx); err != nil {
		if errors.Is(err, errTree) || errors.Is(err, errOther) {
			w.db.halt(err)
		}
		return err
	}
	w.db.caughtUp.Store(true)
	w.db.heard.Store(w.read.Size())
	if now := time.Now(); now.Sub(w.saved) > saveEvery {
		w.saved = now
		w.keep()
	}
	return w.old(ctx)
}

// fresh reads what came since, up to the stored tree, and compares that.
func (w *watch) fresh(ctx context.Context) error {
	known := w.db.headEdge() // before the tree is read, so that the tree is not the older one
	edge, mac, err := readTree(ctx, w.db.reads.runner())
	switch {
	case err != nil:
		return err
	case edge == nil && known == nil:
		return nil
	case edge == nil:
		return notOurs("it is gone")
	case !w.auth.CheckTree(edge, mac):
		return errTree
	}
	var stored audit.Tree
	if err := stored.UnmarshalBinary(edge); err != nil {
		return err
	}
	if known != nil && bytes.Compare(edge[:8], known[:8]) < 0 {
		return notOurs("it has %d entries fewer than this server left", sizeOf(known)-stored.Size())
	}
	for w.read.Size() < stored.Size() {
		if err := w.page(ctx, stored.Size()); err != nil {
			return err
		}
	}
	if w.read.Size() == stored.Size() && w.read.Root() != stored.Root() {
		return notOurs("its %d entries are not those that were written", stored.Size())
	}
	w.db.advance(edge)
	return nil
}

func sizeOf(edge []byte) int64 {
	var t audit.Tree
	if t.UnmarshalBinary(edge) != nil {
		return 0
	}
	return t.Size()
}

// page reads a page of new entries. The one that is missing or not as it was written ends
// it: what was written in its place is not known any more.
func (w *watch) page(ctx context.Context, before int64) error {
	began := time.Now()
	leaves, err := w.db.stored(ctx, w.read.Size(), before)
	if err != nil {
		return err
	}
	if len(leaves) == 0 || leaves[0].Seq != w.read.Size() {
		w.db.Report(Finding{Table: "audit_entry", Row: number(w.read.Size()), Wrong: Missing})
		return notOurs("entry %d is missing", w.read.Size())
	}
	for _, l := range leaves {
		if l.Seq != w.read.Size() {
			return nil // the next page begins with what is missing
		}
		if !w.check(l) {
			return notOurs("entry %d was altered", l.Seq)
		}
		w.read.Append(l.Body)
		w.learn(l)
	}
	if w.quick -= int64(len(leaves)); w.quick < 0 && !w.db.pause(time.Since(began)*watchShare) {
		return errClosed
	}
	return nil
}

// old reads one page of what was read before, and begins anew behind the last.
func (w *watch) old(ctx context.Context) error {
	end := w.read.Size()
	if w.again >= end {
		w.again = 0
	}
	began := time.Now()
	for budget := watchEvery / watchShare; w.again < end && time.Since(began) < budget; {
		leaves, err := w.db.stored(ctx, w.again, end)
		if err != nil {
			return err
		}
		for _, l := range leaves {
			for ; w.again < l.Seq; w.again++ {
				w.db.Report(Finding{Table: "audit_entry", Row: number(w.again), Wrong: Missing})
			}
			w.check(l)
			w.again = l.Seq + 1
		}
		if len(leaves) < watchPage {
			for ; w.again < end; w.again++ {
				w.db.Report(Finding{Table: "audit_entry", Row: number(w.again), Wrong: Missing})
			}
		}
	}
	return nil
}

// storedLeaf is an entry with the columns that stand beside it for searching.
type storedLeaf struct {
	audit.Leaf
	at, account int64
}

// stored reads a page of entries.
func (db *DB) stored(ctx context.Context, from, before int64) ([]storedLeaf, error) {
	rows, err := db.Query(ctx, "select seq, at, account, body, mac from audit_entry where seq >= $1 and seq < $2 order by seq limit $3", from, before, watchPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []storedLeaf
	for rows.Next() {
		var l storedLeaf
		if err := rows.Scan(&l.Seq, &l.at, &l.account, &l.Body, &l.MAC); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// check reports whether an entry is as it was written, with what stands beside it.
func (w *watch) check(l storedLeaf) bool {
	if !w.auth.Check(l.Seq, l.Body, l.MAC) {
		w.db.Report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered})
		return false
	}
	if at, account := audit.Beside(l.Body); Unix(at) != l.at || account != l.account {
		w.db.Report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered})
	}
	return true
}

// learn takes in what an entry says of rows, and tells this server's memory of what
// another server changed: also where somebody removed its announcement.
func (w *watch) learn(l storedLeaf) {
	if !bytes.Contains(l.Body, []byte(`"versions":"`)) {
		return
	}
	e, err := audit.Decode(l.Body)
	if err != nil {
		return
	}
	stamps, err := readStamps(e.Versions)
	if err != nil {
		w.db.log.Error("an entry says versions that cannot be read", "entry", l.Seq, "error", err)
	}
	var topics []string
	for _, s := range w.db.memory.learn(stamps, w.db.now()) {
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

// CaughtUp reports whether this server has read the log to its end since it started, so
// that it knows the newest version of every row.
func (db *DB) CaughtUp() bool { return db.caughtUp.Load() }
