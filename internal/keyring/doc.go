// Package keyring seals secrets and authenticates rows.
//
// It holds the root key, the data keys that the root key wraps (table
// wrapped_key), and the format of sealed values and MACs. The packages that own
// the tables say which row a value belongs to. Store keeps the wrapped keys, and
// gets the keys of the audit log from this package.
//
// The chain is: root key (32 bytes, outside the database) -> HKDF-SHA256 ->
// wrapping key -> data keys, one for each purpose and generation -> one sealing
// key for each epoch, and a MAC key. All encryption is AES-256-GCM with random
// nonces.
//
// Invariant: a value that was sealed or authenticated for one purpose, table,
// column, row and account opens and verifies only there.
package keyring
