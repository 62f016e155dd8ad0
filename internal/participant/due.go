package participant

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/store"
)

const (
	// lease is how long a server has to tell one that it took, and mostTries how often one is told:
	// five seconds, 20, 80, five minutes, 21 and 85 minutes apart.
	lease      = time.Minute
	firstPause = 5 * time.Second
	mostTries  = 7
)

// SessionEndedTx has every application told that was told of a session, in the change that ends
// it: a protocol that can do so without a browser takes them from [Participants.Due].
func (p *Participants) SessionEndedTx(ctx context.Context, tx *store.Tx, _ assurance.AccountID, number string) error {
	_, err := tx.Exec(ctx, `update participant set due = $2, tries = 0 where session = $1`, number, max(1, store.Unix(tx.Now())))
	return err
}

// Due are those that are to be told now, at most n. One that is taken elsewhere meanwhile is not
// taken again, see [Participants.Take].
func (p *Participants) Due(ctx context.Context, n int) ([]Participant, error) {
	now := store.Unix(p.now())
	return p.read(p.db.Query(ctx, `select `+columns+` from participant where due > 0 and due <= $1 and expires > $1 order by due limit $2`, now, n))
}

// Take has this server tell one, for a minute, and reports whether no other one does. One that is
// not told by then is due again, later each time, and after seven times no more.
func (p *Participants) Take(ctx context.Context, one Participant) (taken bool, err error) {
	err = p.db.Housekeep(ctx, "participant.take", func(tx *store.Tx) error {
		now := tx.Now()
		var tries int64
		if err := tx.QueryRow(ctx, `select tries from participant where id = $1`, one.id).Scan(&tries); err != nil {
			return err
		}
		next := store.Unix(now.Add(max(lease, pauseAfter(tries))))
		if tries+1 >= mostTries {
			next = 0
		}
		n, err := tx.Exec(ctx, `update participant set due = $2, tries = tries + 1 where id = $1 and due > 0 and due <= $3`, one.id, next, store.Unix(now))
		taken = n == 1
		return err
	})
	return taken, err
}

func pauseAfter(tries int64) time.Duration {
	d := firstPause
	for range tries {
		d *= 4
	}
	return d
}

// Settle has one told by nobody but a browser.
func (p *Participants) Settle(ctx context.Context, one Participant) error {
	return p.db.Housekeep(ctx, "participant.settle", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `update participant set due = 0 where id = $1`, one.id)
		return err
	})
}
