package directory

import (
	"context"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// States that accounts can be listed by, beside [Suspended].
const (
	Dormant           = "dormant"
	Ended             = "ended"
	AtRisk            = "at-risk"
	WithoutTwoFactors = "without-two-factors"
)

// Which chooses accounts. The zero Which is all of them.
type Which struct {
	// Query is a part of the name or of the display name.
	Query string
	// State is Suspended, Dormant, Ended, AtRisk, WithoutTwoFactors, or empty for every one.
	State string
	// Woken is since when an account must have been used to be awake, and Now the moment
	// at which it is asked who has ended.
	Woken, Now time.Time
}

// conditions are what each State means. Those without two factors are people of whom
// nothing that is held, or nothing else, is active; assurance.TwoFactors decides, and this
// finds who it would not be met by. Who has ended stays so until somebody gives them
// another end: neither what they lack nor that nobody uses them is anything to mend.
var conditions = map[string]string{
	"":        `a.id is not null`,
	Suspended: `a.state <> 'active'`,
	AtRisk:    `a.risk > 0`,
	Ended:     hasEnded,
	Dormant:   `a.created < w.woken and a.used < w.woken and not ` + hasEnded,
	WithoutTwoFactors: `a.kind = 'person' and not ` + hasEnded + ` and (
		not exists (select 1 from credential c where c.account = a.id and c.status = 'active' and '+' || c.traits || '+' like '%+held+%')
		or not exists (select 1 from credential c where c.account = a.id and c.status = 'active'
			and ('+' || c.traits || '+' like '%+known+%' or '+' || c.traits || '+' like '%+user-verified+%')))`,
}

const hasEnded = `(a.ends > 0 and a.ends <= w.now)`

// when are the moments of a Which, $1 and $2, whatever its condition reads of them.
const when = `(select cast($1 as bigint) as woken, cast($2 as bigint) as now) w cross join account a`

func (w Which) condition() (string, error) {
	c, ok := conditions[w.State]
	if !ok {
		return "", failure.At("state", failure.New(failure.Invalid, "The state is suspended, dormant, ended, at-risk or without-two-factors."))
	}
	return c, nil
}

// ListOf returns accounts by name: those that are chosen, after the name of that page token,
// at most limit. A query chooses those whose name or display name contains it.
func (d *Accounts) ListOf(ctx context.Context, r store.Reader, w Which, after string, limit int) ([]Account, error) {
	condition, err := w.condition()
	if err != nil {
		return nil, err
	}
	q := "%" + escapeLike(w.Query) + "%"
	return d.list(ctx, r, `select `+accountColumns+` from `+when+` where `+condition+`
		and a.name > $3 and (a.name like $4 escape '!' or lower(a.display) like lower($4) escape '!') order by a.name limit $5`,
		store.Unix(w.Woken), store.Unix(w.Now), after, q, limit)
}

// Count returns how many accounts are chosen. Query does not count.
func (d *Accounts) Count(ctx context.Context, r store.Reader, w Which) (int64, error) {
	condition, err := w.condition()
	if err != nil {
		return 0, err
	}
	var n int64
	err = r.QueryRow(ctx, `select count(*) from `+when+` where `+condition, store.Unix(w.Woken), store.Unix(w.Now)).Scan(&n)
	return n, err
}
