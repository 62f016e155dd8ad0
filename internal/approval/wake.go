package approval

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// In how long a time Limits.PushSoon and Limits.PushDaily are counted.
const (
	wakeSoonIn  = 10 * time.Minute
	wakeDailyIn = 24 * time.Hour
)

// Pushes wake the apps of accounts whose sign-ins wait. It is safe for
// concurrent use.
type Pushes struct {
	db          *store.DB
	keys        *keyring.Keyring
	people      *directory.Accounts
	credentials *directory.Credentials
	owners      owners
	limits      throttle.Limits
	quiet       QuietHours // see Parts.Quiet
	now         func() time.Time
	log         *slog.Logger
	kinds       map[string]authenticator.Authenticator
	rows        *Requests
	wakes       *pushQueue
}

// Apps are the credentials that approve on a device of their own, and may.
func (p *Pushes) Apps(all []directory.Credential) []directory.Credential {
	var out []directory.Credential
	for _, c := range all {
		_, ok := p.kinds[c.Kind].(authenticator.Approver)
		if ok && c.Status == directory.CredentialActive && !p.now().Before(c.Quarantine) {
			out = append(out, c)
		}
	}
	return out
}

// Queue asks for the apps of an account to be woken for an approval, unless too much was
// left unanswered or they are quiet now.
func (p *Pushes) Queue(ctx context.Context, tx *store.Tx, account assurance.AccountID, approval int64) error {
	closed, err := p.wakes.closed(ctx, tx, account, p.limits)
	if err != nil {
		return err
	}
	quiet, _, err := p.quietOf(ctx, tx, account)
	if err != nil {
		return err
	}
	state := "waiting"
	switch {
	case closed: // told at any hour
		state = "held"
	case quiet.Cover(p.now()):
		state = "quiet"
	}
	return p.wakes.insert(ctx, tx, queuedPush{approval: approval, account: account, state: state})
}

// WakeUp sends one push to one address. NotFound says that nobody is there any
// more.
type WakeUp func(ctx context.Context, to authenticator.Address) error

// Wake wakes the apps of what waits, and raises the alarm for what is held back.
// A row is taken before anything is sent, so that of several servers one sends,
// and what fails is not tried again: the number is found without it.
func (p *Pushes) Wake(ctx context.Context, send WakeUp) (int, error) {
	list, err := p.wakes.due(ctx)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	defer all.Wait()
	at, sent := make(chan struct{}, 8), 0
	for _, d := range list {
		if d.state == "held" {
			if err := p.held(ctx, d); err != nil {
				return sent, err
			}
			continue
		}
		apps, account, err := p.take(ctx, d)
		if err != nil {
			return sent, err
		}
		for _, c := range apps {
			sent++
			at <- struct{}{}
			all.Go(func() {
				defer func() { <-at }()
				p.send(ctx, account, c, send)
			})
		}
	}
	return sent, nil
}

// take takes a row and returns the apps to wake.
func (p *Pushes) take(ctx context.Context, due queuedPush) ([]directory.Credential, directory.Account, error) {
	var apps []directory.Credential
	var account directory.Account
	err := p.db.Change(ctx, audit.Actor{Name: "system", Via: "push"}, func(tx *store.Tx) error {
		apps = nil
		ours, err := p.wakes.move(ctx, tx, due, "sent")
		if err != nil {
			return err
		}
		if !ours {
			return errPushTaken
		}
		tx.End("wake", sentName(due.approval), p.now().Add(pushOver))
		owner, id := due.account, due.approval
		if account, err = p.people.Get(ctx, tx, owner); err != nil {
			return err
		}
		en := audit.Entry{Event: "push.sent", Outcome: "ok", Account: int64(owner), AccountName: account.Name, Application: audit.Self, Protocol: AppProtocol, Detail: map[string]string{}}
		row, err := p.rows.waiting(ctx, tx, owner, id)
		switch {
		case failure.ClassOf(err) == failure.NotFound || err == nil && row.state != "waiting":
			en.Outcome, en.Reason = "refused", "late"
		case err != nil:
			return err
		default:
			all, err := p.credentials.All(ctx, tx, owner)
			if err != nil {
				return err
			}
			for _, c := range p.Apps(all) {
				if _, ok := p.address(c); ok {
					apps = append(apps, c)
				}
			}
			en.Application, en.Attempt = row.body.Waiting.Application, row.body.Attempt
		}
		if len(apps) > 0 {
			if err := tally(ctx, tx, owner, promptPushed, p.now()); err != nil {
				return err
			}
		}
		en.Detail["apps"] = strconv.Itoa(len(apps))
		return tx.Record(en)
	})
	if failure.ReasonOf(err) == errPushTaken.Reason {
		return nil, account, nil
	}
	return apps, account, err
}

var errPushTaken = &failure.Error{Class: failure.Conflict, Reason: "wake-taken", Public: "Another server sent this push."}

func (p *Pushes) address(c directory.Credential) (authenticator.Address, bool) {
	how, ok := p.kinds[c.Kind].(authenticator.Approver)
	if !ok {
		return authenticator.Address{}, false
	}
	return how.Address(Given(c))
}

// send sends one push and records one that failed. An app that is gone is not
// woken again.
func (p *Pushes) send(ctx context.Context, account directory.Account, c directory.Credential, send WakeUp) {
	to, _ := p.address(c)
	cause := send(ctx, to)
	if cause == nil {
		return
	}
	p.log.Warn("a push message could not be sent", "account", account.Name, "authenticator", int64(c.ID), "error", cause)
	err := p.db.Change(ctx, audit.Actor{Name: "system", Via: "push"}, func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: "push.failed", Outcome: "failed", Reason: failure.ClassOf(cause).String(), Account: int64(account.ID), AccountName: account.Name, Application: audit.Self,
			Protocol: AppProtocol, Detail: map[string]string{"authenticator": c.Kind + "/" + strconv.FormatInt(int64(c.ID), 10), "answer": failure.Public(cause)}})
		if failure.ClassOf(cause) != failure.NotFound {
			return nil
		}
		gone := appCaller{account: account, credential: c, how: p.kinds[c.Kind].(authenticator.Approver)}
		return gone.move(ctx, tx, p.credentials, authenticator.Address{})
	})
	if err != nil {
		p.log.Warn("a failed push could not be recorded", "error", err)
	}
}

// held raises the alarm that pushes are closed, once a day for an account.
func (p *Pushes) held(ctx context.Context, due queuedPush) error {
	owner := due.account
	told, err := p.wakes.told(ctx, owner)
	if err != nil {
		return err
	}
	take := func(tx *store.Tx) error {
		ours, err := p.wakes.move(ctx, tx, due, "told")
		if err == nil && !ours {
			return errPushTaken
		}
		if err != nil {
			return err
		}
		return tally(ctx, tx, owner, promptClosed, p.now())
	}
	if told {
		err = p.db.Housekeep(ctx, "wake.held", take)
	} else {
		err = p.db.Change(ctx, audit.Actor{Name: "system", Via: "push"}, func(tx *store.Tx) error {
			if err := take(tx); err != nil {
				return err
			}
			account, err := p.people.Get(ctx, tx, owner)
			if err != nil {
				return err
			}
			tx.Record(audit.Entry{Event: "alarm.push-flood", Outcome: "ok", Account: int64(owner), AccountName: account.Name, Application: audit.Self, Protocol: AppProtocol})
			return p.owners.tell(ctx, tx, account, noticePushFlood())
		})
	}
	if failure.ReasonOf(err) == errPushTaken.Reason {
		return nil
	}
	return err
}
