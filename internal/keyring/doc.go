// Package keyring seals secrets and authenticates rows.
//
// It owns the root key, the data keys that the root key wraps (table
// wrapped_key), and the bytes of sealed values and MACs. It does not know what
// it seals; the rooms that own the tables say which row a value belongs to. Its
// neighbours are store, which keeps the wrapped keys and is given the audit
// log's keys by it, and every room that keeps a secret or a row with power.
//
// The chain is: root key (32 bytes, outside the database) -> HKDF-SHA256 ->
// wrapping key -> data keys, one a purpose and several generations -> a sealing
// key an epoch and a MAC key. All encryption is AES-256-GCM with random nonces.
//
// Its one invariant: what was sealed or authenticated for one purpose, table,
// column, row and account opens and verifies for exactly that, and nothing else.
package keyring
