package enrollment

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// PassDefault is for how long a temporary access pass is good unless it is said;
// [signin.PassCeiling] is the most.
const PassDefault = time.Hour

// Passes issues temporary access passes.
type Passes struct {
	credentials *directory.Credentials
	endings     *Endings
	issue       func(now time.Time, lifetime time.Duration) (string, authenticator.Enrolled, error)
	now         func() time.Time
}

func newPasses(p Parts) *Passes {
	return &Passes{credentials: p.Credentials, endings: newEndings(p), issue: p.NewPass, now: p.Now}
}

// EndTx revokes every pass of an account inside another room's change, and with
// them what came of those that were used.
func (p *Passes) EndTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	tx.Announce(directory.Topic(account))
	return p.endings.retire(ctx, tx, account, "accesspass")
}

// IssueTx replaces the account's access pass by a new one inside another room's
// change, and returns what the person types.
func (p *Passes) IssueTx(ctx context.Context, tx *store.Tx, account directory.Account, lifetime time.Duration) (string, time.Time, error) {
	if lifetime <= 0 {
		lifetime = PassDefault
	}
	if lifetime > signin.PassCeiling {
		return "", time.Time{}, failure.New(failure.Invalid, "A pass may live for %s at most.", signin.PassCeiling)
	}
	if err := p.endings.retire(ctx, tx, account.ID, "accesspass"); err != nil {
		return "", time.Time{}, err
	}
	shown, enrolled, err := p.issue(p.now(), lifetime)
	if err != nil {
		return "", time.Time{}, err
	}
	_, err = p.credentials.Add(ctx, tx, directory.Credential{Account: account.ID, Kind: "accesspass", Label: "Temporary access pass",
		Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State})
	return shown, p.now().Add(lifetime), err
}
