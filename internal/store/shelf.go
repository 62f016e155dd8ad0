package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"countersign/internal/audit"
)

// shelf is the folder outside the database in which a server keeps what it remembers:
// the newest head of the log that it knows, and the newest versions of rows. Each file
// bears a MAC of a key that only the root key opens.
type shelf struct {
	folder string // empty: nothing is kept
	key    []byte
	saved  time.Time
}

// sum is the MAC of a piece of a file of the shelf.
func sum(key []byte, name string, number int64, content []byte) []byte {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(number))
	h.Write([]byte(name))
	h.Write(n[:])
	h.Write(content)
	return h.Sum(nil)
}

func shelfKey(macKey []byte) []byte {
	h := hmac.New(sha256.New, macKey)
	h.Write([]byte("countersign: what a server remembers, v1"))
	return h.Sum(nil)
}

const (
	headFile     = "log-head"
	versionsFile = "versions"
)

var errShelf = errors.New("store: it does not bear our MAC")

// read returns the content of a file, and nil where there is none.
func (s *shelf) read(name string) ([]byte, error) {
	if s.folder == "" {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(s.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: what this server remembers: %w", err)
	}
	if len(b) < sha256.Size || !hmac.Equal(sum(s.key, name, 0, b[sha256.Size:]), b[:sha256.Size]) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(s.folder, name), errShelf)
	}
	return b[sha256.Size:], nil
}

// write replaces a file as a whole.
func (s *shelf) write(name string, content []byte) error {
	if s.folder == "" {
		return nil
	}
	path := filepath.Join(s.folder, name)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(sum(s.key, name, 0, content), content...))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// open makes the folder and gives the memory its files. What it remembers is empty where
// a file is missing or is not as it was written: the log is then read from its beginning.
func (s *shelf) open(m *memory) (audit.Tree, error) {
	var none audit.Tree
	if s.folder == "" {
		return none, nil
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return none, fmt.Errorf("store: what this server remembers: %w", err)
	}
	kept, err := s.read(versionsFile)
	if err != nil && !errors.Is(err, errShelf) {
		return none, err
	}
	read, ok := m.restore(kept)
	flags := os.O_RDWR | os.O_CREATE
	if !ok {
		read, flags = none, flags|os.O_TRUNC
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, name := range numbered {
		f, err := os.OpenFile(filepath.Join(s.folder, name), flags, 0o600)
		if err != nil {
			return none, fmt.Errorf("store: what this server remembers: %w", err)
		}
		m.rows[i] = pages{file: f, name: name, key: s.key}
	}
	return read, nil
}

// restore reads what [memory.bytes] wrote: how far the log was read, and what it said.
func (m *memory) restore(b []byte) (read audit.Tree, ok bool) {
	m.others, m.ended = map[uint64]int64{}, map[uint64]int64{}
	r := bytes.NewReader(b)
	var size, others, ended uint32
	if binary.Read(r, binary.BigEndian, &size) != nil || int(size) > r.Len() {
		return read, false
	}
	edge := make([]byte, size)
	r.Read(edge)
	if read.UnmarshalBinary(edge) != nil || binary.Read(r, binary.BigEndian, &others) != nil || binary.Read(r, binary.BigEndian, &ended) != nil ||
		r.Len() != 16*(int(others)+int(ended)) {
		return audit.Tree{}, false
	}
	pairs := b[len(b)-r.Len():]
	for i := range int(others) + int(ended) {
		key, value := binary.BigEndian.Uint64(pairs[16*i:]), int64(binary.BigEndian.Uint64(pairs[16*i+8:]))
		if i < int(others) {
			m.others[key] = value
		} else {
			m.ended[key] = value
		}
	}
	return read, true
}

func (m *memory) bytes(read *audit.Tree) ([]byte, error) {
	edge, err := read.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(edge)))
	b = append(b, edge...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.others)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.ended)))
	for _, pairs := range []map[uint64]int64{m.others, m.ended} {
		for key, value := range pairs {
			b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, key), uint64(value))
		}
	}
	return b, nil
}

// save writes what is remembered as of a place in the log. The pages are on disk before
// the place is: entries that are read once more say nothing new.
func (s *shelf) save(m *memory, read *audit.Tree) error {
	if s.folder == "" {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		if err := m.rows[i].flush(); err != nil {
			return err
		}
	}
	b, err := m.bytes(read)
	if err != nil {
		return err
	}
	return s.write(versionsFile, b)
}

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []error
	for i := range m.rows {
		if f := m.rows[i].file; f != nil {
			all = append(all, f.Close())
			m.rows[i].file = nil
		}
	}
	return errors.Join(all...)
}

// Forget removes what a server remembers in a folder, after an administrator has said
// why the log is not as it was left: the next start reads it from the log that is there.
func Forget(folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("store: what this server remembers: %w", err)
	}
	return nil
}
