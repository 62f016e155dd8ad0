package directory

import (
	"context"
	"strings"
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
	// Query is a part of the name, of the display name or of a mail address.
	Query string
	// Group is the name of a group that it is in, or empty.
	Group string
	// Sort is what the list is sorted by: name, display, mail, created or used, with a - in
	// front for the other way round. Empty is by name.
	Sort string
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

// sorts are what a list can be sorted by. Within what is alike it is sorted by name.
var sorts = map[string]string{
	"": `a.name`, "name": `a.name`, "display": `lower(a.display)`, "created": `a.created`, "used": `a.used`,
	"mail": `coalesce((select min(s.address) from address s where s.account = a.id and s.kind = 'mail'), '')`,
}

// order is what a list is sorted by, and what comes after the account of a name in it ($3).
func (w Which) order() (after, by string, err error) {
	key, backwards := strings.CutPrefix(w.Sort, "-")
	column, known := sorts[key]
	if !known {
		return "", "", failure.At("sort", failure.New(failure.Invalid, "The list is sorted by name, display, mail, created or used, with a - in front for the other way round."))
	}
	way, than := "", ">"
	if backwards {
		way, than = " desc", "<"
	}
	if column == `a.name` {
		return `($3 = '' or a.name ` + than + ` $3)`, `a.name` + way, nil
	}
	last := strings.ReplaceAll(column, "a.", "z.")
	return `($3 = '' or (` + column + `, a.name) ` + than + ` (select ` + last + `, z.name from account z where z.name = $3))`, column + way + `, a.name` + way, nil
}

// ListOf returns accounts in the order that is chosen: those that are chosen, after the
// account of that name, at most limit. A query chooses those whose name, display name or mail
// address contains it.
func (d *Accounts) ListOf(ctx context.Context, r store.Reader, w Which, after string, limit int) ([]Account, error) {
	condition, err := w.condition()
	if err != nil {
		return nil, err
	}
	beyond, by, err := w.order()
	if err != nil {
		return nil, err
	}
	q := "%" + escapeLike(w.Query) + "%"
	return d.list(ctx, r, `select `+accountColumns+` from `+when+` where `+condition+` and `+beyond+`
		and (a.name like $4 escape '!' or lower(a.display) like lower($4) escape '!'
			or exists (select 1 from address e where e.account = a.id and e.kind = 'mail' and lower(e.address) like lower($4) escape '!'))
		and ($6 = '' or exists (select 1 from membership m join team t on t.id = m.team where m.account = a.id and t.name = $6)) order by `+by+` limit $5`,
		store.Unix(w.Woken), store.Unix(w.Now), after, q, limit, w.Group)
}

// CountEach returns how many accounts there are of each state, in their order, in one pass: Woken
// and Now of the Which are meant, and nothing else of it.
func (d *Accounts) CountEach(ctx context.Context, r store.Reader, w Which, states ...string) ([]int64, error) {
	out, into, sums := make([]int64, len(states)), make([]any, len(states)), make([]string, len(states))
	for i, state := range states {
		condition, err := Which{State: state}.condition()
		if err != nil {
			return out, err
		}
		into[i], sums[i] = &out[i], `coalesce(sum(case when `+condition+` then 1 else 0 end), 0)`
	}
	err := r.QueryRow(ctx, `select `+strings.Join(sums, ", ")+` from `+when, store.Unix(w.Woken), store.Unix(w.Now)).Scan(into...)
	return out, err
}
