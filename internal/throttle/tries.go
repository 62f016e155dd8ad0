package throttle

import (
	"context"
	"time"

	"countersign/internal/store"
)

// Tries count what is tried at things of which other rooms say how many tries they have.
// The budgets are rows like those of guesses, and bound as they are. It is safe for
// concurrent use.
type Tries struct{ budgets *budgets }

// Tries count for other rooms by these budgets.
func (t *Throttle) Tries() *Tries { return &Tries{t.budgets} }

// Count counts one more try at a subject, such as "recovery/7", and returns which one it
// is. A window is after what time the count begins anew; 0 is never. A row that somebody
// else wrote counts as more than there can be. Nothing ends such a count but its window, so
// that what this server remembers of it is not asked of the log first.
func (t *Tries) Count(ctx context.Context, tx *store.Tx, name string, window time.Duration) (int, error) {
	b := Budget{subjects: []subject{{key: name, window: window, limit: usedUp, reason: "too-many-tries"}}}
	if err := t.budgets.loadSubjects(ctx, tx, b.subjects); err != nil {
		return 0, err
	}
	t.budgets.judge(&b)
	err := t.budgets.hold(ctx, tx, &b, 0)
	return b.subjects[0].count, err
}
