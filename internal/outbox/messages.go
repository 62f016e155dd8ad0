// Package outbox is the codes that are sent, to telephones and by mail: how many may be, to whom and for
// which address, what waits to be carried, and what was sent.
//
// It owns what waits (the table message) and what counts against more (sent), with what each
// server remembers of that. It makes no code and asks for none: the engine (signin) and
// enrollment hand it what an authenticator wrote, in the change that asks for it, and whoever
// runs a server has it carried, by workers of each carrier's own and never in the loop that
// keeps house, because a gateway may take long. Mail to people is notify's, pushes are approval's.
//
// Its one invariant: neither an account nor an address has more codes than the budget, also
// where somebody removes rows; and a message is sealed for one account until one moment, and
// taken by one server at a time.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// How often a code is sent. Each costs money and is a nuisance to whoever did not
// ask for it, so that neither an account nor an address can have more.
const (
	sendPause   = 30 * time.Second // between two to one account
	sendHourly  = 5                // to one account
	sendDaily   = 20               // to one account
	sendSourced = 20               // in an hour, for one address
)

// messageLife is how long a message is tried; a code is not good for longer.
const messageLife = 5 * time.Minute

// Parts are what Messages is made of. Nothing keeps them as they are.
type Parts struct {
	DB       *store.DB
	Keys     *keyring.Keyring
	Accounts *directory.Accounts
	Now      func() time.Time
	Log      *slog.Logger
}

// Messages are the codes on their way to a telephone. It is safe for concurrent use.
type Messages struct {
	db     *store.DB
	keys   *keyring.Keyring
	people *directory.Accounts
	now    func() time.Time
	log    *slog.Logger
	sents  *sents
	in     *language.Shelf // nil is English
}

// Speaking gives Messages the languages that they are written in. Without them they are in
// English.
func (m *Messages) Speaking(in *language.Shelf) { m.in = in }

// New makes Messages. The error is that of reading what this server remembers to have sent
// before a restart.
func New(p Parts) (*Messages, error) {
	s, err := newSents(p)
	return &Messages{db: p.DB, keys: p.Keys, people: p.Accounts, now: p.Now, log: p.Log, sents: s}, err
}

// Sending is for whom and by whom a message is asked for.
type Sending struct {
	Account assurance.AccountID
	// Entry says where and for what in the log: its event, outcome and account are
	// filled in.
	Entry audit.Entry
}

// source is whom the budget of addresses is charged to; empty is nobody.
func (s Sending) source() string {
	a, err := netip.ParseAddr(s.Entry.Source)
	if err != nil {
		return ""
	}
	return throttle.Neighbourhood(a)
}

// Send queues a message in a change, and records that. It reports whether it did:
// whoever had too many gets none.
func (m *Messages) Send(ctx context.Context, tx *store.Tx, s Sending, message authenticator.Message) (bool, error) {
	account, err := m.people.Get(ctx, tx, s.Account)
	if err != nil {
		return false, err
	}
	en := s.Entry
	en.Event, en.Outcome, en.Account, en.AccountName = "code.sent", audit.OK, int64(account.ID), account.Name
	refused, err := m.sents.over(ctx, tx, s.Account, s.source())
	if err != nil {
		return false, err
	}
	if refused != "" {
		en.Event, en.Outcome, en.Reason = "code.not-sent", audit.Refused, refused
		return false, tx.Record(en)
	}
	plain, err := json.Marshal(message.In(m.in.For(account.Language)))
	if err != nil {
		return false, err
	}
	if err := m.sents.insert(ctx, tx, account.ID, s.source()); err != nil {
		return false, err
	}
	now := m.now()
	expires := store.Unix(now.Add(messageLife))
	_, err = tx.Exec(ctx, `insert into message (account, payload, due, expires) values ($1,$2,$3,$4)`, int64(account.ID),
		m.keys.Seal(keyring.Approval, messageAAD(account.ID, expires), plain), store.Unix(now), expires)
	if err != nil {
		return false, err
	}
	return true, tx.Record(en)
}

// Carrier is one way to owners: a gateway, a mail server.
type Carrier struct {
	// Takes says which messages go this way; nil is all of them.
	Takes func(authenticator.Message) bool
	// Carry hands one over. After Invalid it is given up, because the same answer would
	// come again. After Unavailable nothing else goes this way now.
	Carry func(context.Context, authenticator.Message) error
}

// CarryBy delivers what waits for a carrier, and returns how many it took. A message is
// tried three times, ten seconds apart, and is gone when it was taken or is over. One
// worker of one server sends it, so that several may call this at a time. It stops at an
// error of the carrier of class Unavailable, and returns that.
func (m *Messages) CarryBy(ctx context.Context, c Carrier) (taken int, err error) {
	for after := int64(-1 << 63); ; {
		page, err := m.waiting(ctx, `where due <= $1 and id > $2 order by id limit $3`, store.Unix(m.now()), after, carryPage)
		if err != nil {
			return taken, err
		}
		for _, w := range page {
			after = w.id
			did, err := m.carryOne(ctx, w, c)
			if did {
				taken++
			}
			if err != nil {
				return taken, err
			}
		}
		if len(page) < carryPage {
			return taken, nil
		}
	}
}

type waitingMessage struct {
	id, account, tries, expires int64
	payload                     []byte
}

