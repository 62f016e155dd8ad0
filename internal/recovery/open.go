package recovery

import (
	"context"
	"errors"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Opening is what somebody found out about a person who asks to get back in.
type Opening struct {
	Account directory.Account
	// Number is what the person reads from their browser.
	Number string
	// Check is the way in which it was made sure who it is, Note what was seen or the
	// number of a ticket: 1 to 500 characters.
	Check, Note string
	// Forgotten says that they also do not know what they know any more.
	Forgotten bool
}

// Sound says what is wrong with an opening, before anybody approves it. It tells
// what exists.
func (r *Recoveries) Sound(ctx context.Context, from store.Reader, o Opening) error {
	_, err := r.sound(ctx, from, o)
	return err
}

func (r *Recoveries) sound(ctx context.Context, from store.Reader, o Opening) (request, error) {
	switch {
	case o.Check == Codes || Words(o.Check) == "":
		return request{}, failure.At("check", failure.New(failure.Invalid, "Say how you made sure who it is: %s.", strings.Join(checkWords(), ", ")))
	case strings.TrimSpace(o.Note) == "" || len(o.Note) > 500:
		return request{}, failure.At("note", failure.New(failure.Invalid, "Write down what you saw or the number of the ticket, in 1 to 500 characters."))
	}
	_, there, err := r.UnderWay(ctx, from, o.Account.ID)
	if err != nil {
		return request{}, err
	}
	if there {
		return request{}, failure.New(failure.Conflict, "A recovery of %s is under way already. Stop it first, if it is not theirs.", o.Account.Name)
	}
	return r.showing(ctx, from, o.Account.ID, o.Number)
}

func checkWords() []string {
	var out []string
	for _, c := range Checks() {
		out = append(out, c[0])
	}
	return out
}

// OpenIn opens a case for the browser that shows the number, inside a change that
// records it, and tells the owner at every address. Whoever opens it has been
// admitted before.
func (r *Recoveries) OpenIn(ctx context.Context, tx *store.Tx, opener directory.Account, o Opening) (Case, error) {
	q, err := r.sound(ctx, tx, o)
	if err != nil {
		return Case{}, err
	}
	if err := r.within(ctx, tx, opener); err != nil {
		return Case{}, err
	}
	mails, err := r.Directory.Mails(ctx, tx, o.Account.ID)
	if err != nil {
		return Case{}, err
	}
	c := Case{Account: o.Account.ID, Opener: opener.ID, Check: o.Check, Note: strings.TrimSpace(o.Note), Forgotten: o.Forgotten,
		// Nobody replaces both factors alone, or where nobody could object.
		Second: o.Forgotten || len(mails) == 0, secret: q.secret}
	return r.openIn(ctx, tx, opener, o.Account, c)
}

// mostOpened is how many cases one person opens in a day: more is no help desk.
const mostOpened = 50

func (r *Recoveries) within(ctx context.Context, tx *store.Tx, opener directory.Account) error {
	var n int64
	err := tx.QueryRow(ctx, `select count(*) from recovery where opener = $1 and opened > $2`, int64(opener.ID), store.Unix(r.Now().Add(-24*time.Hour))).Scan(&n)
	if err == nil && n >= mostOpened {
		return failure.Refuse("too-many-recoveries", "You have opened fifty recoveries within a day. Ask somebody else to open this one.")
	}
	return err
}

// Bound is what the Grant of [signin.Recover] must be for: the browser that shows a
// number.
func (s Standing) Bound() string { return "for the browser of number " + s.Number }

// OpenByCodes opens a case for the grant's own account, which brought two codes of
// different routes (SP 800-63B-4 section 4.2). The browser must be the one that the
// grant is for.
func (r *Recoveries) OpenByCodes(ctx context.Context, g signin.Grant, secret string) (Case, error) {
	var c Case
	err := r.DB.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		q, err := r.scanRequest(tx.QueryRow(ctx, `select `+requestColumns+` from recovery_request where secret = $1`, hash(secret)))
		if errors.Is(err, store.ErrNotFound) || err == nil && q.account != g.Account() {
			return failure.Refuse("unknown-recovery", "This took too long. Begin again.")
		}
		if err != nil {
			return err
		}
		if !g.Covers(signin.Self, signin.Recover, Standing{Number: q.number}.Bound()) {
			return failure.Refuse("other-action", "That was approved for something else.")
		}
		account, err := r.Directory.Get(ctx, tx, q.account)
		if err != nil {
			return err
		}
		if _, there, err := r.UnderWay(ctx, tx, account.ID); err != nil {
			return err
		} else if there {
			return failure.New(failure.Conflict, "Somebody asked to get back into this account already. If that was not you, use the link in the mail about it, or call your help desk.")
		}
		c, err = r.openIn(ctx, tx, account, account, Case{Account: account.ID, Opener: account.ID, Check: Codes, Forgotten: true, secret: q.secret})
		if err != nil {
			return err
		}
		return tx.Record(c.entry(audit.Entry{Event: "recovery.opened", Outcome: audit.OK, Protocol: g.Protocol(), Source: g.SourceText(), Action: g.Action(), Attempt: g.Attempt(),
			Detail: map[string]string{"check": Codes, "forgotten": "true"}}, account))
	})
	return c, err
}

