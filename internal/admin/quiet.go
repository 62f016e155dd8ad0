package admin

import (
	"context"

	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// quietDesk is where quiet hours are taken away.
type quietDesk struct {
	Book
	directory   *directory.Directory
	pushes      *signin.Pushes
	enrollments *enrollment.Enrollments
}

// QuietClear takes away somebody's own quiet hours: whoever had their session may
// have set them, so that nobody hears the phone.
type QuietClear struct {
	Account string `json:"account" arg:"" help:"Whose quiet hours."`
	Reason  string `json:"reason" required:"" help:"Why, for the log."`
	Told    `embed:""`
}

func (c *QuietClear) Action() string { return "quiet.clear" }
func (c *QuietClear) About() *string { return &c.Account }
func (c *QuietClear) Object() string {
	return WithReason("the quiet hours of "+c.Of(c.Account), c.Reason)
}

func (c *QuietClear) Do(ctx context.Context, a *quietDesk, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, "push.quiet-cleared", map[string]string{"reason": c.Reason}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.directory.Find(ctx, tx, c.Account); err != nil {
			return failure.At("account", err)
		}
		there, err := a.pushes.ClearQuietIn(ctx, tx, d.ID)
		if err != nil {
			return err
		}
		if !there {
			return failure.At("account", failure.New(failure.Conflict, "%s has set no quiet hours.", d.Name))
		}
		return a.enrollments.Tell(ctx, tx, d, "Your quiet hours were taken away", "An administrator took your quiet hours away, so that your app is woken as everybody's is.")
	})
	return map[string]string{"cleared": d.Name}, err
}
