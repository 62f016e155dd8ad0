// Package prompts is the command that counts the requests to approve a sign-in elsewhere.
//
// It owns how they are shown, by day and by account. What is counted is signin's. Its one
// invariant: it changes nothing.
package prompts

import (
	"context"
	"time"

	"countersign/internal/admin"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Commands are those about requests to approve, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[Show]("Count the requests to approve sign-ins elsewhere, by day and by what became of them.", Prompts{}).AlsoLent(),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB        *store.DB
	Accounts  *directory.Accounts
	Approvals *approval.Approvals
	Now       func() time.Time
}

// Desk is where the commands are done.
func Desk(p Parts) admin.Desk {
	return admin.At(&desk{p.DB, p.Accounts, p.Approvals, p.Now})
}

type desk struct {
	db        store.Reader
	people    *directory.Accounts
	approvals *approval.Approvals
	now       func() time.Time
}

// Show counts the requests to approve sign-ins elsewhere.
type Show struct {
	Account string `json:"account,omitempty" arg:"" optional:"" help:"Only those to this account."`
	Days    int    `json:"days,omitempty" name:"since" aliases:"days" type:"days" help:"The last so many days, today among them: 14 when left out, 90 at most." said:"How far back, in whole days with today among them: 14d when left out, 90d at most."`
}

// Prompts are the requests to approve, by day, and the accounts that had the worst
// of them.
type Prompts struct {
	Account string    `json:"account,omitempty"`
	Days    []Day     `json:"days"`
	Beset   []Account `json:"beset,omitempty"`
}

// Day is one day, UTC.
type Day struct {
	Day string `json:"day"` // 2026-12-01
	approval.PromptStatistics
	Unanswered int64 `json:"unanswered"`
}

// Account is one account over all the days.
type Account struct {
	Account string `json:"account"`
	approval.PromptStatistics
	Unanswered int64 `json:"unanswered"`
}

// mostBeset is how many accounts are named.
const mostBeset = 20

func (c *Show) Action() string { return "prompts.show" }
func (c *Show) Object() string { return "" }

func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	days := c.Days
	if days == 0 {
		days = 14
	}
	out := Prompts{}
	var whose assurance.AccountID
	if c.Account != "" {
		d, err := a.people.Find(ctx, a.db, c.Account)
		if err != nil {
			return nil, failure.At("account", err)
		}
		out.Account, whose = d.Name, d.ID
	}
	counted, err := a.approvals.Days(ctx, whose, days)
	if err != nil {
		return nil, failure.At("days", err)
	}
	for i, p := range counted {
		day := a.now().UTC().AddDate(0, 0, i-days+1).Format(time.DateOnly)
		out.Days = append(out.Days, Day{day, p, p.Unanswered()})
	}
	if c.Account == "" {
		out.Beset, err = a.beset(ctx, days)
	}
	return out, err
}

// beset names the accounts that had the worst of it. One that was removed is left
// out.
func (a *desk) beset(ctx context.Context, days int) ([]Account, error) {
	worst, err := a.approvals.Beset(ctx, days, mostBeset)
	if err != nil {
		return nil, err
	}
	var out []Account
	for _, w := range worst {
		d, err := a.people.Get(ctx, a.db, w.Account)
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, Account{d.Name, w.PromptStatistics, w.Unanswered()})
	}
	return out, nil
}
