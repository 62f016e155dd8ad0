// Package quiet is the command that takes somebody's quiet hours away.
//
// It owns that its owner is told. Quiet hours are signin's. Its one invariant: they are
// taken away, and never set, for somebody else.
package quiet

import (
	"context"

	"countersign/internal/admin"
	"countersign/internal/approval"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about quiet hours, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Changes[Clear]("Take away the quiet hours that somebody has set, so that everybody's count.", map[string]string{}).AlsoLent().
			Telling("push.quiet-cleared", "{by} took away the quiet hours of {who}: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB       *store.DB
	Accounts *directory.Accounts
	Pushes   *approval.Pushes
	Notices  *enrollment.Notices
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{admin.NewBook(p.DB), p.Accounts, p.Pushes, p.Notices})
}

type desk struct {
	admin.Book
	people  *directory.Accounts
	pushes  *approval.Pushes
	notices *enrollment.Notices
}

// Clear takes away somebody's own quiet hours: whoever had their session may
// have set them, so that nobody hears the phone.
type Clear struct {
	Account         string `json:"account" arg:"" help:"Whose quiet hours."`
	Reason          string `json:"reason" required:"" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Clear) Action() string { return "quiet.clear" }
func (c *Clear) About() *string { return &c.Account }
func (c *Clear) Object() string {
	return admin.WithReason("the quiet hours of "+c.Of(c.Account), c.Reason)
}

func (c *Clear) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, "push.quiet-cleared", map[string]string{"reason": c.Reason}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return failure.At("account", err)
		}
		there, err := a.pushes.ClearQuietTx(ctx, tx, d.ID)
		if err != nil {
			return err
		}
		if !there {
			return failure.At("account", failure.New(failure.Conflict, "%s has set no quiet hours.", d.Name))
		}
		return a.notices.Tell(ctx, tx, d, language.Say("Your quiet hours were taken away"), language.Say("An administrator took your quiet hours away, so that your app is woken as everybody's is."))
	})
	return map[string]string{"cleared": d.Name}, err
}
