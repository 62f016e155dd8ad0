package store

import (
	"context"
	"errors"
	"time"

	"countersign/internal/audit"
)

// gap reads the entries between two states of the log, about 100,000 a second. A caller that
// must not wait for that asks [wide] first.
type gap struct {
	head *head
	auth *audit.Authenticator
	run  runner
	said time.Time // when the progress was logged last
}

func (h *head) gap(auth *audit.Authenticator, run runner) *gap {
	return &gap{head: h, auth: auth, run: run, said: time.Now()}
}

// narrow is the largest number of entries that are read while others wait.
const narrow = page

// wide reports whether more entries lie between two states than are read while others wait.
func wide(known, stored []byte) bool { return sizeOf(stored)-sizeOf(known) > narrow }

// follows returns an error if the stored tree does not continue from the known one: all
// entries between the two must exist, have a valid MAC, and lead from one to the other. If
// they do not, an administrator may have accepted that after the last acceptance that this
// server knows.
func (g *gap) follows(ctx context.Context, known, stored []byte) (accepted bool, err error) {
	var from, to audit.Tree
	if err := errors.Join(from.UnmarshalBinary(known), to.UnmarshalBinary(stored)); err != nil {
		return false, err
	}
	err = g.leads(ctx, from, to)
	if !errors.Is(err, errOther) {
		return false, err
	}
	a, lookErr := lastAccepted(ctx, g.run, g.auth, to.Size())
	if lookErr != nil || a == nil || a.covers < from.Size() || a.at <= g.head.memory.newest(acceptances, 0) {
		return false, errors.Join(err, lookErr)
	}
	return true, g.leads(ctx, a.Tree, to)
}

// leads returns an error if the entries do not lead from one tree to the other.
func (g *gap) leads(ctx context.Context, from, to audit.Tree) error {
	if to.Size() < from.Size() {
		return notOurs("it has %d entries, and had %d", to.Size(), from.Size())
	}
	for from.Size() < to.Size() {
		n, err := g.append(ctx, &from, to.Size())
		if err != nil {
			return err
		}
		if n == 0 {
			return notOurs("entry %d is missing", from.Size())
		}
		g.say(from.Size(), to.Size())
	}
	if from.Root() != to.Root() {
		return notOurs("its first %d entries are not those that were written", to.Size())
	}
	return nil
}

// approach reads the log from the known state up to the stored tree, outside of any
// transaction.
func (h *head) approach(ctx context.Context, k *AuditKeys, run runner) error {
	known := h.known() // before the tree is read, so that the tree is not the older one
	auth := audit.NewAuthenticator(k.MAC)
	edge, mac, err := readTree(ctx, run)
	switch {
	case err != nil:
		return err
	case edge == nil:
		err = notOurs("it is gone")
	case !auth.CheckTree(edge, mac):
		err = errTree
	default:
		_, err = h.gap(auth, run).follows(ctx, known, edge)
	}
	h.haltIf(err)
	if err == nil {
		h.advance(edge)
	}
	return err
}

// sayEvery is how often the progress in a gap is logged.
const sayEvery = 5 * time.Second

func (g *gap) say(read, of int64) {
	if now := time.Now(); now.Sub(g.said) >= sayEvery {
		g.said = now
		g.head.log.Info("comparing the audit log with what this server remembers of it", "read", read, "of", of)
	}
}

// append extends a tree by at most a page of stored entries, up to a number.
func (g *gap) append(ctx context.Context, tree *audit.Tree, before int64) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	rows, err := g.run.QueryContext(ctx, "select seq, body, mac from audit_entry where seq >= $1 and seq < $2 order by seq limit $3", tree.Size(), before, page)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var seq int64
		var body, mac []byte
		if err := rows.Scan(&seq, &body, &mac); err != nil {
			return n, err
		}
		switch {
		case seq != tree.Size():
			return n, notOurs("entry %d is missing", tree.Size())
		case !g.auth.Check(seq, body, mac):
			return n, notOurs("entry %d was altered", seq)
		}
		tree.Append(body)
	}
	return n, rows.Err()
}
