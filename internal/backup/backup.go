package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"countersign/internal/failure"

	"filippo.io/age"
)

// Format is the version of the format. Read refuses others.
const Format = 1

// The names in the archive.
const (
	manifestName = "manifest.json"
	rootName     = "root.key"
	databaseName = "countersign.db"
)

// Limits of what is read, in bytes, so that no crafted file fills memory or disk.
const (
	maxManifest = 64 << 10
	maxRoot     = 4 << 10
)

// Manifest describes the contents of a backup.
type Manifest struct {
	Format int `json:"format"`
	// Version is the release of Countersign that made the backup.
	Version string `json:"version"`
	// Schema is the version of the database's tables.
	Schema int       `json:"schema"`
	Made   time.Time `json:"made"`
	// Log is the name of the audit log, Entries the number of its entries, and
	// Root the hash of their Merkle tree.
	Log     string `json:"log"`
	Entries int64  `json:"entries"`
	Root    string `json:"root"`
	// Size is the size of the database in bytes, and SHA256 its hash in hex.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// RootKey reports whether the backup holds the root key.
	RootKey bool `json:"root_key"`
}

func (m Manifest) check() error {
	switch {
	case m.Format != Format:
		return failure.New(failure.Invalid, "The backup has format %d and this release reads %d.", m.Format, Format)
	case m.Size <= 0 || m.Entries < 0 || len(m.SHA256) != 2*sha256.Size:
		return damaged(errors.New("its manifest is malformed"))
	}
	return nil
}

// Contents is what Write puts into a backup.
type Contents struct {
	// Manifest describes the rest. Write sets its Format and RootKey.
	Manifest Manifest
	// RootKey is the text of the root key's file; empty leaves it out.
	RootKey []byte
	// Database must have exactly Manifest.Size bytes.
	Database io.Reader
}

// Write encrypts a backup to one or more recipients.
func Write(w io.Writer, to []age.Recipient, c Contents) error {
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return err
	}
	if err := pack(sealed, c); err != nil {
		return err
	}
	return sealed.Close()
}

func pack(w io.Writer, c Contents) error {
	m := c.Manifest
	m.Format, m.RootKey = Format, len(c.RootKey) > 0
	if err := m.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zip)
	put := func(name string, size int64, from io.Reader) error {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: m.Made.Truncate(time.Second)}); err != nil {
			return err
		}
		n, err := io.Copy(archive, from)
		if err == nil && n != size {
			err = fmt.Errorf("backup: %s has %d bytes and not %d", name, n, size)
		}
		return err
	}
	err = put(manifestName, int64(len(text)), bytes.NewReader(text))
	if err == nil && m.RootKey {
		err = put(rootName, int64(len(c.RootKey)), bytes.NewReader(c.RootKey))
	}
	if err == nil {
		err = put(databaseName, m.Size, c.Database)
	}
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zip.Close()
}

// Read decrypts a backup and writes its database to db. The caller must discard
// what was written unless the error is nil. The root key is the text of its file,
// empty if the backup has none. Errors of the backup are classed Invalid, with one
// sentence; an error of db is returned as it is.
func Read(r io.Reader, with []age.Identity, db io.Writer) (m Manifest, rootKey []byte, err error) {
	plain, err := age.Decrypt(r, with...)
	var nobody *age.NoIdentityMatchError
	switch {
	case errors.As(err, &nobody):
		return m, nil, failure.New(failure.Invalid, "This key or passphrase does not decrypt the backup.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return m, nil, damaged(err)
	case err != nil:
		return m, nil, failure.Wrap(failure.Invalid, err, "The file is not a Countersign backup, or it is damaged.")
	}
	return unpack(plain, db)
}

// unpack reads the decrypted archive to its end.
func unpack(r io.Reader, db io.Writer) (m Manifest, rootKey []byte, err error) {
	under := bufio.NewReader(r) // so that gzip reads no further than its own end
	zip, err := gzip.NewReader(under)
	if err != nil {
		return m, nil, damaged(err)
	}
	zip.Multistream(false)
	archive := tar.NewReader(zip)
	text, err := small(archive, manifestName, maxManifest)
	if err != nil {
		return m, nil, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, nil, damaged(err)
	}
	if err := m.check(); err != nil {
		return m, nil, err
	}
	if m.RootKey {
		if rootKey, err = small(archive, rootName, maxRoot); err != nil {
			return m, nil, err
		}
	}
	if err := database(archive, m, db); err != nil {
		return m, nil, err
	}
	if _, err := archive.Next(); err != io.EOF {
		return m, nil, damaged(errors.Join(errors.New("there is more in it than there should be"), err))
	}
	return m, rootKey, ended(zip, under)
}

// next moves to the next member, which must have this name.
func next(archive *tar.Reader, name string) (*tar.Header, error) {
	h, err := archive.Next()
	if err != nil {
		return nil, damaged(err)
	}
	if h.Name != name || h.Typeflag != tar.TypeReg {
		return nil, damaged(fmt.Errorf("%q instead of %s", h.Name, name))
	}
	return h, nil
}

// small reads a member into memory.
func small(archive *tar.Reader, name string, most int64) ([]byte, error) {
	h, err := next(archive, name)
	if err != nil {
		return nil, err
	}
	if h.Size <= 0 || h.Size > most {
		return nil, damaged(fmt.Errorf("%s has %d bytes", name, h.Size))
	}
	b, err := io.ReadAll(archive)
	if err != nil {
		return nil, damaged(err)
	}
	return b, nil
}

func database(archive *tar.Reader, m Manifest, db io.Writer) error {
	h, err := next(archive, databaseName)
	if err != nil {
		return err
	}
	if h.Size != m.Size {
		return damaged(fmt.Errorf("the database has %d bytes and not %d", h.Size, m.Size))
	}
	sum := sha256.New()
	out := &keeper{w: db}
	if _, err := io.Copy(io.MultiWriter(out, sum), archive); err != nil {
		if out.err != nil {
			return out.err
		}
		return damaged(err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != m.SHA256 {
		return damaged(errors.New("the database's hash differs"))
	}
	return nil
}

// keeper remembers write errors, to tell a full disk from a bad backup.
type keeper struct {
	w   io.Writer
	err error
}

func (k *keeper) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	if err != nil {
		k.err = err
	}
	return n, err
}

// ended reads both streams to their ends, where gzip's checksum and age's last
// chunk are, and refuses trailing data.
func ended(zip *gzip.Reader, r io.Reader) error {
	left, err := io.Copy(io.Discard, io.LimitReader(zip, 1<<20)) // the padding of tar
	if err == nil && left == 1<<20 {
		err = errors.New("there is more in it than there should be")
	}
	if err == nil {
		var more int64
		if more, err = io.Copy(io.Discard, io.LimitReader(r, 1)); err == nil && more > 0 {
			err = errors.New("there is more after its end")
		}
	}
	if err != nil {
		return damaged(err)
	}
	return nil
}

func damaged(cause error) error {
	if errors.Is(cause, io.ErrUnexpectedEOF) || errors.Is(cause, io.EOF) {
		return failure.Wrap(failure.Invalid, cause, "The backup is truncated: its end is missing.")
	}
	return failure.Wrap(failure.Invalid, cause, "The backup was changed or is damaged; nothing of it is used.")
}