const (
	carryPage  = 50
	carryTries = 3
	carryPause = 10 * time.Second
	// carryLease is how long one worker has for a try before another may take the
	// message: longer than a carrier can take.
	carryLease = 3 * time.Minute
)

// peek reports whether a message is for a carrier. One that cannot be read is for whoever
// comes first, who reports it.
func (m *Messages) peek(w waitingMessage, c Carrier) bool {
	if c.Takes == nil {
		return true
	}
	var message authenticator.Message
	plain, err := m.keys.Open(keyring.Approval, messageAAD(assurance.AccountID(w.account), w.expires), w.payload)
	return err != nil || json.Unmarshal(plain, &message) != nil || c.Takes(message)
}

// take reserves a message for this worker; false means that another has it.
func (m *Messages) take(ctx context.Context, w waitingMessage) (bool, error) {
	var ours int64
	err := m.db.Housekeep(ctx, "message.take", func(tx *store.Tx) (err error) {
		ours, err = tx.Exec(ctx, `update message set tries = tries + 1, due = $3 where id = $1 and tries = $2`, w.id, w.tries, store.Unix(m.now().Add(carryLease)))
		return err
	})
	return ours > 0, err
}

// carryOne hands one message over, and writes down what came of it. The error is of the
// database, or the carrier's where it takes nothing now.
func (m *Messages) carryOne(ctx context.Context, w waitingMessage, c Carrier) (did bool, err error) {
	if !m.peek(w, c) {
		return false, nil
	}
	if ours, err := m.take(ctx, w); err != nil || !ours {
		return false, err
	}
	over := store.Unix(m.now()) >= w.expires
	var message authenticator.Message
	plain, cause := m.plain(w)
	if cause == nil {
		cause = json.Unmarshal(plain, &message)
	}
	if cause == nil && !over {
		cause = c.Carry(ctx, message)
	}
	if cause != nil {
		m.log.Warn("a code could not be sent", "message", w.id, "try", w.tries+1, "error", cause)
	}
	err = m.settle(context.WithoutCancel(ctx), w, cause, over)
	if err == nil && failure.ClassOf(cause) == failure.Unavailable {
		err = cause
	}
	return cause == nil && !over && err == nil, err
}

// settle writes down what came of a try.
func (m *Messages) settle(ctx context.Context, w waitingMessage, cause error, over bool) error {
	drop := func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from message where id = $1`, w.id)
		return err
	}
	final := errors.Is(cause, keyring.ErrSealed) || failure.ClassOf(cause) == failure.Invalid
	switch {
	case errors.Is(cause, errCarried):
		return m.db.Housekeep(ctx, "message.refused", drop)
	case cause == nil && !over:
		return m.db.Housekeep(ctx, "message.sent", func(tx *store.Tx) error {
			tx.End("message", messageName(w.payload), store.Time(w.expires))
			return drop(tx)
		})
	case !final && !over && w.tries+1 < carryTries:
		return m.db.Housekeep(ctx, "message.again", func(tx *store.Tx) error {
			_, err := tx.Exec(ctx, `update message set due = $3 where id = $1 and tries = $2`, w.id, w.tries+1, store.Unix(m.now().Add(carryPause)))
			return err
		})
	}
	return m.db.Change(ctx, audit.Actor{Name: "system", Via: "sms"}, func(tx *store.Tx) error {
		en := m.undelivered(ctx, tx, w, cause)
		if over {
			en.Reason = "late"
		}
		if err := tx.Record(en); err != nil {
			return err
		}
		return drop(tx)
	})
}

// undelivered is the entry of a code that nothing took, with what the carrier answered.
func (m *Messages) undelivered(ctx context.Context, tx *store.Tx, w waitingMessage, cause error) audit.Entry {
	en := audit.Entry{Event: "code.undelivered", Outcome: audit.Failed, Account: w.account, Application: audit.Self, Detail: map[string]string{}}
	if account, err := m.people.Get(ctx, tx, assurance.AccountID(w.account)); err == nil {
		en.AccountName = account.Name
	}
	switch failure.ClassOf(cause) {
	case failure.Internal: // what is not the carrier's is in the server's log
	case failure.Invalid:
		en.Reason, en.Detail["answer"] = "permanent", failure.Public(cause)
	default:
		en.Reason, en.Detail["answer"] = "tries", failure.Public(cause)
	}
	return en
}

const day = 24 * time.Hour

// pageRows is how many rows a sweep reads at once.
const pageRows = 500

// Sweep deletes which codes were sent, once that counts no more.
func (m *Messages) Sweep(ctx context.Context) error {
	return m.db.Housekeep(ctx, "sent.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from sent where at < $1`, store.Unix(m.now().Add(-25*time.Hour)))
		return err
	})
}

// Bind forgets what a release before left of messages: it is over within minutes, or limits
// for a day what nobody gains much by.
func (m *Messages) Bind(ctx context.Context) error {
	return m.db.Housekeep(ctx, "forgetting what is not bound", func(tx *store.Tx) error {
		for _, statement := range []string{`delete from message`, `delete from sent where mac is null`} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget deletes what is kept of an account, inside the change that removes it.
func (m *Messages) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	for _, statement := range []string{`delete from sent where account = $1`, `delete from message where account = $1`} {
		if _, err := tx.Exec(ctx, statement, int64(account)); err != nil {
			return err
		}
	}
	return nil
}
