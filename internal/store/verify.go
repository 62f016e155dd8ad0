package store

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"countersign/internal/audit"
)

// Verify checks the whole audit log against the keys, the stored checkpoints, those of
// witnesses, and the head that this server remembers. The log may grow meanwhile. Faults of
// the log are in the report; the error is for a verification that could not be completed.
func (log *AuditLog) Verify(ctx context.Context, witnessed ...string) (audit.Report, error) {
	notes, err := log.Checkpoints(ctx) // before the tree, so that none is newer
	if err != nil {
		return audit.Report{}, err
	}
	known := log.head.known() // as well
	tree, last, err := log.tree(ctx)
	treeless := errors.Is(err, errTree)
	if treeless {
		err = log.rows.QueryRow(ctx, "select coalesce(max(seq), -1) from audit_entry").Scan(&last)
	}
	if err != nil {
		return audit.Report{}, err
	}
	k := log.keys.Load()
	check := audit.Check{Origin: k.Origin, Verifier: k.Verifier, Checkpoints: append(notes, witnessed...), MAC: k.MAC, Tree: tree}
	if known != nil {
		check.Known = new(audit.Tree)
		if err := check.Known.UnmarshalBinary(known); err != nil {
			return audit.Report{}, err
		}
	}
	report, err := audit.Verify(upTo(log.Leaves(ctx), last), check)
	if treeless {
		report.Faults = append(report.Faults, audit.Fault{Kind: audit.Treeless, From: -1, To: -1})
	}
	return report, err
}

// upTo ends the entries with the last one that existed with the tree.
func upTo(leaves iter.Seq2[audit.Leaf, error], last int64) iter.Seq2[audit.Leaf, error] {
	return func(yield func(audit.Leaf, error) bool) {
		for l, err := range leaves {
			if err == nil && l.Seq > last || !yield(l, err) {
				return
			}
		}
	}
}

// Tree returns the stored tree from which the log continues, after checking its MAC, for
// [audit.Verify] to compare with the entries.
func (log *AuditLog) Tree(ctx context.Context) (*audit.Tree, error) {
	t, _, err := log.tree(ctx)
	return t, err
}

// tree also returns the highest number of an entry at that moment.
func (log *AuditLog) tree(ctx context.Context) (*audit.Tree, int64, error) {
	k := log.keys.Load()
	if k == nil {
		return nil, 0, errors.New("store: Tree before UseAuditKeys")
	}
	var edge, mac []byte
	var last int64
	err := log.rows.QueryRow(ctx, "select frontier, mac, (select coalesce(max(seq), -1) from audit_entry) from audit_tree where id = 1").Scan(&edge, &mac, &last)
	if errors.Is(err, ErrNotFound) {
		return nil, 0, errTree
	}
	if err != nil {
		return nil, 0, fmt.Errorf("the audit log's tree: %w", err)
	}
	if !audit.NewAuthenticator(k.MAC).CheckTree(edge, mac) {
		return nil, 0, errTree
	}
	t := new(audit.Tree)
	return t, last, t.UnmarshalBinary(edge)
}

// Checkpoints returns the stored signed notes, the oldest first.
func (log *AuditLog) Checkpoints(ctx context.Context) ([]string, error) {
	rows, err := log.rows.Query(ctx, "select note from audit_checkpoint order by size")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var notes []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, rows.Err()
}
