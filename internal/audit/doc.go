// Package audit is a tamper-evident log: its entries, the Merkle tree whose
// leaves they are, the signed checkpoints of that tree, and their verification.
//
// It defines the formats: [Entry] in its canonical form, [Tree] (RFC 6962, with
// golang.org/x/mod/sumdb/tlog), [Checkpoint] (C2SP tlog-checkpoint in a signed
// note) and the lines of an exported log. [Verify] checks an export offline. The
// package stores nothing and has no clock: store writes each entry in the
// transaction of the change that it records.
//
// Invariant: an entry has exactly one encoding, and every other one is refused,
// so a hash of the bytes is a hash of the content.
package audit
