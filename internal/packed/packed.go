// Package packed writes numbers and texts in as few octets as they take, one behind
// another, for what travels in a ticket.
//
// It owns how each is written and nothing of what they mean: who packs something says in
// its first octet in what form it is, and seals it. Its one invariant: what is read is what
// was written, or the reader says that something is bad; it believes no length.
package packed

import "encoding/binary"

// Number adds a number.
func Number(b []byte, n int64) []byte { return binary.AppendVarint(b, n) }

// Count adds how many of something follow.
func Count(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

// Text adds a text, or octets.
func Text(b []byte, s string) []byte { return append(Count(b, len(s)), s...) }

// Flag adds a yes or a no.
func Flag(b []byte, yes bool) []byte {
	if yes {
		return Number(b, 1)
	}
	return Number(b, 0)
}

// Reader reads from the front until something is bad; from then on all is zero.
type Reader struct {
	rest []byte
	bad  bool
}

// Read returns a reader of what was written.
func Read(b []byte) *Reader { return &Reader{rest: b} }

// Number reads a number.
func (r *Reader) Number() int64 {
	n, size := binary.Varint(r.rest)
	if !r.took(size) {
		return 0
	}
	return n
}

// Count reads how many follow: of what has an octet each at least, never more than
// are left.
func (r *Reader) Count() int {
	n, size := binary.Uvarint(r.rest)
	if !r.took(size) || n > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	return int(n)
}

// Text reads a text.
func (r *Reader) Text() string {
	n := r.Count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// Flag reads a yes or a no.
func (r *Reader) Flag() bool { return r.Number() == 1 }

// Whole reports whether nothing was bad and nothing is left.
func (r *Reader) Whole() bool { return !r.bad && len(r.rest) == 0 }

// took moves past a number of size octets, and reports whether there was one.
func (r *Reader) took(size int) bool {
	if r.bad || size <= 0 {
		r.bad = true
		return false
	}
	r.rest = r.rest[size:]
	return true
}
