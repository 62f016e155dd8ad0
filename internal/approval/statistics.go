package approval

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// What may become of a request to approve a sign-in elsewhere.
const (
	promptAsked    = "asked"    // a number was shown
	promptPushed   = "pushed"   // an app was woken
	promptApproved = "approved" //
	promptRefused  = "refused"  // with a number, and nothing else
	promptDisowned = "disowned" // "this was not me"
	promptWrong    = "wrong"    // a number under which nothing waits
	promptClosed   = "closed"   // the ladder kept a push back
)

// PromptsKept is for how long requests are counted.
const PromptsKept = 90 * day

// PromptStatistics is what became of requests to approve: how many numbers were shown,
// apps woken, requests approved, refused and disowned, wrong numbers typed, and
// pushes kept back by the ladder.
type PromptStatistics struct {
	Asked    int64 `json:"asked"`
	Pushed   int64 `json:"pushed"`
	Approved int64 `json:"approved"`
	Refused  int64 `json:"refused"`
	Disowned int64 `json:"disowned"`
	Wrong    int64 `json:"wrong_numbers"`
	Closed   int64 `json:"pushes_kept_back"`
}

// Unanswered is how many were neither approved nor refused. One that was asked for
// just before midnight is answered on another day, so a day can have a few less.
func (p PromptStatistics) Unanswered() int64 { return max(0, p.Asked-p.Approved-p.Refused) }

func (p *PromptStatistics) add(what string, n int64) {
	switch what {
	case promptAsked:
		p.Asked += n
	case promptPushed:
		p.Pushed += n
	case promptApproved:
		p.Approved += n
	case promptRefused:
		p.Refused += n
	case promptDisowned:
		p.Disowned += n
	case promptWrong:
		p.Wrong += n
	case promptClosed:
		p.Closed += n
	}
}

// tally counts in the transaction of what is counted.
func tally(ctx context.Context, tx *store.Tx, account assurance.AccountID, what string, now time.Time) error {
	_, err := tx.Exec(ctx, `insert into prompted (account, day, what, n) values ($1,$2,$3,1) on conflict (account, day, what) do update set n = prompted.n + 1`,
		int64(account), dayOf(now), what)
	return err
}

func dayOf(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// Days returns what became of requests on each of the last days, today among them
// and the oldest first: of one account, or of all where it is 0. Days are UTC.
func (a *Approvals) Days(ctx context.Context, account assurance.AccountID, days int) ([]PromptStatistics, error) {
	if days < 1 || days > int(PromptsKept/day) {
		return nil, failure.New(failure.Invalid, "Requests are counted for %d days; choose 1 to %d.", PromptsKept/day, PromptsKept/day)
	}
	first := dayOf(a.now()) - int64(days) + 1
	query, args := `select day, what, cast(sum(n) as bigint) from prompted where day >= $1 group by day, what`, []any{first}
	if account != 0 {
		query, args = `select day, what, n from prompted where day >= $1 and account = $2`, append(args, int64(account))
	}
	out := make([]PromptStatistics, days)
	err := a.counted(ctx, query, args, func(day int64, what string, n int64) {
		if i := day - first; i >= 0 && i < int64(days) {
			out[i].add(what, n)
		}
	})
	return out, err
}

// AccountPrompted is what became of the requests to one account.
type AccountPrompted struct {
	Account assurance.AccountID
	PromptStatistics
}

// Beset returns the accounts with the most requests that were disowned, kept back
// or left unanswered in the last days, the worst first.
func (a *Approvals) Beset(ctx context.Context, days, most int) ([]AccountPrompted, error) {
	first := dayOf(a.now()) - int64(days) + 1
	var out []AccountPrompted
	err := a.counted(ctx, `select p.account, p.what, cast(sum(p.n) as bigint) from prompted p join (
			select account, sum(case what when 'asked' then n when 'approved' then -n when 'refused' then -n when 'disowned' then 100 * n when 'closed' then 10 * n else 0 end) as weight
			from prompted where day >= $1 group by account order by weight desc, account limit $2
		) as worst on worst.account = p.account where p.day >= $1 and worst.weight > 0 group by worst.weight, p.account, p.what order by worst.weight desc, p.account`,
		[]any{first, most}, func(account int64, what string, n int64) {
			if len(out) == 0 || out[len(out)-1].Account != assurance.AccountID(account) {
				out = append(out, AccountPrompted{Account: assurance.AccountID(account)})
			}
			out[len(out)-1].add(what, n)
		})
	return out, err
}

func (a *Approvals) counted(ctx context.Context, query string, args []any, f func(key int64, what string, n int64)) error {
	rows, err := a.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, n int64
		var what string
		if err := rows.Scan(&key, &what, &n); err != nil {
			return err
		}
		f(key, what, n)
	}
	return rows.Err()
}
