// Package notify sends people notices by mail, and hands messages to an SMS gateway.
//
// It owns the table notice, an outbox: a notice is queued in the transaction of the
// change that it reports, so that none is lost and none reports a change that did not
// happen. The callers write the texts. Invariant: a notice is sent at least once or
// marked failed, which the audit log tells, and its row never holds a secret: one that a mail must
// hold is filled in as it is sent. A MAC covers all columns of a row.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/text"
)

// Notice is one message to one address.
type Notice struct {
	// ID is the number of a queued notice.
	ID      int64
	Account int64
	Address string
	Subject string
	Body    string
	// Fill says with what the Sender completes the body as it sends it: a secret, which is in
	// no row. Empty is with nothing.
	Fill string
}

// Filler completes a notice that has a Fill. An error of class Invalid says that it is not to
// be sent any more.
type Filler func(ctx context.Context, n Notice) (Notice, error)

// Moment formats a time for notices.
func Moment(t time.Time) string { return text.Moment(t) }

// Deliver sends one notice. After an error the Sender tries again later, but not where its
// class is Invalid: that notice can never be delivered. Unavailable says that nothing is
// taken now, whatever is sent.
type Deliver func(ctx context.Context, n Notice) error

// Sender sends the notices of the outbox.
type Sender struct {
	outbox  *Outbox
	deliver Deliver
	log     *slog.Logger
	name    func(ctx context.Context, r store.Reader, account int64) string
	fill    Filler
}

// NewSender makes a Sender.
func NewSender(outbox *Outbox, deliver Deliver, log *slog.Logger) *Sender {
	return &Sender{outbox: outbox, deliver: deliver, log: log}
}

// Naming gives the Sender the names of accounts, for the log of what could not be delivered.
func (s *Sender) Naming(name func(ctx context.Context, r store.Reader, account int64) string) *Sender {
	s.name = name
	return s
}

// Filling gives the Sender what completes notices. Without it those that have a Fill wait.
func (s *Sender) Filling(f Filler) *Sender {
	s.fill = f
	return s
}

// send completes and delivers one notice.
func (s *Sender) send(ctx context.Context, n Notice) error {
	if n.Fill == "" {
		return s.deliver(ctx, n)
	}
	if s.fill == nil {
		return failure.New(failure.Unavailable, "Nothing completes the notice.")
	}
	whole, err := s.fill(ctx, n)
	if err != nil {
		return err
	}
	return s.deliver(ctx, whole)
}

const (
	// maxTries is how often a notice is tried, over about a week: a minute after
	// the first time, twice as long each time, and then every four hours.
	maxTries = 50
	longest  = 4 * time.Hour
	// lease is how long one server has for a notice before another may send it: longer
	// than a delivery can last.
	lease = patience + time.Minute
)

// claim takes a notice for this server; false means that another has it.
func (s *Sender) claim(ctx context.Context, r *row) (ours bool, err error) {
	was, o := *r, s.outbox
	if waits, err := o.unsent(ctx, was); err != nil || !waits {
		return false, err // it was sent meanwhile, or as another row of the list
	}
	if o.now().Sub(store.Time(was.created)) >= sendable { // asked last: what was sent is forgotten no earlier
		return false, s.expire(ctx, was)
	}
	r.due = store.Unix(o.now().Add(lease))
	err = o.db.Housekeep(ctx, "notice.claim", func(tx *store.Tx) error {
		ours, err = o.move(ctx, tx, was, r)
		return err
	})
	return ours, err
}

// expire gives up a notice that nobody sent in time, because no server ran or reached the
// database for so long. Nobody remembers whether such a row was sent and put back since, so
// it is not sent; nor is it an alarm, which would be one about each notice after an outage.
func (s *Sender) expire(ctx context.Context, was row) error {
	r, ours := was, false
	r.state = failed
	err := s.outbox.db.Housekeep(ctx, "notice.expired", func(tx *store.Tx) (err error) {
		ours, err = s.outbox.move(ctx, tx, was, &r)
		return err
	})
	if err == nil && ours {
		s.log.Warn("a notice was not sent in time and is given up", "notice", r.ID, "account", r.Account, "queued", store.Time(r.created), "limit", sendable)
	}
	return err
}

