package admin

import (
	"context"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// guard keeps commands from what nobody may do by them: leave nobody who could administer,
// or have a program deal with somebody who is privileged.
type guard struct {
	directory *directory.Directory
	engine    *signin.Engine
}

// spare refuses, before anybody approves it, a loss after which nobody could
// administer. The same is asked again inside the change.
func (a guard) spare(ctx context.Context, r store.Reader, name string, loss func(assurance.AccountID) signin.Loss) error {
	d, err := a.directory.Find(ctx, r, name)
	if err != nil {
		return err
	}
	return a.engine.SpareAdministration(ctx, r, loss(d.ID))
}

// spareToken is spare for what a token shows of these traits.
func (a guard) spareToken(ctx context.Context, r store.Reader, serial string, traits assurance.Trait) error {
	t, err := a.directory.Token(ctx, r, serial)
	if err != nil || t.State != directory.TokenAssigned {
		return err
	}
	return a.engine.SpareAdministration(ctx, r, signin.Without(t.Account, t.Credential, traits))
}
