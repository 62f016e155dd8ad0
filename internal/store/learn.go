package store

import (
	"context"
	"log/slog"
	"time"

	"countersign/internal/audit"
)

// inspector checks stored entries and reports what is wrong with them.
type inspector struct {
	log     *slog.Logger
	auth    *audit.Authenticator
	alarms  *Alarms
	changes *changes // to correct the search columns
}

// missing reports a missing entry.
func (i inspector) missing(seq int64) {
	i.alarms.Report(Finding{Table: "audit_entry", Row: number(seq), Wrong: Missing})
}

// repeated reports an entry that was numbered more often than it was deposited.
func (i inspector) repeated(l storedLeaf) {
	i.alarms.Report(Finding{Table: "audit_inbox", Row: "entry " + number(l.Seq), Wrong: Returned, Account: l.account})
}

// check reports whether an entry is as it was written. It corrects the search columns
// beside the entry, whose values are in the entry too.
func (i inspector) check(ctx context.Context, l storedLeaf) bool {
	if !i.auth.Check(l.Seq, l.Body, l.MAC) {
		i.alarms.Report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered})
		return false
	}
	at, account := audit.ColumnsOf(l.Body)
	if Unix(at) == l.at && account == l.account {
		return true
	}
	i.alarms.Report(Finding{Table: "audit_entry", Row: number(l.Seq), Wrong: Altered, Account: account})
	if err := i.beside(ctx, l.Seq, Unix(at), account); err != nil && ctx.Err() == nil {
		i.log.Error("the search columns of an audit entry cannot be corrected", "entry", l.Seq, "error", err)
	}
	return true
}

// beside writes the search columns of an entry.
func (i inspector) beside(ctx context.Context, seq, at, account int64) error {
	return i.changes.housekeep(ctx, "the columns of an entry", func(tx *Tx) error {
		_, err := tx.run.ExecContext(ctx, "update audit_entry set at = $1, account = $2 where seq = $3", at, account, seq)
		tx.touched++
		return tx.fail(err)
	})
}

// learner learns the versions of rows from entries.
type learner struct {
	log     *slog.Logger
	now     func() time.Time
	memory  *memory
	feed    *Feed
	hearing *hearing
	learnt  bool // something was learnt before the end of the log was reached
}

// learn takes the versions of rows from an entry. It announces here what another server
// changed, in case somebody removed the announcement.
func (l *learner) learn(one storedLeaf) {
	text := audit.VersionsIn(one.Body)
	if text == "" {
		return
	}
	stamps, err := readStamps(text)
	if err != nil {
		l.log.Error("an audit entry has versions that cannot be read", "entry", one.Seq, "error", err)
	}
	news := l.memory.learn(stamps, l.now())
	if !l.hearing.caughtUp.Load() {
		l.learnt = l.learnt || len(news) > 0
		return // at the end of the log everything is declared stale
	}
	var topics []string
	for _, s := range news {
		switch {
		case s.name != "":
			topics = append(topics, s.kind+"/"+s.name)
		case l.memory.page(s.kind) != nil: // these change all the time, and nobody caches all of them
			topics = append(topics, s.kind+"/"+number(s.number))
		default:
			topics = append(topics, s.kind+"/"+number(s.number), s.kind)
		}
	}
	l.feed.deliver(topics)
}

// reachedEnd notes that the log was read to its end for the first time.
func (l *learner) reachedEnd() {
	if l.hearing.caughtUp.CompareAndSwap(false, true) && l.learnt {
		l.feed.deliver([]string{Missed}) // what was learnt until then was not announced one by one
	}
}
