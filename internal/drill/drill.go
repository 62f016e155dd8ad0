// Package drill attacks a running Countersign, row by row of M1032, and shows
// what was refused.
//
// It owns what a drill is: a stage, which lists components; the attack of each row, which
// is made of moves; the canary accounts; the five proofs and the report. It does not know
// how a component is entered or attacked: each kind has its folder here, brings its doors,
// its moves and how its owner enters, and uses only what an attacker can reach, with code
// of its own. The rows are those of the package attack. Invariant: a proof that was
// not tried never counts as passed, and a drill whose attack does not succeed without
// the guard has failed.
package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/internal/attack"
)

// Plan is one run.
type Plan struct {
	Stage Stage
	Admin Administrator
	// Bed is nil on a deployment.
	Bed Bed
	// Rows are the rows to drill; none means all.
	Rows []string
	// Brief leaves the control and the fail-closed arm out, also where there is a bed: they
	// say nothing of a guard that is missing.
	Brief bool
	// Tell is called with the results of each row when it is done, or nil.
	Tell func([]Result)
	Now  func() time.Time
}

// Run runs the plan. It returns an error only if the run could not begin, or was cut off;
// everything else is in the results: one for each requested row and application that it
// attacked, and one without an application for a row that attacked none.
func Run(ctx context.Context, p Plan) ([]Result, error) {
	for _, id := range p.Rows {
		if _, known := attack.ByID(id); !known {
			return nil, fmt.Errorf("%s is not a row of M1032", id)
		}
	}
	if p.Stage.Patience == 0 {
		p.Stage.Patience = 3 * time.Second
	}
	if err := p.Stage.Check(ctx); err != nil {
		return nil, err
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	var results []Result
	drills := rows()
	for _, of := range attack.Rows() {
		if len(p.Rows) > 0 && !slices.Contains(p.Rows, of.ID) {
			continue
		}
		blank := Result{Row: of.ID, Name: of.Name, Time: p.Now().UTC().Truncate(time.Second), Skipped: "there is no drill for this row yet"}
		made := []Result{blank}
		if i := slices.IndexFunc(drills, func(d row) bool { return d.id == of.ID }); i >= 0 {
			if blank.Skipped = drills[i].lacks(p); blank.Skipped == "" {
				made = p.prove(ctx, drills[i], blank)
			} else {
				made[0].Skipped = blank.Skipped
			}
		}
		results = append(results, made...)
		if p.Tell != nil {
			p.Tell(made)
		}
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}

// Check says why components of the stage cannot be attacked from here: all of them, so that
// they are mended before the first attack.
func (s Stage) Check(ctx context.Context) error {
	var all []error
	for _, c := range s.Components {
		if c.Check == nil {
			continue
		}
		if err := c.Check(ctx); err != nil {
			all = append(all, fmt.Errorf("%s: %w", c.Name, err))
		}
	}
	return errors.Join(all...)
}
