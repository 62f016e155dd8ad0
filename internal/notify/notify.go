// Package notify sends people notices by mail, and hands messages to an SMS gateway.
//
// It owns the table notice, an outbox: a notice is queued in the transaction of
// the change that it tells of, so none is lost and none tells of what did not
// happen. It writes no texts; each room has its own. Its one invariant: a
// notice is sent at least once or marked failed, and never holds a secret.
package notify

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// Notice is one message to one address.
type Notice struct {
	// ID numbers it once it is queued.
	ID      int64
	Account int64
	Address string
	Subject string
	Body    string
}

// Queue adds a notice to the outbox inside a change.
func Queue(ctx context.Context, tx *store.Tx, n Notice) error {
	if strings.ContainsAny(n.Address+n.Subject, "\r\n\x00") {
		return failure.New(failure.Invalid, "A mail address or subject cannot have line breaks.")
	}
	now := store.Unix(tx.Now())
	_, err := tx.Exec(ctx, `insert into notice (account, address, subject, body, created, due) values ($1,$2,$3,$4,$5,$5)`, n.Account, n.Address, n.Subject, n.Body, now)
	return err
}

// QueueAll adds a notice for each address.
func QueueAll(ctx context.Context, tx *store.Tx, addresses []string, n Notice) error {
	for _, n.Address = range addresses {
		if err := Queue(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// Moment writes a time as notices have it.
func Moment(t time.Time) string { return t.UTC().Format("15:04 UTC on 2 January 2006") }

// Deliver sends one notice. An error is tried again later.
type Deliver func(ctx context.Context, n Notice) error

// Sender empties the outbox.
type Sender struct {
	DB      *store.DB
	Deliver Deliver
	Now     func() time.Time
	Log     *slog.Logger
}

const (
	// maxTries is how often a notice is tried, over about a week: a minute after
	// the first time, twice as long each time, and then every four hours.
	maxTries = 50
	longest  = 4 * time.Hour
	// lease is how long one server has for a notice before another may send it.
	lease = 2 * time.Minute
)

// claim takes a notice for this server; false means that another has it.
func (s *Sender) claim(ctx context.Context, id, due int64) (bool, error) {
	var n int64
	err := s.DB.Housekeep(ctx, "notice.claim", func(tx *store.Tx) error {
		var err error
		n, err = tx.Exec(ctx, `update notice set due = $3 where id = $1 and due = $2 and state = 'waiting'`, id, due, store.Unix(s.Now().Add(lease)))
		return err
	})
	return n == 1, err
}

// Send sends what is due and returns how many went out.
func (s *Sender) Send(ctx context.Context) (int, error) {
	rows, err := s.DB.Query(ctx, `select id, account, address, subject, body, tries, due from notice where state = 'waiting' and due <= $1 order by id limit 100`, store.Unix(s.Now()))
	if err != nil {
		return 0, err
	}
	type due struct {
		Notice
		id, tries, due int64
	}
	var list []due
	for rows.Next() {
		var d due
		if err := rows.Scan(&d.id, &d.Account, &d.Address, &d.Subject, &d.Body, &d.tries, &d.due); err != nil {
			rows.Close()
			return 0, err
		}
		list = append(list, d)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return 0, err
	}
	sent := 0
	for _, d := range list {
		ours, err := s.claim(ctx, d.id, d.due)
		if err != nil {
			return sent, err
		}
		if !ours {
			continue
		}
		d.ID = d.id
		state, wait := "sent", time.Duration(0)
		if err := s.Deliver(ctx, d.Notice); err != nil {
			s.Log.Warn("a notice could not be delivered", "notice", d.id, "try", d.tries+1, "error", err)
			state, wait = "waiting", min(time.Minute<<min(d.tries, 8), longest)
			if d.tries+1 >= maxTries {
				state = "failed"
			}
		} else {
			sent++
		}
		err = s.DB.Housekeep(ctx, "notice.sent", func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, `update notice set state = $2, tries = tries + 1, due = $3 where id = $1`, d.id, state, store.Unix(s.Now().Add(wait)))
			return err
		})
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
