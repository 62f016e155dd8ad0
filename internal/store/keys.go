package store

import (
	"errors"

	"golang.org/x/mod/sumdb/note"
)

// AuditKeys are what makes the log tamper-evident.
type AuditKeys struct {
	// MAC authenticates every entry and its number; at least 32 bytes.
	MAC []byte
	// Signer signs checkpoints, and Verifier checks them.
	Signer   note.Signer
	Verifier note.Verifier
	// Origin names this log in its checkpoints; one line.
	Origin string
	// Fresh says that the keys were made and nothing was done with them yet: only then is
	// a log without any trace a new one, and not one that was removed.
	Fresh bool
}

func (k AuditKeys) check() error {
	switch {
	case len(k.MAC) < 32:
		return errors.New("store: the audit MAC key is shorter than 32 bytes")
	case k.Signer == nil || k.Verifier == nil:
		return errors.New("store: the audit keys lack a signer or a verifier")
	case k.Origin == "":
		return errors.New("store: the audit log has no origin")
	}
	return nil
}
