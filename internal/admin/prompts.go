package admin

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// promptDesk is where requests to approve are counted.
type promptDesk struct {
	db        store.Reader
	directory *directory.Directory
	approvals *signin.Approvals
	now       func() time.Time
}

// PromptsShow counts the requests to approve sign-ins elsewhere.
type PromptsShow struct {
	Account string `json:"account,omitempty" arg:"" optional:"" help:"Only those to this account."`
	Days    int    `json:"days,omitempty" help:"The last so many days, today among them: 14 when left out, 90 at most."`
}

// Prompts are the requests to approve, by day, and the accounts that had the worst
// of them.
type Prompts struct {
	Account string           `json:"account,omitempty"`
	Days    []PromptDay      `json:"days"`
	Beset   []PromptsAccount `json:"beset,omitempty"`
}

// PromptDay is one day, UTC.
type PromptDay struct {
	Day string `json:"day"` // 2026-12-01
	signin.Prompted
	Unanswered int64 `json:"unanswered"`
}

// PromptsAccount is one account over all the days.
type PromptsAccount struct {
	Account string `json:"account"`
	signin.Prompted
	Unanswered int64 `json:"unanswered"`
}

// mostBeset is how many accounts are named.
const mostBeset = 20

func (c *PromptsShow) Action() string { return "prompts.show" }
func (c *PromptsShow) Object() string { return "" }

func (c *PromptsShow) Do(ctx context.Context, a *promptDesk, _ signin.Grant) (any, error) {
	days := c.Days
	if days == 0 {
		days = 14
	}
	out := Prompts{}
	var whose assurance.AccountID
	if c.Account != "" {
		d, err := a.directory.Find(ctx, a.db, c.Account)
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
		out.Days = append(out.Days, PromptDay{day, p, p.Unanswered()})
	}
	if c.Account == "" {
		out.Beset, err = a.beset(ctx, days)
	}
	return out, err
}

// beset names the accounts that had the worst of it. One that was removed is left
// out.
func (a *promptDesk) beset(ctx context.Context, days int) ([]PromptsAccount, error) {
	worst, err := a.approvals.Beset(ctx, days, mostBeset)
	if err != nil {
		return nil, err
	}
	var out []PromptsAccount
	for _, w := range worst {
		d, err := a.directory.Get(ctx, a.db, w.Account)
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, PromptsAccount{d.Name, w.Prompted, w.Unanswered()})
	}
	return out, nil
}
