package audit

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the right edge of a Merkle tree (RFC 6962 section 2.1): the hashes of
// its complete subtrees, largest first, which is all that appending and the
// root need. The zero Tree is empty and ready. It is not safe for concurrent
// use; [Tree.Clone] is cheap.
type Tree struct {
	size  int64
	edge  [63]tlog.Hash
	depth int // how many of edge are in use: the ones in size's binary form
}

// Append adds a leaf and returns its number.
func (t *Tree) Append(leaf []byte) int64 {
	h := tlog.RecordHash(leaf)
	seq := t.size
	// Every trailing one bit of the old size is a complete subtree that this
	// leaf pairs with.
	for n := uint64(seq); n&1 == 1; n >>= 1 {
		t.depth--
		h = tlog.NodeHash(t.edge[t.depth], h)
	}
	t.edge[t.depth] = h
	t.depth++
	t.size++
	return seq
}

// Size returns how many leaves the tree has.
func (t *Tree) Size() int64 { return t.size }

// Root returns the tree's hash; for the empty tree the hash of nothing.
func (t *Tree) Root() tlog.Hash {
	if t.depth == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := t.edge[t.depth-1]
	for i := t.depth - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}

// Clone returns an independent copy.
func (t *Tree) Clone() *Tree { c := *t; return &c }

// MarshalBinary returns the size, big-endian in 8 bytes, and the edge.
func (t *Tree) MarshalBinary() ([]byte, error) {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+t.depth*tlog.HashSize), uint64(t.size))
	for i := range t.depth {
		b = append(b, t.edge[i][:]...)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary writes.
func (t *Tree) UnmarshalBinary(b []byte) error {
	if len(b) < 8 {
		return errors.New("audit: a tree cut short")
	}
	size := binary.BigEndian.Uint64(b)
	depth := bits.OnesCount64(size)
	if size>>62 != 0 || len(b) != 8+depth*tlog.HashSize {
		return errors.New("audit: a tree whose size and edge do not fit")
	}
	*t = Tree{size: int64(size), depth: depth}
	for i := range depth {
		copy(t.edge[i][:], b[8+i*tlog.HashSize:])
	}
	return nil
}
