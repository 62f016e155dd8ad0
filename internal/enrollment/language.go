package enrollment

import (
	"context"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Languages keeps in which language people are written to.
type Languages struct {
	db     *store.DB
	people *directory.Accounts
}

func newLanguages(p Parts) *Languages { return &Languages{db: p.DB, people: p.Accounts} }

// Set keeps a language, by its BCP 47 tag, as the choice of whoever is signed in. It changes
// what they read and nothing else, so that a session is enough for it.
func (l *Languages) Set(ctx context.Context, g signin.Grant, tag string) error {
	if g.Language() == tag {
		return nil
	}
	return l.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		a, err := l.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		a.Language = tag
		if err := l.people.Update(ctx, tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "account.language-set", Outcome: audit.OK, Account: int64(a.ID), AccountName: a.Name, Application: signin.Self,
			Protocol: g.Protocol(), Source: g.SourceText(), Attempt: g.Attempt(), Detail: map[string]string{"language": tag}})
	})
}
