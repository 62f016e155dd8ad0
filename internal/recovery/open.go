package recovery

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	case !oneLine(o.Note):
		return request{}, failure.At("note", badNote)
	}
	if err := r.free(ctx, from, o.Account); err != nil {
		return request{}, err
	}
	return r.showing(ctx, from, o.Account.ID, o.Number)
}

// free refuses a second case while something could still come of one.
func (r *Recoveries) free(ctx context.Context, from store.Reader, account directory.Account) error {
	all, err := r.standing(ctx, from, `account = $1`, account.ID)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Taken == 0 {
			return failure.New(failure.Conflict, "A recovery of %s is under way already. Stop it first, if it is not theirs.", account.Name)
		}
	}
	if lost, err := r.lost(ctx, from, account.ID); err != nil || lost {
		return errors.Join(err, lostCase(account))
	}
	return nil
}

var badNote = failure.New(failure.Invalid, "Write down what you saw or the number of the ticket, in one line of 1 to %d characters.", longestNote)

const longestNote = 500

// CheckNote says what is wrong with what somebody wrote for others to read.
func CheckNote(field, note string) error {
	if oneLine(note) {
		return nil
	}
	return failure.At(field, badNote)
}

// oneLine reports whether a note can be shown to somebody as it is: bounded, in one
// line, and without characters that are not seen or that turn the line about.
func oneLine(note string) bool {
	n := len([]rune(note))
	unseen := func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }
	return strings.TrimSpace(note) != "" && n <= longestNote && utf8.ValidString(note) && strings.IndexFunc(note, unseen) < 0
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
	c := Case{Account: o.Account.ID, Opener: opener.ID, Check: o.Check, Note: strings.TrimSpace(o.Note), Forgotten: o.Forgotten, secret: q.secret}
	now := r.now()
	n, err := r.need(ctx, tx, c, now, now.Add(r.wait))
	if err != nil {
		return Case{}, err
	}
	c.Forgotten, c.Second = n.all, n.second
	tx.AfterCommit(func() { r.opened.note(opener.ID, now) })
	return r.openIn(ctx, tx, opener, o.Account, c)
}

// need is what a case takes.
type need struct {
	// all says that it replaces what the person knows as well, second that it takes a
	// second person.
	all, second bool
}

// need says what a case takes at a moment, for the account as it is: nobody replaces
// both factors alone, or where nobody could object. Who comes later than now is asked
// for what is in quarantine until then.
func (r *Recoveries) need(ctx context.Context, from store.Reader, c Case, now, later time.Time) (need, error) {
	credentials, err := r.directory.Credentials(ctx, from, c.Account)
	if err != nil {
		return need{}, err
	}
	told, err := r.told(ctx, from, c.Account)
	if err != nil {
		return need{}, err
	}
	n := need{all: c.Forgotten || directory.AskedBeside(credentials, now, later) != directory.BesideKnown}
	n.second = !told || n.all && c.Check != Codes // which are two things of the owner's own
	return n, nil
}

// told reports whether an account's owner hears of a case, and so can object.
func (r *Recoveries) told(ctx context.Context, from store.Reader, account assurance.AccountID) (bool, error) {
	mails, err := r.directory.Mails(ctx, from, account)
	return r.mailing && len(mails) > 0, err
}

// Told reports whether the owner of a case hears of it.
func (r *Recoveries) Told(ctx context.Context, from store.Reader, c Case) (bool, error) {
	return r.told(ctx, from, c.Account)
}

// mostOpened is how many cases one person opens in a day: more is no help desk.
const mostOpened = 50

func (r *Recoveries) within(ctx context.Context, tx *store.Tx, opener directory.Account) error {
	var n int64
	err := tx.QueryRow(ctx, `select count(*) from recovery where opener = $1 and opened > $2`, int64(opener.ID), store.Unix(r.now().Add(-24*time.Hour))).Scan(&n)
	if err == nil && max(n, r.opened.count(opener.ID, r.now())) >= mostOpened {
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
	err := r.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		q, err := r.scanRequest(ctx, tx.QueryRow(ctx, `select `+requestColumns+` from recovery_request where secret = $1`, hash(secret)))
		if errors.Is(err, store.ErrNotFound) || err == nil && q.account != g.Account() {
			return failure.Refuse("unknown-recovery", "This took too long. Begin again.")
		}
		if err != nil {
			return err
		}
		if !g.Covers(signin.Self, signin.Recover, Standing{Number: q.number}.Bound()) {
			return failure.Refuse("other-action", "That was approved for something else.")
		}
		account, err := r.directory.Get(ctx, tx, q.account)
		if err != nil {
			return err
		}
		if err := r.free(ctx, tx, account); failure.ClassOf(err) == failure.Conflict {
			return failure.New(failure.Conflict, "Somebody asked to get back into this account already. If that was not you, use the link in the mail about it, or call your help desk.")
		} else if err != nil {
			return err
		}
		c = Case{Account: account.ID, Opener: account.ID, Check: Codes, Forgotten: true, secret: q.secret}
		n, err := r.need(ctx, tx, c, r.now(), r.now())
		if err != nil {
			return err
		}
		c.Second = n.second
		if c, err = r.openIn(ctx, tx, account, account, c); err != nil {
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
	tx.End("recovery_request", hex.EncodeToString(c.secret), r.now().Add(requestLife))
	if err := r.FinishIn(ctx, tx, c.Account); err != nil { // an older one gives no pass any more
		return Case{}, err
	}
	now := r.now().Truncate(time.Microsecond)
	c.state, c.Opened, c.Due = stateOpen, now, now.Add(r.wait)
	c.Ends = c.Due.Add(collectLife)
	err := tx.QueryRow(ctx, `insert into recovery (account, secret, opener, checked, note, forgotten, second, state, opened, due, ends, mac)
		values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12) returning id`,
		int64(c.Account), c.secret, int64(c.Opener), c.Check, c.Note, store.Bit(c.Forgotten), store.Bit(c.Second), c.state,
		store.Unix(c.Opened), store.Unix(c.Due), store.Unix(c.Ends), []byte{}).Scan(&c.ID)
	if err != nil {
		return Case{}, err
	}
	if err := numbers.Fresh(r.db, c.ID); err != nil {
		return Case{}, err
	}
	if err := r.write(ctx, tx, c, c); err != nil {
		return Case{}, err
	}
	c.version++
	link, err := r.tickets.IssueIn(ctx, tx, ticket.Spec{Kind: stopKind, Owner: int64(c.Account), Payload: caseText(c.ID), Lifetime: r.wait + stopLife})
	if err != nil {
		return Case{}, err
	}
	return c, r.tell(ctx, tx, account, noticeOpened(opener, account, c, r.publicURL.JoinPath("recovery/stop").String()+"?code="+link))
}
