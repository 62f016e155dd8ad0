package store

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"countersign/internal/audit"
)

// Verify checks the whole audit log against the keys, the checkpoints that are
// kept, and those that were sent away, while it is being written. A log that is
// not as it was written is a report with faults, not an error.
func (db *DB) Verify(ctx context.Context, witnessed ...string) (audit.Report, error) {
	notes, err := db.Checkpoints(ctx) // before the tree, so that none is newer
	if err != nil {
		return audit.Report{}, err
	}
	tree, err := db.Tree(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	k := db.keys.Load()
	r, err := audit.Verify(upTo(db.Leaves(ctx), tree.Size()), audit.Check{Origin: k.Origin, Verifier: k.Verifier,
		Checkpoints: append(notes, witnessed...), MAC: k.MAC, Tree: tree})
	if err != nil {
		return r, err
	}
	// What came meanwhile is not looked at, but nothing may ever stand behind
	// the end of the tree.
	var size, behind int64
	err = db.QueryRow(ctx, "select size, (select count(*) from audit_entry where seq >= size) from audit_tree where id = 1").Scan(&size, &behind)
	if err == nil && behind > 0 {
		r.Faults = append(r.Faults, audit.Fault{Kind: audit.Inserted, From: size, To: size + behind - 1, Note: "behind the end of the tree"})
	}
	return r, err
}

// upTo ends the entries where the tree ends that was read before them.
func upTo(leaves iter.Seq2[audit.Leaf, error], size int64) iter.Seq2[audit.Leaf, error] {
	return func(yield func(audit.Leaf, error) bool) {
		for l, err := range leaves {
			if err == nil && l.Seq >= size || !yield(l, err) {
				return
			}
		}
	}
}

// Tree returns the tree that the log will be continued from, checked against its
// MAC: one more thing that [audit.Verify] compares with the entries.
func (db *DB) Tree(ctx context.Context) (*audit.Tree, error) {
	k := db.keys.Load()
	if k == nil {
		return nil, errors.New("store: no tree before UseAuditKeys")
	}
	var edge, mac []byte
	err := db.QueryRow(ctx, "select frontier, mac from audit_tree where id = 1").Scan(&edge, &mac)
	if err != nil {
		return nil, fmt.Errorf("the audit log's tree: %w", err)
	}
	if !audit.NewAuthenticator(k.MAC).CheckTree(edge, mac) {
		return nil, errTree
	}
	t := new(audit.Tree)
	return t, t.UnmarshalBinary(edge)
}
