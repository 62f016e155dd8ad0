package session

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Standing returns what the session of a number holds, for what was issued under it and lives
// as long: until it is ended or its longest time is over. Unlike [Sessions.Active] it takes no
// secret, it neither notes that the session is in use nor minds that nobody used it for a
// while, because no browser is there. A session that is unknown or over is a Refused failure.
func (s *Sessions) Standing(ctx context.Context, number string) (signin.Held, error) {
	if !numbered(number) {
		return signin.Held{}, gone
	}
	r, err := s.rows.byNumber(ctx, number)
	if err != nil && (r == nil || failure.ClassOf(err) != failure.Refused) {
		return signin.Held{}, err
	}
	if !r.ended.IsZero() || !s.now().Before(r.expires) || r.Parent != "" || s.rows.over(r) {
		return signin.Held{}, gone
	}
	return signin.Held{Account: r.Account, Number: r.Number, Own: r.Number, Evidence: r.Evidence, Expires: r.expires, Bound: r.Device != nil}, nil
}

// AllEnded reports whether all sessions of an account that began before a moment were ended
// together since: with a reset of its authenticators, by a report of misuse, or by its owner.
func (s *Sessions) AllEnded(account assurance.AccountID, began time.Time) bool {
	return store.Unix(began) < s.rows.epoch(account)
}
