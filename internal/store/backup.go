package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// backup copies the database by VACUUM INTO on a connection of its own, so that
// changes go on meanwhile. The copy appears under its name only when whole.
func (w *writer) backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("store: %s exists; a backup never overwrites", path)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".backup-") // 0700: nobody else reads the copy
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	defer os.RemoveAll(dir)
	part := filepath.Join(dir, "db")
	if _, err := w.db.reads.pool.ExecContext(ctx, "vacuum into $1", part); err != nil {
		return fmt.Errorf("store: backup: %w", classify(err))
	}
	if err := seal(part); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	if err := os.Link(part, path); err != nil { // unlike a rename, fails where a file appeared
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// seal makes a file private and puts it on disk.
func seal(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	return f.Sync()
}
