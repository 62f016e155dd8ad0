package enrollment

import (
	"context"
	"net/netip"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// KeyTerms are what an automation key is good for.
type KeyTerms struct {
	Actions  []string
	Networks []netip.Prefix
	Expires  time.Time
	Label    string
}

// Keys issues automation keys.
type Keys struct {
	credentials *directory.Credentials
	issue       func(t KeyTerms) (string, authenticator.Enrolled, error)
}

func newKeys(p Parts) *Keys { return &Keys{credentials: p.Credentials, issue: p.NewKey} }

// IssueTx adds an automation key to a service account inside another room's
// change. It returns the key's text, which is kept nowhere, and its number.
func (k *Keys) IssueTx(ctx context.Context, tx *store.Tx, account directory.Account, t KeyTerms) (string, int64, error) {
	text, enrolled, err := k.issue(t)
	if err != nil {
		return "", 0, err
	}
	if t.Label == "" {
		t.Label = enrolled.Label
	}
	c, err := k.credentials.Add(ctx, tx, directory.Credential{Account: account.ID, Kind: "apikey", Label: t.Label,
		Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State})
	return text, int64(c.ID), err
}
