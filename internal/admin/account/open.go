package account

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/directory"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// openDesk is where what wrong answers closed is opened again.
type openDesk struct {
	admin.Book
	guard.Guard
	shown
	engine *signin.Engine
}

// Open forgets what was guessed wrong at an account's authenticators, so that
// those that too many wrong answers had closed are open again.
type Open struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Reason          string `json:"reason" required:"" help:"How you made sure that it is the owner who asks, for the log."`
	admin.AuditText `embed:""`
}

func (c *Open) Action() string { return "account.open" }
func (c *Open) About() *string { return &c.Name }
func (c *Open) Object() string {
	return admin.WithReason(c.Of(c.Name)+", wrong answers forgotten", c.Reason)
}

func (c *Open) Do(ctx context.Context, a *openDesk, g signin.Grant) (any, error) {
	var d directory.Account
	var out Account
	err := a.Change(ctx, g, "account.opened", map[string]string{"reason": c.Reason}, &d, func(tx *store.Tx) error {
		var err error
		if d, err = a.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
			return err
		}
		if err := a.engine.OpenTx(ctx, tx, d.ID); err != nil {
			return err
		}
		out, err = a.of(ctx, tx, d)
		return err
	})
	return out, err
}
