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
	AtRisk            = "at-risk"
	WithoutTwoFactors = "without-two-factors"
)

// Which chooses accounts. The zero Which is all of them.
type Which struct {
	// Query is a part of the name or of the display name.
	Query string
	// State is Suspended, Dormant, AtRisk, WithoutTwoFactors, or empty for every one.
	State string
	// Woken is since when an account must have been used to be awake.
	Woken time.Time
}

// conditions are what each State means, $1 being Woken. Those without two
// factors are people of whom nothing that is held, or nothing else, is active;
// assurance.TwoFactors decides, and this finds who it would not be met by.
var conditions = map[string]string{
	"":        `cast($1 as bigint) is not null`,
	Suspended: `a.state <> 'active' and cast($1 as bigint) is not null`,
	AtRisk:    `a.risk > 0 and cast($1 as bigint) is not null`,
	Dormant:   `a.created < $1 and a.used < $1`,
	WithoutTwoFactors: `cast($1 as bigint) is not null and a.kind = 'person' and (
		not exists (select 1 from credential c where c.account = a.id and c.status = 'active' and '+' || c.traits || '+' like '%+held+%')
		or not exists (select 1 from credential c where c.account = a.id and c.status = 'active'
			and ('+' || c.traits || '+' like '%+known+%' or '+' || c.traits || '+' like '%+user-verified+%')))`,
}

func (w Which) condition() (string, error) {
	c, ok := conditions[w.State]
	if !ok {
		return "", failure.At("state", failure.New(failure.Invalid, "The state is suspended, dormant, at-risk or without-two-factors."))
	}
	return c, nil
}

// List returns accounts by name: those whose name or display name contains
// query, after the name of that page token, at most limit.
func (d *Accounts) List(ctx context.Context, r store.Reader, query, after string, limit int) ([]Account, error) {
	return d.ListOf(ctx, r, Which{Query: query}, after, limit)
}

// ListOf is List for those that are chosen.
func (d *Accounts) ListOf(ctx context.Context, r store.Reader, w Which, after string, limit int) ([]Account, error) {
	condition, err := w.condition()
	if err != nil {
		return nil, err
	}
	q := "%" + escapeLike(w.Query) + "%"
	return d.list(ctx, r, `select `+accountColumns+` from account a where `+condition+`
		and a.name > $2 and (a.name like $3 escape '!' or lower(a.display) like lower($3) escape '!') order by a.name limit $4`,
		store.Unix(w.Woken), after, q, limit)
}

// Count returns how many accounts are chosen. Query does not count.
func (d *Accounts) Count(ctx context.Context, r store.Reader, w Which) (int64, error) {
	condition, err := w.condition()
	if err != nil {
		return 0, err
	}
	var n int64
	err = r.QueryRow(ctx, `select count(*) from account a where `+condition, store.Unix(w.Woken)).Scan(&n)
	return n, err
}
