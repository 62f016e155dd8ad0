package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"countersign/internal/audit"
)

// recorded is an entry on its way into the log.
type recorded struct {
	body    []byte
	account int64 // the account that it concerns
	at      int64 // microseconds
}

// chain numbers entries and appends them to the stored tree, in the transaction of its
// caller. It remembers the last tree, but compares it with the stored one each time: the
// transaction may have failed, or another server may have written.
type chain struct {
	head   *head // nil to ignore what this server knows of the log
	auth   *audit.Authenticator
	fresh  bool // there may be no tree yet
	shared bool // other servers wait: a wide gap is errWide and is read outside of the transaction
	tree   audit.Tree
	stored []byte // the row that tree was read from, nil if none was
}

func newChain(h *head, k *AuditKeys) *chain {
	return &chain{head: h, auth: audit.NewAuthenticator(k.MAC), fresh: k.Fresh}
}

var errTree = errors.New("store: the audit log's tree has no valid MAC: it was changed from outside, or the audit keys belong to another database")

// errWide is returned for a stored tree far ahead of the known one: other servers wrote
// for long while this one did not read.
var errWide = fmt.Errorf("store: the log is far ahead of what this server has read: %w", ErrUnavailable)

// load reads the stored tree. If that does not continue from the known state of the log,
// all changes are refused from then on.
func (c *chain) load(ctx context.Context, run runner) error {
	err := c.read(ctx, run)
	if c.head != nil {
		c.head.haltIf(err)
	}
	return err
}

func (c *chain) read(ctx context.Context, run runner) error {
	var known []byte
	if c.head != nil {
		known = c.head.known() // before the tree is read, so that the tree is not the older one
	}
	edge, mac, err := readTree(ctx, run)
	if err != nil {
		return err
	}
	return c.follow(ctx, run, known, edge, mac)
}

// follow is read for a row of the tree that was read already, after what was known of the log.
func (c *chain) follow(ctx context.Context, run runner, known, edge, mac []byte) error {
	if edge == nil {
		return c.begin(ctx, run, known)
	}
	if c.stored != nil && bytes.Equal(edge, c.stored) && (known == nil || bytes.Equal(edge, known)) {
		return nil
	}
	if !c.auth.CheckTree(edge, mac) {
		return errTree
	}
	if known != nil && !bytes.Equal(edge, known) {
		if c.shared && wide(known, edge) {
			return errWide
		}
		if _, err := c.head.gap(c.auth, run).follows(ctx, known, edge); err != nil {
			return err
		}
	}
	if err := c.tree.UnmarshalBinary(edge); err != nil {
		return err
	}
	c.stored = edge
	return nil
}

// begin starts an empty tree if there was never an entry.
func (c *chain) begin(ctx context.Context, run runner, known []byte) error {
	if known != nil || !c.fresh {
		return notOurs("it is gone")
	}
	rows, err := run.QueryContext(ctx, "select 1 from audit_entry limit 1")
	if err != nil {
		return err
	}
	some := rows.Next()
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if some {
		return notOurs("it has entries but no tree")
	}
	c.tree = audit.Tree{}
	edge, err := c.tree.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = run.ExecContext(ctx, "insert into audit_tree (id, size, frontier, mac) values (1, 0, $1, $2) on conflict (id) do nothing",
		edge, c.auth.AppendTree(nil, edge))
	c.stored = edge
	return err
}

const selectTree = "select frontier, mac from audit_tree where id = 1"

func readTree(ctx context.Context, run runner) (edge, mac []byte, err error) {
	rows, err := run.QueryContext(ctx, selectTree)
	if err != nil {
		return nil, nil, err
	}
	return scanTree(rows)
}

// scanTree reads the row of the tree, nil if there is none, and closes rows.
func scanTree(rows cursor) (edge, mac []byte, err error) {
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&edge, &mac)
	}
	return edge, mac, errors.Join(err, rows.Err())
}

// chunks are the numbers of rows of one insert statement, so that few texts are prepared.
var chunks = [...]int{64, 16, 4, 1}

var entryInserts = insertTexts("audit_entry (seq, at, account, body, mac)", 5)

// insertTexts returns an insert statement for each of chunks.
func insertTexts(into string, columns int) (texts [len(chunks)]string) {
	for i, n := range chunks {
		var b strings.Builder
		b.WriteString("insert into " + into + " values ")
		for p := 1; p <= n*columns; p++ {
			switch {
			case p%columns != 1 && columns > 1:
				b.WriteString(", ")
			case p > 1:
				b.WriteString(", (")
			default:
				b.WriteString("(")
			}
			b.WriteString("$" + strconv.Itoa(p))
			if p%columns == 0 {
				b.WriteString(")")
			}
		}
		texts[i] = b.String()
	}
	return texts
}

// number gives the entry the next number, and appends its MAC to macs.
func (c *chain) number(e recorded, macs []byte) (int64, []byte) {
	seq := c.tree.Append(e.body)
	return seq, c.auth.Append(macs, seq, e.body)
}

// append numbers the entries, inserts them with their MACs, and stores the tree.
func (c *chain) append(ctx context.Context, run runner, entries []recorded) error {
	c.stored = nil // until all is written, the tree here is ahead of the stored one
	args := make([]any, 0, min(len(entries), chunks[0])*5)
	macs := make([]byte, 0, len(entries)*32)
	for i, size := range chunks {
		for len(entries) >= size {
			args = args[:0]
			for _, e := range entries[:size] {
				var seq int64
				seq, macs = c.number(e, macs)
				args = append(args, seq, e.at, e.account, e.body, macs[len(macs)-32:])
			}
			if _, err := run.ExecContext(ctx, entryInserts[i], args...); err != nil {
				return fmt.Errorf("writing the audit log: %w", err)
			}
			entries = entries[size:]
		}
	}
	edge, tree, err := c.storing()
	if err == nil {
		_, err = run.ExecContext(ctx, tree.Query, tree.Args...)
	}
	if err == nil {
		c.stored = edge // if this is not committed, the next load finds another row
	}
	return err
}

// storing is the statement that stores the tree, and the row that it will be.
func (c *chain) storing() (edge []byte, s Statement, err error) {
	edge, err = c.tree.MarshalBinary()
	return edge, Statement{"update audit_tree set size = $1, frontier = $2, mac = $3 where id = 1",
		[]any{c.tree.Size(), edge, c.auth.AppendTree(nil, edge)}}, err
}
