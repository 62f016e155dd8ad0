package store

import (
	"errors"

	"golang.org/x/mod/sumdb/note"
)

// AuditKeys are the keys of the audit log.
type AuditKeys struct {
	// MAC authenticates every entry and its number; at least 32 bytes.
	MAC []byte
	// Signer signs checkpoints, and Verifier verifies them.
	Signer   note.Signer
	Verifier note.Verifier
	// Origin is the name of this log in its checkpoints; one line.
	Origin string
	// Fresh is set for keys that were just made. Only then a missing log is a new one;
	// otherwise it was removed.
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
