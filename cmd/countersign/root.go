package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"countersign/internal/keyring"
)

// rootKey reads the root key from COUNTERSIGN_ROOT_KEY, a systemd credential, or
// the data folder, where it is made the first time.
func rootKey(folder string) (keyring.Root, error) {
	if text := os.Getenv("COUNTERSIGN_ROOT_KEY"); text != "" {
		return keyring.ParseRoot(text)
	}
	if d := os.Getenv("CREDENTIALS_DIRECTORY"); d != "" {
		b, err := os.ReadFile(filepath.Join(d, "countersign-root-key"))
		if err == nil {
			return keyring.ParseRoot(string(b))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return keyring.Root{}, err
		}
	}
	path := filepath.Join(folder, "root.key")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeRootKey(path)
	}
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
	return keyring.ParseRoot(string(b))
}

func makeRootKey(path string) (keyring.Root, error) {
	root := keyring.NewRoot()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return keyring.Root{}, err
	}
	_, err = f.WriteString(root.Text())
	return root, errors.Join(err, f.Sync(), f.Close())
}