// openIn opens a case for the browser that holds its secret, whose number is typed
// with that.
func (r *Recoveries) openIn(ctx context.Context, tx *store.Tx, opener, account directory.Account, c Case) (Case, error) {
	if _, err := tx.Exec(ctx, `delete from recovery_request where secret = $1`, c.secret); err != nil {
		return Case{}, err
	}
	now := r.Now().Truncate(time.Microsecond)
	c.state, c.Opened, c.Due = stateOpen, now, now.Add(r.Wait)
	c.Ends = c.Due.Add(collectLife)
	err := tx.QueryRow(ctx, `insert into recovery (account, secret, opener, checked, note, forgotten, second, state, opened, due, ends, mac)
		values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12) returning id`,
		int64(c.Account), c.secret, int64(c.Opener), c.Check, c.Note, store.Bit(c.Forgotten), store.Bit(c.Second), c.state,
		store.Unix(c.Opened), store.Unix(c.Due), store.Unix(c.Ends), []byte{}).Scan(&c.ID)
	if err != nil {
		return Case{}, err
	}
	if err := r.write(ctx, tx, c, c); err != nil {
		return Case{}, err
	}
	link, err := r.Tickets.IssueIn(ctx, tx, ticket.Spec{Kind: stopKind, Owner: int64(c.Account), Payload: caseText(c.ID), Lifetime: c.Ends.Sub(now)})
	if err != nil {
		return Case{}, err
	}
	return c, r.tell(ctx, tx, account, noticeOpened(opener, account, c, r.PublicURL.JoinPath("recovery/stop").String()+"?code="+link))
}

// ConfirmIn is the word of a second person, inside a change that records it: nobody
// has to wait any more. It must not be whoever opened the case, nor its owner.
func (r *Recoveries) ConfirmIn(ctx context.Context, tx *store.Tx, by, account directory.Account) (Case, error) {
	was, err := r.needed(ctx, tx, account)
	if err != nil {
		return was, err
	}
	switch {
	case by.ID == was.Opener, by.ID == was.Account:
		return was, failure.Refuse("second-person", "It takes a second person: neither who opened the recovery nor whose it is.")
	case was.Confirmer != 0:
		return was, failure.New(failure.Conflict, "It was confirmed already.")
	}
	c := was
	c.Confirmer, c.Due = by.ID, r.Now().Truncate(time.Microsecond)
	c.Ends = c.Due.Add(collectLife)
	if err := r.write(ctx, tx, was, c); err != nil {
		return was, err
	}
	return c, r.tell(ctx, tx, account, noticeConfirmed(by, account))
}

// StopIn ends an account's case, if there is one, inside a change that records it.
func (r *Recoveries) StopIn(ctx context.Context, tx *store.Tx, account assurance.AccountID) (stopped bool, err error) {
	was, there, err := r.UnderWay(ctx, tx, account)
	if err != nil || !there {
		return false, err
	}
	return true, r.end(ctx, tx, was)
}
