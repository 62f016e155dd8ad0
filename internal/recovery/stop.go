package recovery

import (
	"context"
	"errors"
	"strconv"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// stopKind is the ticket in the notice that only stops.
const stopKind = "recovery-stop"

func caseText(id int64) []byte { return strconv.AppendInt(nil, id, 10) }

// Stoppable reports whether a code from a notice still stops something.
func (r *Recoveries) Stoppable(ctx context.Context, code string) error {
	_, err := r.Tickets.Peek(ctx, stopKind, code)
	return err
}

// StopByNotice stops the case of a code that its owner was sent, and tells the
// administrators: somebody tried to get in as them.
func (r *Recoveries) StopByNotice(ctx context.Context, code, source string) error {
	return r.DB.Change(ctx, audit.Actor{Name: "recovery", Via: "notice"}, func(tx *store.Tx) error {
		t, err := r.Tickets.TakeIn(ctx, tx, stopKind, code)
		if err != nil {
			return err
		}
		id, err := strconv.ParseInt(string(t.Payload), 10, 64)
		if err != nil {
			return err
		}
		was, err := r.scan(tx.QueryRow(ctx, `select `+caseColumns+` from recovery where id = $1`, id))
		if errors.Is(err, store.ErrNotFound) || err == nil && !was.underWay(r.Now()) {
			return failure.Refuse("unknown-ticket", "That recovery is over already.")
		}
		if err != nil {
			return err
		}
		account, err := r.Directory.Get(ctx, tx, was.Account)
		if err != nil {
			return err
		}
		return r.object(ctx, tx, was, account, audit.Entry{Source: source, Reason: "notice"})
	})
}

// StopOwn stops the case of the grant's account: its owner is signed in, and says
// that they lost nothing.
func (r *Recoveries) StopOwn(ctx context.Context, g signin.Grant) error {
	return r.DB.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		account, err := r.Directory.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		was, err := r.needed(ctx, tx, account)
		if err != nil {
			return err
		}
		return r.object(ctx, tx, was, account, audit.Entry{Source: g.SourceText(), Protocol: g.Protocol(), Attempt: g.Attempt(), Reason: "signed-in"})
	})
}

// object stops a case because its owner says that it is not theirs.
func (r *Recoveries) object(ctx context.Context, tx *store.Tx, was Case, account directory.Account, en audit.Entry) error {
	if err := r.end(ctx, tx, was); err != nil {
		return err
	}
	en.Event, en.Outcome, en.Detail = "alarm.recovery-not-mine", audit.OK, map[string]string{"opener": strconv.FormatInt(int64(was.Opener), 10)}
	if err := tx.Record(was.entry(en, account)); err != nil {
		return err
	}
	opener, err := r.Directory.Get(ctx, tx, was.Opener)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return err
	}
	return r.tellAdministrators(ctx, tx, noticeNotMine(opener, account))
}

func (r *Recoveries) tellAdministrators(ctx context.Context, tx *store.Tx, n notice) error {
	members, err := r.Directory.Administering(ctx, tx, 100)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := r.tell(ctx, tx, m, n); err != nil {
			return err
		}
	}
	return nil
}
