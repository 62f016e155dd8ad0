// Package rootkey finds the root key of an installation, from which all other keys hang, and keeps its file.
//
// It owns root.key in the data folder and the file that a rotation writes beside it. It
// does not own the keys that the root key opens, which are keyring's. Its invariant: a key
// that stands on disk is whole and read by its owner only, and none is ever made beside a
// database that has one.
package rootkey

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
	File     = "root.key"
	NextFile = "root.key.next"
)

// Source is a root key and where it was found.
type Source struct {
	keyring.Root
	From string // for people
	Path string // its file in the data folder; empty where it came from elsewhere
}

// FindOrMake is [Find], and makes the key the first time: in a folder that holds no
// database of this name yet.
func FindOrMake(folder, database string) (Source, error) {
	found, err := Find(folder)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if _, err := os.Stat(filepath.Join(folder, database)); err == nil {
		return Source{}, fmt.Errorf("%s holds a database and no root key; put its %s back, or give the key in COUNTERSIGN_ROOT_KEY", folder, File)
	}
	path := filepath.Join(folder, File)
	root, err := Make(path)
	return Source{root, path, path}, err
}

// Find reads the root key from COUNTERSIGN_ROOT_KEY, a systemd credential,
// or the data folder. Where there is none it is fs.ErrNotExist.
func Find(folder string) (Source, error) {
	if text := os.Getenv("COUNTERSIGN_ROOT_KEY"); text != "" {
		root, err := keyring.ParseRoot(text)
		return Source{root, "COUNTERSIGN_ROOT_KEY", ""}, err
	}
	if d := os.Getenv("CREDENTIALS_DIRECTORY"); d != "" {
		b, err := os.ReadFile(filepath.Join(d, "countersign-root-key"))
		if err == nil {
			root, err := keyring.ParseRoot(string(b))
			return Source{root, "the credential countersign-root-key", ""}, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Source{}, err
		}
	}
	path := filepath.Join(folder, File)
	root, err := Read(path)
	return Source{root, path, path}, err
}

// Read reads a root key's file, which only its owner may read.
func Read(path string) (keyring.Root, error) {
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

func Make(path string) (keyring.Root, error) {
	root := keyring.NewRoot()
	return root, Write(path, root)
}

// Write writes a root key to a new file, and returns when it is on disk.
func Write(path string, root keyring.Root) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(root.Text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half a key is none
	}
	return SyncFolder(filepath.Dir(path))
}

// SyncFolder puts a new or changed name on disk.
func SyncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// OpenKeys opens a database's keys. Where a rotation of the root key was cut off
// after the database took the new one, it finishes it.
func OpenKeys(ctx context.Context, db *store.DB, root Source) (*keyring.Keyring, error) {
	keys, err := keyring.Open(ctx, db, root.Root)
	if !errors.Is(err, keyring.ErrWrongRoot) || root.Path == "" {
		return keys, err
	}
	next := filepath.Join(filepath.Dir(root.Path), NextFile)
	fresh, nextErr := Read(next)
	if nextErr != nil {
		return nil, err
	}
	if keys, nextErr = keyring.Open(ctx, db, fresh); nextErr != nil {
		return nil, err
	}
	return keys, Replace(next, root.Path)
}

// Replace puts the new key in the old one's place, in one step.
func Replace(next, path string) error {
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}
