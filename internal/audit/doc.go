// Package audit is the log that cannot be changed quietly: what an entry says,
// the Merkle tree it becomes a leaf of, the signed checkpoints of that tree,
// and the check that nothing was changed since.
//
// It owns the bytes: [Entry] in its one canonical form, [Tree] (RFC 6962 by way
// of golang.org/x/mod/sumdb/tlog), [Checkpoint] (C2SP tlog-checkpoint in a
// signed note), the lines of an exported log, and [Verify], which works offline
// on nothing but those. It does not keep anything and has no clock: store, its
// neighbour, writes entries in the transaction of the change they tell of.
//
// Its one invariant: the same entry is always the same bytes, and every other
// spelling is refused, so a hash over the bytes is a hash over the meaning.
package audit
