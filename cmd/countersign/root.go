package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// The root key's file in the data folder, and the one that a rotation writes
// before it uses it.
const (
	rootFile = "root.key"
	nextFile = "root.key.next"
)

// rootSource is a root key and where it was found.
type rootSource struct {
	keyring.Root
	from string // for people
	path string // its file in the data folder; empty where it came from elsewhere
}

// rootKey is findRoot, and makes the key the first time: in a folder that holds
// database of this name yet.
func rootKey(folder, database string) (rootSource, error) {
	found, err := findRoot(folder)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if _, err := os.Stat(filepath.Join(folder, database)); err == nil {
		return rootSource{}, fmt.Errorf("%s holds a database and no root key; put its %s back, or give the key in COUNTERSIGN_ROOT_KEY", folder, rootFile)
	}
	path := filepath.Join(folder, rootFile)
	root, err := makeRootKey(path)
	return rootSource{root, path, path}, err
}

// findRoot reads the root key from COUNTERSIGN_ROOT_KEY, a systemd credential,
// or the data folder. Where there is none it is fs.ErrNotExist.
func findRoot(folder string) (rootSource, error) {
	if text := os.Getenv("COUNTERSIGN_ROOT_KEY"); text != "" {
		root, err := keyring.ParseRoot(text)
		return rootSource{root, "COUNTERSIGN_ROOT_KEY", ""}, err
	}
	if d := os.Getenv("CREDENTIALS_DIRECTORY"); d != "" {
		b, err := os.ReadFile(filepath.Join(d, "countersign-root-key"))
		if err == nil {
			root, err := keyring.ParseRoot(string(b))
			return rootSource{root, "the credential countersign-root-key", ""}, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return rootSource{}, err
		}
	}
	path := filepath.Join(folder, rootFile)
	root, err := readRoot(path)
	return rootSource{root, path, path}, err
}

// readRoot reads a root key's file, which only its owner may read.
func readRoot(path string) (keyring.Root, error) {
	info, err := os.Stat(path)
	if err != nil {
		return keyring.Root{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return keyring.Root{}, fmt.Errorf("%s can be read by others; run chmod 600 %s", path, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return keyring.Root{}, err
	}
	root, err := keyring.ParseRoot(string(b))
	if err != nil {
		return keyring.Root{}, fmt.Errorf("%s: %w", path, err)
	}
	return root, nil
}

func makeRootKey(path string) (keyring.Root, error) {
	root := keyring.NewRoot()
	return root, writeRoot(path, root)
}

// writeRoot writes a root key to a new file, and returns when it is on disk.
func writeRoot(path string, root keyring.Root) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(root.Text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half a key is none
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder puts a new or changed name on disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openKeys opens a database's keys. Where a rotation of the root key was cut off
// after the database took the new one, it finishes it.
func openKeys(ctx context.Context, db *store.DB, root rootSource) (*keyring.Keyring, error) {
	keys, err := keyring.Open(ctx, db, root.Root)
	if !errors.Is(err, keyring.ErrWrongRoot) || root.path == "" {
		return keys, err
	}
	next := filepath.Join(filepath.Dir(root.path), nextFile)
	fresh, nextErr := readRoot(next)
	if nextErr != nil {
		return nil, err
	}
	if keys, nextErr = keyring.Open(ctx, db, fresh); nextErr != nil {
		return nil, err
	}
	return keys, replaceRoot(next, root.path)
}

// replaceRoot puts the new key in the old one's place, in one step.
func replaceRoot(next, path string) error {
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}
