// Package backup defines the backup format: one file that holds an installation.
//
// It is a gzipped tar archive inside an age file (https://age-encryption.org/v1),
// so that the holder of the key can read it with age and tar, without Countersign.
// In the archive, in this order: manifest.json, root.key unless it was left out,
// and countersign.db.
//
// It reads and writes that format. The command line copies the database, verifies
// it and puts it in place. Invariant: [Read] returns without an error only if every
// byte is the one that [Write] was given, to the end of the file. That does not
// authenticate the writer: anybody who knows a recipient can make a backup for it.
package backup
