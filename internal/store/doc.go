// Package store keeps rows: in an SQLite file, or in PostgreSQL when one machine
// is not enough. Both take one SQL text with $1 placeholders.
//
// It owns the schema and its migrations, the one road by which anything is
// written ([DB.Change]), the chain of the audit log, the feed that tells every
// server's memory what changed, and all of database/sql. It knows no meaning:
// what a row says, and whether somebody may read it, is for the rooms that own
// the tables. Its neighbours are audit, whose entries it numbers and chains,
// and every room that keeps something.
//
// Its one invariant: what matters is written only together with an audit entry,
// in one transaction, and the caller is told that it was done only after the
// transaction is on disk.
package store
