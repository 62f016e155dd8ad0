// Package packed is a compact binary encoding of numbers and texts, for the
// contents of tickets.
//
// Callers put a version of their format into the first octet and seal the result;
// this package only encodes values. Invariant: a reader returns exactly what was
// written, or reports an error; it trusts no length in its input.
package packed

import "encoding/binary"

// Number appends a number.
func Number(b []byte, n int64) []byte { return binary.AppendVarint(b, n) }

// Count appends the number of elements that follow.
func Count(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

// Text appends a text, or octets.
func Text(b []byte, s string) []byte { return append(Count(b, len(s)), s...) }

// Flag appends a boolean.
func Flag(b []byte, yes bool) []byte {
	if yes {
		return Number(b, 1)
	}
	return Number(b, 0)
}

// Reader reads from the front. After the first error all values are zero.
type Reader struct {
	rest []byte
	bad  bool
}

// Read returns a Reader of encoded octets.
func Read(b []byte) *Reader { return &Reader{rest: b} }

// Number reads a number.
func (r *Reader) Number() int64 {
	n, size := binary.Varint(r.rest)
	if !r.took(size) {
		return 0
	}
	return n
}

// Count reads the number of elements that follow. It is never more than the octets
// that are left, because each element takes at least one.
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

// Flag reads a boolean.
func (r *Reader) Flag() bool { return r.Number() == 1 }

// Whole reports whether everything was read without an error.
func (r *Reader) Whole() bool { return !r.bad && len(r.rest) == 0 }

// took moves past a number of size octets, and reports whether it is complete.
func (r *Reader) took(size int) bool {
	if r.bad || size <= 0 {
		r.bad = true
		return false
	}
	r.rest = r.rest[size:]
	return true
}
