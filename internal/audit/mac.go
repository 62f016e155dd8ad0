package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Waiting is the number in the MAC of an entry that has no number yet.
const Waiting int64 = -1

// treeSeq stands where an entry's number stands in the MAC of a tree. No entry
// ever gets it.
const treeSeq int64 = -2

// Authenticator makes and checks the MACs of entries: HMAC-SHA256 over the
// entry's number, big-endian in 8 bytes, and its body. It is not safe for
// concurrent use.
type Authenticator struct {
	mac hash.Hash
	buf [sha256.Size]byte
}

// NewAuthenticator returns an Authenticator with this key, which should have at
// least 32 bytes.
func NewAuthenticator(key []byte) *Authenticator {
	return &Authenticator{mac: hmac.New(sha256.New, key)}
}

// Append appends the MAC of an entry, 32 bytes.
func (a *Authenticator) Append(dst []byte, seq int64, body []byte) []byte {
	a.mac.Reset()
	binary.BigEndian.PutUint64(a.buf[:8], uint64(seq))
	a.mac.Write(a.buf[:8])
	a.mac.Write(body)
	return a.mac.Sum(dst)
}

// Check reports, in constant time, whether mac is the entry's.
func (a *Authenticator) Check(seq int64, body, mac []byte) bool {
	return hmac.Equal(a.Append(a.buf[:0], seq, body), mac)
}

// AppendTree appends the MAC of a stored tree.
func (a *Authenticator) AppendTree(dst []byte, tree []byte) []byte {
	return a.Append(dst, treeSeq, tree)
}

// CheckTree reports whether mac is the stored tree's.
func (a *Authenticator) CheckTree(tree, mac []byte) bool {
	return a.Check(treeSeq, tree, mac)
}
