// Package store is the database: an SQLite file, or PostgreSQL for more than one
// server. Both take the same SQL, with $1 placeholders.
//
// It contains the schema and its migrations, all writes ([DB.Change]), the
// chaining of the audit log, the feed of changes that keeps the caches of all
// servers fresh, and all use of database/sql and of SQLite (whose connections are in lite). The packages that own the tables
// define what the rows mean and who may read them.
//
// A [DB] is for whoever writes. Others are handed a piece of it, which writes nothing:
// a [View] to read rows and to compare them with what is known of them, the [AuditLog]
// to read and verify the log, the [Feed] to hear of changes, the [Alarms] to report
// rows and to list what was reported, the [Condition] to tell how the database is.
// Inside, each piece holds the few others that it uses, and none holds the DB, which
// only puts them together.
//
// Invariant: every change and its audit entry are one transaction, and the caller
// gets its result only after the transaction is on disk. Only housekeeping
// ([DB.Housekeep]) writes without an entry.
package store
