package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"countersign/internal/audit"
)

// shelf is the folder outside the database in which a server stores what it remembers: the
// newest known head of the log and the newest versions of rows. Each file has a MAC by a
// key that only the root key opens.
type shelf struct {
	folder string // empty: nothing is stored
	key    []byte
	saved  mark // used by the watch only
	mu     sync.Mutex
	head   []byte // the content of the head file
}

// mark identifies what was saved last.
type mark struct {
	read    int64
	changed uint64
}

// sum returns the MAC of a part of a file.
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

var errShelf = errors.New("store: invalid MAC")

// read returns the content of a file, or nil if there is none.
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

// write replaces a file atomically.
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
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncFolder(s.folder)
}

func (s *shelf) setKey(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// known returns the newest remembered state of the log, or nil: that of the head file, or
// the one up to which the log was read.
func (s *shelf) known(read *audit.Tree) ([]byte, error) {
	head, err := s.read(headFile)
	if sizeOf(head) >= read.Size() && err == nil {
		return head, nil
	}
	edge, edgeErr := read.MarshalBinary()
	if read.Size() == 0 {
		edge = nil
	}
	return edge, errors.Join(err, edgeErr)
}

// look returns how far the log was read, and changes nothing.
func (s *shelf) look() (read audit.Tree, err error) {
	kept, err := s.read(versionsFile)
	if err != nil && !errors.Is(err, errShelf) {
		return read, err
	}
	if kept, ok := new(memory).restore(kept); ok {
		read = kept
	}
	return read, nil
}

// open creates the folder and opens the files of the memory. If a file is missing or
// altered, the memory is empty and the log is read from its beginning.
func (s *shelf) open(m *memory) (read audit.Tree, err error) {
	if s.folder == "" {
		return read, nil
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return read, fmt.Errorf("store: what this server remembers: %w", err)
	}
	kept, err := s.read(versionsFile)
	if err != nil && !errors.Is(err, errShelf) {
		return read, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	read, ok := m.restore(kept)
	if err := s.openPages(m); err != nil {
		return audit.Tree{}, err
	}
	for i := range m.rows {
		ok = ok && m.rows[i].whole()
	}
	if ok {
		return read, nil
	}
	return audit.Tree{}, m.clear()
}

// clear forgets everything.
func (m *memory) clear() error {
	m.others, m.ended = map[uint64]int64{}, map[uint64]int64{}
	for i := range m.rows {
		p := &m.rows[i]
		p.there, p.loaded, p.large = map[int64]bool{}, nil, nil
		if p.file == nil {
			continue
		}
		if err := p.file.Truncate(0); err != nil {
			return fmt.Errorf("store: what this server remembers: %w", err)
		}
	}
	return nil
}

func (s *shelf) openPages(m *memory) error {
	for i, name := range numbered {
		f, err := os.OpenFile(filepath.Join(s.folder, name), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("store: what this server remembers: %w", err)
		}
		p := &m.rows[i]
		p.file, p.name, p.key = f, name, s.key
	}
	return nil
}

// restore reads what [memory.bytes] wrote, and returns how far the log was read.
func (m *memory) restore(b []byte) (read audit.Tree, ok bool) {
	r := reader{b, true}
	edge := r.take(r.number())
	m.others, m.ended = r.pairs(), r.pairs()
	for i := range m.rows {
		p := &m.rows[i]
		p.there = map[int64]bool{}
		for range r.count(8) {
			p.there[int64(r.number64())] = true
		}
		p.large = map[int64]int64{}
		for number, version := range r.pairs() {
			p.large[int64(number)] = version
		}
	}
	ok = r.ok && len(r.rest) == 0 && read.UnmarshalBinary(edge) == nil
	return read, ok
}

// bytes returns the input of restore. The drafts are written to disk before it.
func (m *memory) bytes(read *audit.Tree, drafts [len(numbered)][]draft) ([]byte, error) {
	edge, err := read.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b := append(appendNumber(nil, len(edge)), edge...)
	b = appendPairs(appendPairs(b, m.others), m.ended)
	for i := range m.rows {
		p := &m.rows[i]
		there := maps.Clone(p.there)
		for _, d := range drafts[i] {
			there[d.number] = true
		}
		b = appendNumber(b, len(there))
		for _, number := range slices.Sorted(maps.Keys(there)) {
			b = binary.BigEndian.AppendUint64(b, uint64(number))
		}
		large := make(map[uint64]int64, len(p.large))
		for number, version := range p.large {
			large[uint64(number)] = version
		}
		b = appendPairs(b, large)
	}
	return b, nil
}

func appendNumber(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }

func appendPairs(b []byte, pairs map[uint64]int64) []byte {
	b = appendNumber(b, len(pairs))
	for key, value := range pairs {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, key), uint64(value))
	}
	return b
}

// reader parses a file. If that is too short, its methods return zero values.
type reader struct {
	rest []byte
	ok   bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.rest, r.ok = nil, false
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) number() int {
	if b := r.take(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) number64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads the number of items of a size that follow.
func (r *reader) count(size int) int {
	n := r.number()
	if n > len(r.rest)/size {
		r.rest, r.ok = nil, false
		return 0
	}
	return n
}

func (r *reader) pairs() map[uint64]int64 {
	n := r.count(16)
	out := make(map[uint64]int64, n)
	for range n {
		key := r.number64()
		out[key] = int64(r.number64())
	}
	return out
}

// save writes what is remembered up to a state of the log, if it changed since the last
// save. It writes the pages before the state, as reading entries again does no harm. Callers
// of the memory do not wait for the disk.
func (s *shelf) save(m *memory, read *audit.Tree) error {
	if s.folder == "" {
		return nil
	}
	m.mu.Lock()
	now := mark{read.Size(), m.changed}
	var drafts [len(numbered)][]draft
	if now == s.saved || m.rows[0].file == nil {
		m.mu.Unlock()
		return nil
	}
	for i := range m.rows {
		drafts[i] = m.rows[i].drafts()
	}
	b, err := m.bytes(read, drafts)
	m.mu.Unlock()
	for i := range m.rows {
		if err == nil {
			err = m.rows[i].write(drafts[i])
		}
	}
	if err == nil {
		err = s.write(versionsFile, b)
	}
	if err != nil {
		return err
	}
	s.saved = now
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.rows {
		m.rows[i].wrote(drafts[i])
	}
	return nil
}

// keep writes the head of the log if it changed.
func (s *shelf) keep(edge []byte) error {
	if s.folder == "" || edge == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Equal(edge, s.head) {
		return nil
	}
	if err := s.write(headFile, edge); err != nil {
		return err
	}
	s.head = edge
	return nil
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

// Forget removes what a server remembers in a folder, after an administrator accepted the
// log: the next start reads it from the present log.
func Forget(folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("store: what this server remembers: %w", err)
	}
	return nil
}
