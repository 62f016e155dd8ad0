package enrollment

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// Endings ends authenticators inside other rooms' changes, which say why.
type Endings struct {
	credentials *directory.Credentials
	now         func() time.Time
}

func newEndings(p Parts) *Endings { return &Endings{credentials: p.Credentials, now: p.Now} }

// RevokeTx revokes a credential that was read in this transaction, inside
// another room's change, which records it, and keeps by what and by whom. What its
// evidence granted ends with it, because evidence of a revoked authenticator no
// longer counts.
func (ed *Endings) RevokeTx(ctx context.Context, tx *store.Tx, c *directory.Credential, by directory.Cause, whose int64) error {
	if c.Lost() {
		return ed.credentials.Outlive(ctx, tx, *c)
	}
	c.EndAt(ed.now(), directory.CredentialRevoked, by, whose)
	tx.Announce(directory.Topic(c.Account))
	return ed.credentials.Update(ctx, tx, *c)
}

// retire revokes what an account has of a kind, also what is used up: what it showed
// ends with it.
func (ed *Endings) retire(ctx context.Context, tx *store.Tx, account assurance.AccountID, kind string) error {
	rows, err := ed.credentials.All(ctx, tx, account)
	if err != nil {
		return err
	}
	for _, c := range rows {
		if c.Kind == kind && c.Status != directory.CredentialRevoked {
			c.EndAt(ed.now(), directory.CredentialRevoked, directory.ByNewer, 0)
			if err := ed.credentials.Update(ctx, tx, c); err != nil {
				return err
			}
		}
	}
	return nil
}
