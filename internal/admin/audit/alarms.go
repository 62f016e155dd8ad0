package audit

import (
	"context"
	"strconv"
	"time"

	"countersign/internal/admin"
	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// TamperedEvent is the entry of each alarm.
const TamperedEvent = store.TamperedEvent

// Alarms lists what was found to be changed in the database from outside, and what no
// administrator has seen yet.
type Alarms struct{}

// AlarmPage is what audit.alarms answers.
type AlarmPage struct {
	// Halted says why nothing is changed any more; empty is all well.
	Halted string  `json:"halted,omitempty"`
	Alarms []Alarm `json:"alarms"`
}

// Alarm is a row that is not as this installation left it. It is not believed.
type Alarm struct {
	Table string `json:"table"`
	Row   string `json:"row"`
	// Wrong is altered, older, missing or returned.
	Wrong string `json:"wrong"`
	// Account is whose it is, and empty for nobody's.
	Account string    `json:"account,omitempty"`
	Since   time.Time `json:"since"`
}

func (c *Alarms) Action() string { return "audit.alarms" }

// Object is empty: nothing is changed.
func (c *Alarms) Object() string { return "" }

func (c *Alarms) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	out := AlarmPage{Halted: a.halted(), Alarms: []Alarm{}}
	all, err := a.db.Alarms().Unseen(ctx)
	for _, one := range all {
		out.Alarms = append(out.Alarms, Alarm{Table: one.Table, Row: one.Row, Wrong: one.Wrong, Account: a.whose(ctx, one.Account), Since: one.At})
	}
	return out, err
}

// halted says why nothing is changed any more.
func (a *desk) halted() string {
	if err := a.db.Condition().Halted(); err != nil {
		return err.Error()
	}
	return ""
}

// whose names an account; one that cannot be read any more by its number.
func (a *desk) whose(ctx context.Context, id int64) string {
	if id == 0 {
		return ""
	}
	if d, err := a.people.Get(ctx, a.db, assurance.AccountID(id)); err == nil {
		return d.Name
	}
	return "number " + strconv.FormatInt(id, 10)
}

// Seen says that somebody has dealt with the alarms. A row that is well in between
// and wrong once more is an alarm again.
type Seen struct {
	Until  string `json:"until,omitempty" help:"Only those up to then, as in 2026-12-01T09:00:00Z; all when left out."`
	Reason string `json:"reason" required:"" help:"What came of it, for the log."`
}

func (c *Seen) Action() string { return "audit.seen" }
func (c *Seen) Object() string {
	what := "all alarms of the database"
	if c.Until != "" {
		what = "the alarms of the database up to " + text.Name(c.Until)
	}
	return admin.WithReason(what, c.Reason)
}

// Tell says which alarms are meant.
func (c *Seen) Tell(_ context.Context, _ *desk, s *admin.Sheet) error {
	if c.Until == "" {
		s.Says("until", "now: all of them")
	}
	return nil
}

func (c *Seen) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	if c.Reason == "" {
		return nil, failure.At("reason", failure.New(failure.Invalid, "Say what came of it."))
	}
	until, err := a.instant("until", c.Until)
	if err != nil {
		return nil, err
	}
	var n int
	err = a.db.Change(ctx, g.Actor(), func(tx *store.Tx) (err error) {
		before := until
		if before.IsZero() {
			before = tx.Now()
		}
		if n, err = a.db.Alarms().See(ctx, tx, before); err != nil {
			return err
		}
		if n == 0 {
			return failure.New(failure.Conflict, "There is no alarm that nobody has seen.")
		}
		return tx.Record(admin.Entry(g, store.SeenEvent, "ok", map[string]string{"reason": c.Reason, "seen": strconv.Itoa(n)}))
	})
	return map[string]int{"seen": n}, err
}
