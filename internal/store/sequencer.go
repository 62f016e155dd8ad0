package store

import (
	"context"

	"countersign/internal/audit"
)

// sequencer numbers and chains the entries that several servers deposited.
type sequencer struct{}

var inboxInserts = insertTexts("audit_inbox (body, mac)", 2)

// deposit leaves entries to be numbered, in the transaction of their change.
func (s *sequencer) deposit(ctx context.Context, run runner, k *AuditKeys, entries []recorded) error {
	if len(entries) == 0 {
		return nil
	}
	auth := audit.NewAuthenticator(k.MAC)
	for i, size := range chunks {
		for len(entries) >= size {
			args := make([]any, 0, size*2)
			for _, e := range entries[:size] {
				args = append(args, e.body, auth.Append(nil, audit.Waiting, e.body))
			}
			if _, err := run.ExecContext(ctx, inboxInserts[i], args...); err != nil {
				return err
			}
			entries = entries[size:]
		}
	}
	return nil
}
