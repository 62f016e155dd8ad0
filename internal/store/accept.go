package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"countersign/internal/audit"
)

// Accepted describes what was wrong with an audit log, and from which state it continues.
type Accepted struct {
	// Known is the newest state that this server remembers, Stored the one in the
	// database, and Next the one from which the log continues. Entries is -1 for a
	// state that is missing or has an invalid MAC.
	Known, Stored, Next Head
	// Faults lists what is missing or altered; [AuditLog.Verify] continues to report it.
	Faults []audit.Fault
	// Strays is the number of rows that were removed behind the end, where this
	// installation never wrote an entry.
	Strays int64
}

// lostLeaf takes the place of a missing entry in the tree.
const lostLeaf = `{"lost":true}`

// Accept records an administrator's reason why the audit log differs from what a server
// left, and continues the log from the longest known tree and every valid entry after it.
// The database must be open with Options.Broken, and by nobody else. It returns
// [ErrNothingWrong] for a log without a fault. The caller must [Forget] what servers
// remember afterwards.
func (db *DB) Accept(ctx context.Context, actor audit.Actor, because string) (Accepted, error) {
	return db.accept(ctx, actor, because, false)
}

// AcceptRollback is Accept for a database that was restored from an older copy: the log
// continues from that copy. It refuses a copy that is not complete in itself.
func (db *DB) AcceptRollback(ctx context.Context, actor audit.Actor) (Accepted, error) {
	return db.accept(ctx, actor, "an older copy of the database was put back", true)
}

// mending lets a damaged log continue.
type mending struct {
	auth    *audit.Authenticator
	entries *AuditLog
	head    *head
	changes *changes
}

func (db *DB) accept(ctx context.Context, actor audit.Actor, because string, rolledBack bool) (Accepted, error) {
	k := db.keys.Load()
	if k == nil || !db.broken {
		return Accepted{}, errors.New("store: Accept needs a database that was opened with Options.Broken")
	}
	m := &mending{audit.NewAuthenticator(k.MAC), db.auditLog, db.head, &db.changes}
	return m.accept(ctx, actor, because, rolledBack)
}

func (m *mending) accept(ctx context.Context, actor audit.Actor, because string, rolledBack bool) (Accepted, error) {
	report, err := m.entries.Verify(ctx)
	if err != nil {
		return Accepted{}, err
	}
	if report.OK() && m.head.refusal() == nil {
		return Accepted{}, ErrNothingWrong
	}
	out := Accepted{Known: headOf(m.head.known()), Stored: Head{Entries: -1}, Faults: report.Faults}
	stored, _, err := m.entries.tree(ctx)
	if err == nil {
		out.Stored = Head{Entries: stored.Size(), Root: stored.Root().String()}
	} else if !errors.Is(err, errTree) {
		return out, err
	}
	if rolledBack {
		if err := m.whole(ctx, stored); err != nil {
			return out, err
		}
	}
	next, err := m.mend(ctx, stored, &out)
	if err != nil {
		return out, err
	}
	out.Next = Head{Entries: next.Size(), Root: next.Root().String()}
	return out, m.changes.change(ctx, actor, func(tx *Tx) error {
		e, err := out.entry(next, because)
		if err != nil {
			return err
		}
		tx.Anchor(acceptances, 0, Unix(tx.Now()))
		return tx.Record(e)
	})
}

// whole refuses a log whose entries do not lead to its stored tree. Otherwise it makes the
// store forget that the log was ever longer.
func (m *mending) whole(ctx context.Context, stored *audit.Tree) error {
	if stored == nil {
		return fmt.Errorf("%w: %w", ErrHalted, errTree)
	}
	err := m.head.gap(m.auth, m.entries.rows.runner()).leads(ctx, audit.Tree{}, *stored)
	if errors.Is(err, errOther) {
		return fmt.Errorf("%w: %w", ErrHalted, err)
	}
	if err == nil {
		m.head.set(nil)
	}
	return err
}

// ErrNothingWrong is returned by Accept for a log without a fault.
var ErrNothingWrong = errors.New("store: nothing is wrong with the audit log")

func headOf(edge []byte) Head {
	var t audit.Tree
	if t.UnmarshalBinary(edge) != nil {
		return Head{Entries: -1}
	}
	return Head{Entries: t.Size(), Root: t.Root().String()}
}

// mend writes the tree from which the log continues.
func (m *mending) mend(ctx context.Context, stored *audit.Tree, out *Accepted) (*audit.Tree, error) {
	next := new(audit.Tree)
	if known := m.head.known(); known != nil {
		if err := next.UnmarshalBinary(known); err != nil {
			return nil, err
		}
	}
	if stored != nil && stored.Size() >= next.Size() {
		next = stored.Clone()
	}
	if err := m.extend(ctx, next); err != nil {
		return nil, err
	}
	edge, err := next.MarshalBinary()
	if err != nil {
		return nil, err
	}
	err = m.changes.housekeep(ctx, "mending the audit log's tree", func(tx *Tx) error {
		return tx.fail(m.putTree(ctx, tx, edge, out))
	})
	if err != nil {
		return nil, err
	}
	m.head.set(edge)
	m.head.resume()
	return next, nil
}

// extend appends the valid entries after the end of a tree. Missing ones in between keep
// their place.
func (m *mending) extend(ctx context.Context, t *audit.Tree) error {
	for from := t.Size(); ; {
		leaves, err := m.entries.stored(ctx, from, Gone)
		if err != nil || len(leaves) == 0 {
			return err
		}
		for _, l := range leaves {
			if from = l.Seq + 1; !m.auth.Check(l.Seq, l.Body, l.MAC) {
				continue
			}
			for t.Size() < l.Seq {
				t.Append([]byte(lostLeaf))
			}
			t.Append(l.Body)
		}
	}
}

func (m *mending) putTree(ctx context.Context, tx *Tx, edge []byte, out *Accepted) error {
	if _, file := m.changes.engine.(*writer); !file { // so that no server numbers meanwhile
		if _, err := tx.run.ExecContext(ctx, "select pg_advisory_xact_lock("+lockKey+", 2)"); err != nil {
			return err
		}
	}
	size := sizeOf(edge)
	done, err := tx.run.ExecContext(ctx, "delete from audit_entry where seq >= $1", size)
	if err != nil {
		return err
	}
	if out.Strays, err = done.RowsAffected(); err != nil {
		return err
	}
	tx.touched++
	_, err = tx.run.ExecContext(ctx, `insert into audit_tree (id, size, frontier, mac) values (1, $1, $2, $3)
		on conflict (id) do update set size = excluded.size, frontier = excluded.frontier, mac = excluded.mac`, size, edge, m.auth.AppendTree(nil, edge))
	return err
}

// entry returns the audit entry for what was accepted.
func (a *Accepted) entry(next *audit.Tree, because string) (audit.Entry, error) {
	edge, err := next.MarshalBinary()
	if err != nil {
		return audit.Entry{}, err
	}
	var faults []string
	for _, f := range a.Faults {
		faults = append(faults, f.String())
	}
	d := map[string]string{"because": because, "known": a.Known.String(), "stored": a.Stored.String(), "next": a.Next.String(),
		"wrong": strings.Join(faults, "; "), "strays": number(a.Strays), coversName: number(max(a.Known.Entries, next.Size()))}
	putEdge(d, edge)
	return audit.Entry{Event: AcceptedEvent, Outcome: audit.OK, Detail: d}, nil
}

// String returns the length of the log and its root hash.
func (h Head) String() string {
	if h.Entries < 0 {
		return "none"
	}
	return fmt.Sprintf("%d entries, root %s", h.Entries, h.Root)
}
