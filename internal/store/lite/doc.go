// Package lite speaks to SQLite below database/sql.
//
// It owns connections to an SQLite file, their prepared statements, and how arguments and
// columns are converted. It does not own the file, its pragmas or its schema, nor which
// statement may run: that is the room store, its one caller. The driver for database/sql, of
// the same library, still migrates and copies the file.
//
// Of a small statement by way of database/sql and that driver four fifths were not SQLite: for
// each query the names and the declared types of all columns were read, and each value went through
// an interface.
//
// Invariant: memory that SQLite is given is SQLite's own, and what a caller gets is a copy, so
// that neither sees the other's.
package lite
