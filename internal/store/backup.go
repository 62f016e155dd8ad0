package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a consistent copy of the running database to a new file. The file
// appears under its name only when it is complete and on disk. Backup works with
// SQLite only; with PostgreSQL it returns an error that names pg_dump.
func (db *DB) Backup(ctx context.Context, path string) error {
	w, file := db.changes.engine.(*writer)
	if !file {
		return errors.New("store: only an SQLite database can be copied this way; use pg_dump for PostgreSQL")
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("store: %s exists; a backup never overwrites", path)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".backup-") // 0700: nobody else reads the copy
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	defer os.RemoveAll(dir)
	part := filepath.Join(dir, "db")
	pool, err := w.file.pool() // readers may not, and the writer has no time
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(ctx, "vacuum into $1", part); err != nil {
		return fmt.Errorf("store: backup: %w", classify(err))
	}
	if err := seal(part); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	if err := os.Link(part, path); err != nil { // unlike a rename, fails where a file appeared
		return fmt.Errorf("store: backup: %w", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// syncFolder puts a new name on disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
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
