// Package backup is the form of a backup: one file that holds an installation.
//
// It is a gzipped tar archive inside an age file (https://age-encryption.org/v1),
// so that somebody who has the key and no Countersign reads it with age and tar.
// In the archive, in this order: manifest.json, root.key unless it was left out,
// and countersign.db.
//
// It owns that form, both ways. It knows neither what the database says nor where
// anything is kept; the command line copies, verifies and puts in place. It has
// no neighbours. Its one invariant: [Read] returns without an error only if every
// byte is the one that [Write] was given, to the very end of the file. That says
// nothing of who wrote it: whoever knows a recipient can make a backup for it.
package backup
