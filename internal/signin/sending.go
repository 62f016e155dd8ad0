package signin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
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

// Messages are the codes on their way to a telephone. It is safe for concurrent use.
type Messages struct {
	db     *store.DB
	keys   *keyring.Keyring
	people *directory.Accounts
	now    func() time.Time
	log    *slog.Logger
	kinds  map[string]authenticator.Authenticator
	sents  *sents
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

// sent is the code that an attempt waits for.
type sent struct {
	Kind   string
	Memo   authenticator.Memo
	Prompt prompt.Prompt
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
	plain, err := json.Marshal(message)
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

// sends reports whether following a decision will send a code, which is a change.
func (m *Messages) sends(at *attempt, d decision) bool {
	if d.state != Ask || at.Sent != nil && at.Sending == "" {
		return false
	}
	if at.browser() {
		return slices.Contains(d.kinds, at.Sending) // it may have been taken away meanwhile
	}
	return len(d.kinds) > 0 && m.sender(d.kinds[0]) != nil
}

func (m *Messages) sender(kind string) authenticator.Sender {
	how, _ := m.kinds[kind].(authenticator.Sender)
	return how
}

// wants reports whether an answer only asks for a code: the button.
func (m *Messages) wants(at *attempt, a prompt.Answer) bool {
	return a.Text == "" && at.wasAsked(a.Authenticator) && m.sender(a.Authenticator) != nil
}

// ask is the question of a kind whose code is sent: for the code that was, or
// whether to send one. In a browser one is sent when the person presses the button,
// on a line when there is nothing better to ask for. offered is false where a line
// can have none.
func (m *Messages) ask(ctx context.Context, tx *store.Tx, at *attempt, kind string, credentials []directory.Credential) (p prompt.Prompt, memo authenticator.Memo, offered bool, err error) {
	if s := at.Sent; s != nil && s.Kind == kind && at.Sending != kind {
		return s.Prompt, s.Memo, true, nil
	}
	comparable := allGiven(credentials)
	asks := at.Sending == kind || !at.browser() && len(at.Asked) == 0
	if p, memo, err = m.kinds[kind].Ask(comparable, m.now()); err != nil || !asks {
		return p, memo, at.browser(), err
	}
	message, code, fresh, err := m.sender(kind).Send(comparable[0], m.now())
	if err != nil {
		return p, nil, false, err
	}
	en := at.entry(directory.Account{}, "", "", "")
	en.Detail["authenticator"] = kind
	did, err := m.Send(ctx, tx, Sending{Account: at.Account, Entry: en}, message)
	if err != nil {
		return p, nil, false, err
	}
	at.Sending = ""
	if !did {
		if s := at.Sent; s != nil && s.Kind == kind {
			s.Prompt.Hint = "No other code can be sent now. Type the one of before, or use another way."
			return s.Prompt, s.Memo, true, nil
		}
		p.Hint = "No code can be sent now. Try again in a while, or use another way."
		return p, nil, at.browser(), nil
	}
	at.Sent = &sent{Kind: kind, Memo: fresh, Prompt: code}
	return code, fresh, true, nil
}

// Carry delivers what waits, by whatever carries it. A message is tried three
// times, ten seconds apart, and is gone when it was taken or is over. One server
// sends it.
func (m *Messages) Carry(ctx context.Context, carry func(context.Context, authenticator.Message) error) error {
	list, err := m.waiting(ctx, `where due <= $1 order by id limit 50`, store.Unix(m.now()))
	if err != nil {
		return err
	}
	for _, w := range list {
		if err := m.carryOne(ctx, w, carry); err != nil {
			return err
		}
	}
	return nil
}

type waitingMessage struct {
	id, account, tries, expires int64
	payload                     []byte
}

const (
	carryTries = 3
	carryPause = 10 * time.Second
)

func (m *Messages) carryOne(ctx context.Context, w waitingMessage, carry func(context.Context, authenticator.Message) error) error {
	now := m.now()
	var ours int64
	err := m.db.Housekeep(ctx, "message.take", func(tx *store.Tx) (err error) {
		ours, err = tx.Exec(ctx, `update message set tries = tries + 1, due = $3 where id = $1 and tries = $2`, w.id, w.tries, store.Unix(now.Add(carryPause)))
		return err
	})
	if err != nil || ours == 0 {
		return err
	}
	over := store.Unix(now) >= w.expires
	var message authenticator.Message
	plain, err := m.plain(w)
	sealed := errors.Is(err, keyring.ErrSealed)
	if err == nil {
		err = json.Unmarshal(plain, &message)
	}
	if err == nil && !over {
		err = carry(ctx, message)
	}
	if err != nil {
		m.log.Warn("a code could not be sent", "message", w.id, "try", w.tries+1, "error", err)
	}
	drop := func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from message where id = $1`, w.id)
		return err
	}
	switch {
	case errors.Is(err, errCarried):
		return m.db.Housekeep(ctx, "message.refused", drop)
	case err == nil && !over:
		return m.db.Housekeep(ctx, "message.sent", func(tx *store.Tx) error {
			tx.End("message", messageName(w.payload), store.Time(w.expires))
			return drop(tx)
		})
	case !sealed && !over && w.tries+1 < carryTries:
		return nil
	}
	return m.db.Change(ctx, audit.Actor{Name: "system", Via: "sms"}, func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: "code.undelivered", Outcome: audit.Failed, Account: w.account, Application: Self})
		return drop(tx)
	})
}
