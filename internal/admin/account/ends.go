package account

import (
	"cmp"
	"context"
	"time"

	"countersign/internal/admin"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// How soon and how late an account can end, from when that is said.
const (
	soonestEnd = time.Minute
	latestEnd  = 366 * 24 * time.Hour
)

// never is how it is said that an account has no end.
const never = "never"

// end is when an account is to end, as it is written: a length of time from when the
// command is done (10m, 24h, 90d), a moment (RFC 3339), or never. An empty one is never.
type end string

// read returns the length of time or the moment that is written; neither is never.
func (e end) read() (after time.Duration, at time.Time, err error) {
	s := string(e)
	if s == "" || s == never {
		return 0, time.Time{}, nil
	}
	if after, err = text.Duration(s); err == nil {
		return after, time.Time{}, inReach(after)
	}
	if at, err = time.Parse(time.RFC3339, s); err == nil && !at.IsZero() { // the zero time is a moment long ago, and not never
		return 0, at.UTC(), nil
	}
	return 0, time.Time{}, failure.At("ends", failure.New(failure.Invalid, "An account ends after a length of time such as 10m, 24h or 90d, at a moment such as 2026-12-31T18:00:00Z, or never."))
}

func inReach(after time.Duration) error {
	if after < soonestEnd || after > latestEnd {
		return failure.At("ends", failure.New(failure.Invalid, "An account ends after a minute at the soonest and after 366 days at the latest."))
	}
	return nil
}

// from returns the moment that is meant by whoever does the command now, in whole seconds;
// zero is never.
func (e end) from(now time.Time) (time.Time, error) {
	after, at, err := e.read()
	switch {
	case err != nil:
		return time.Time{}, err
	case after > 0:
		return now.Add(after).Truncate(time.Second).UTC(), nil
	case at.IsZero():
		return at, nil
	}
	return at.Truncate(time.Second), inReach(at.Sub(now))
}

// words are what an approval says of it. A length of time is approved as one: it counts
// from when the command is done.
func (e end) words() string {
	after, at, err := e.read()
	switch {
	case err != nil:
		return "ends " + text.Quote(string(e))
	case after > 0:
		return "ends " + text.Name(string(e)) + " after this"
	case at.IsZero():
		return "has no end"
	}
	return "ends at " + at.Format(time.RFC3339)
}

// logged is what the log says of an end.
func logged(ends time.Time) string {
	if ends.IsZero() {
		return never
	}
	return ends.UTC().Format(time.RFC3339)
}

// SetEnd says from when on an account gets nothing, or that it has no end. One that has
// ended is an account again by a later end; what it had under way before does not go on.
type SetEnd struct {
	Name            string `json:"name" arg:"" help:"The account."`
	Ends            string `json:"ends" arg:"" help:"When it ends: after a length of time such as 10m, 24h or 90d, at a moment such as 2026-12-31T18:00:00Z, or never."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *SetEnd) Action() string { return "account.set-end" }
func (c *SetEnd) About() *string { return &c.Name }
func (c *SetEnd) Object() string {
	return admin.WithReason(c.Of(c.Name)+" "+end(c.Ends).words(), c.Reason)
}

// Tell says when the account ends until now.
func (c *SetEnd) Tell(ctx context.Context, a *stateDesk, s *admin.Sheet) error {
	d, err := a.people.Find(ctx, a.db, c.Name)
	if err != nil {
		return err
	}
	s.Was("ends", logged(d.Ends))
	s.Says("ends", cmp.Or(c.Ends, never))
	return nil
}

// Preflight says what is wrong with the end, and that somebody would be missed.
func (c *SetEnd) Preflight(ctx context.Context, a *stateDesk) error {
	ends, err := c.at(a.now())
	if err != nil || ends.IsZero() {
		return err
	}
	return a.Spare(ctx, a.db, c.Name, func(id assurance.AccountID) signin.Loss { return signin.Ending(id, ends) })
}

func (c *SetEnd) at(now time.Time) (time.Time, error) {
	if c.Ends == "" {
		return time.Time{}, failure.At("ends", failure.New(failure.Invalid, "Say when the account ends; never takes its end away."))
	}
	return end(c.Ends).from(now)
}

func (c *SetEnd) Do(ctx context.Context, a *stateDesk, g signin.Grant) (any, error) {
	ends, err := c.at(a.now())
	if err != nil {
		return nil, err
	}
	var out Account
	var d directory.Account
	err = a.Change(ctx, g, "account.end-set", map[string]string{"ends": logged(ends), "reason": c.Reason}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.people.Find(ctx, tx, c.Name); err != nil {
			return err
		}
		if d.ID == g.Account() {
			return failure.New(failure.Refused, "You cannot say when you end yourself; ask another administrator.")
		}
		if err := a.setEnd(ctx, tx, g, d, ends); err != nil {
			return err
		}
		if d, err = a.people.Get(ctx, tx, d.ID); err != nil {
			return err
		}
		out, err = a.of(ctx, tx, d)
		return err
	})
	return out, err
}

func (a *stateDesk) setEnd(ctx context.Context, tx *store.Tx, g signin.Grant, d directory.Account, ends time.Time) error {
	if d.Partner != "" {
		return failure.Refuse("partner", "The account of a partner's person ends with what was delegated to them: end the delegation, or delegate again.")
	}
	if err := a.PersonMust(ctx, tx, g.Account(), d.Privileged); err != nil {
		return err
	}
	if !ends.IsZero() {
		if err := a.SpareLoss(ctx, tx, signin.Ending(d.ID, ends)); err != nil {
			return err
		}
	}
	if d.Ended(a.now()) { // nothing that stood before comes back with it
		if err := a.under.endTx(ctx, tx, d.ID); err != nil {
			return err
		}
	}
	d.Ends = ends
	return a.people.Update(ctx, tx, d)
}