// Send sends the notices that are due and returns how many were sent. Where the mail server
// takes nothing it stops with that error, of class Unavailable: only one notice was tried.
func (s *Sender) Send(ctx context.Context) (int, error) {
	list, err := s.outbox.outgoing(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range list {
		r := &list[i]
		ours, err := s.claim(ctx, r)
		if err != nil {
			return n, err
		}
		if !ours {
			continue
		}
		cause := s.send(ctx, r.Notice)
		if cause == nil {
			n++
		} else {
			s.log.Warn("a notice could not be delivered", "notice", r.ID, "try", r.tries+1, "error", cause)
		}
		if err := s.settle(context.WithoutCancel(ctx), r, cause); err != nil { // what was accepted is not sent again
			return n, err
		}
		if failure.ClassOf(cause) == failure.Unavailable {
			return n, cause
		}
	}
	return n, nil
}

// settle writes down what came of a try: what can never be delivered is given up at once, and
// what is refused each time after the last try. What waits for a server waits on, see expire.
func (s *Sender) settle(ctx context.Context, r *row, cause error) error {
	switch {
	case cause == nil:
		return s.outbox.tried(ctx, r, true)
	case failure.ClassOf(cause) == failure.Invalid:
		return s.giveUp(ctx, r, "permanent", cause)
	case r.tries+1 >= maxTries && failure.ClassOf(cause) != failure.Unavailable: // that is not about this one
		return s.giveUp(ctx, r, "tries", cause)
	}
	return s.outbox.tried(ctx, r, false)
}

var errMoved = errors.New("notify: another server has it")

// giveUp marks a notice as failed and says so in the audit log, with what the mail server
// answered: somebody was not told what they were to be told.
func (s *Sender) giveUp(ctx context.Context, r *row, reason string, cause error) error {
	was, o := *r, s.outbox
	r.tries++
	r.state, r.due = failed, store.Unix(o.now())
	err := o.db.Change(ctx, audit.Actor{Name: "system", Via: "mail"}, func(tx *store.Tx) error {
		ours, err := o.move(ctx, tx, was, r)
		if err == nil && !ours {
			err = errMoved
		}
		if err != nil {
			return err
		}
		en := audit.Entry{Event: "notice.undelivered", Outcome: audit.Failed, Reason: reason, Account: r.Account, Application: audit.Self,
			Detail: map[string]string{"answer": Why(cause), "subject": r.Subject}}
		if s.name != nil {
			en.AccountName = s.name(ctx, tx, r.Account)
		}
		return tx.Record(en)
	})
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}

// Why is what an administrator is told of an error of a delivery.
func Why(err error) string {
	if failure.ClassOf(err) == failure.Internal {
		return err.Error()
	}
	return failure.Public(err)
}

// tried writes down how a try went.
func (o *Outbox) tried(ctx context.Context, r *row, did bool) error {
	was, wait := *r, min(time.Minute<<min(r.tries, 8), longest)
	r.tries++
	if did {
		r.state, wait = sent, 0
	}
	r.due = store.Unix(o.now().Add(wait))
	return o.db.Housekeep(ctx, "notice.sent", func(tx *store.Tx) error {
		if did {
			tx.End("notice", r.said(), store.Time(r.created).Add(sendable))
		}
		still, err := o.move(ctx, tx, was, r)
		if err != nil || still || !did {
			return err
		}
		return o.late(ctx, tx, *r)
	})
}

// late writes down that a notice was sent which another server took because that lasted longer
// than the lease: otherwise the row would wait, though it is said to be over.
func (o *Outbox) late(ctx context.Context, tx *store.Tx, sent row) error {
	rows, err := o.read(ctx, tx, `where id = $1`, sent.ID)
	if err != nil || len(rows) == 0 {
		return err
	}
	was := rows[0]
	if !o.bound(&was) || was.said() != sent.said() {
		return nil
	}
	sent.tries = was.tries
	_, err = o.move(ctx, tx, was, &sent)
	return err
}
