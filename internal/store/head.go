package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"

	"countersign/internal/audit"
)

// Head identifies the state of a copy of a database file.
type Head struct {
	// Schema is the version of its tables.
	Schema int
	// Entries is the number of entries of its audit log, and Root the hash of their
	// tree, as in checkpoints.
	Entries int64
	Root    string
}

// HeadOf reads the head of an SQLite file that is not open, and changes nothing. It
// verifies nothing: see [AuditLog.Verify].
func HeadOf(ctx context.Context, path string) (Head, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Head{}, fmt.Errorf("store: %w", err)
	}
	pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String()+"?mode=ro&immutable=1&_pragma=trusted_schema(0)")
	if err != nil {
		return Head{}, fmt.Errorf("store: %w", err)
	}
	defer pool.Close()
	var h Head
	var edge []byte
	err = pool.QueryRowContext(ctx, "select (select max(version) from schema_version), frontier from audit_tree where id = 1").Scan(&h.Schema, &edge)
	if err != nil {
		return Head{}, classify(err)
	}
	var tree audit.Tree
	if err := tree.UnmarshalBinary(edge); err != nil {
		return Head{}, err
	}
	h.Entries, h.Root = tree.Size(), tree.Root().String()
	return h, nil
}
