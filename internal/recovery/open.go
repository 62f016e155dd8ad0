package recovery

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
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

// Openings opens cases.
type Openings struct {
	db        *store.DB
	people    *directory.Accounts
	cases     *Cases
	requests  *Requests
	owners    *Owners
	stops     *Stops
	messenger *messenger
	wait      time.Duration
	now       func() time.Time

	opened opened
}

func newOpenings(p Parts, made Pieces) *Openings {
	return &Openings{db: p.DB, people: p.Accounts, cases: made.Cases, requests: made.Requests, owners: made.Owners, stops: made.Stops,
		messenger: newMessenger(p), wait: p.Wait, now: p.Now}
}

// Preflight says what is wrong with an opening, before anybody approves it. It tells
// what exists.
func (op *Openings) Preflight(ctx context.Context, from store.Reader, o Opening) error {
	_, err := op.sound(ctx, from, o)
	return err
}

func (op *Openings) sound(ctx context.Context, from store.Reader, o Opening) (request, error) {
	switch {
	case o.Check == Codes || Words(o.Check) == "":
		return request{}, failure.At("check", failure.New(failure.Invalid, "Say how you made sure who it is: %s.", strings.Join(checkWords(), ", ")))
	case !oneLine(o.Note):
		return request{}, failure.At("note", badNote)
	}
	if err := op.free(ctx, from, o.Account); err != nil {
		return request{}, err
	}
	return op.requests.showing(ctx, from, o.Account.ID, o.Number)
}

// free refuses a second case while something could still come of one.
func (op *Openings) free(ctx context.Context, from store.Reader, account directory.Account) error {
	all, err := op.cases.standing(ctx, from, `account = $1`, account.ID)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Taken == 0 {
			return failure.New(failure.Conflict, "A recovery of %s is under way already. Stop it first, if it is not theirs.", account.Name)
		}
	}
	if lost, err := op.cases.lost(ctx, from, account.ID); err != nil || lost {
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

// OpenTx opens a case for the browser that shows the number, inside a change that
// records it, and tells the owner at every address. Whoever opens it has been
// admitted before.
func (op *Openings) OpenTx(ctx context.Context, tx *store.Tx, opener directory.Account, o Opening) (Case, error) {
	q, err := op.sound(ctx, tx, o)
	if err != nil {
		return Case{}, err
	}
	if err := op.within(ctx, tx, opener); err != nil {
		return Case{}, err
	}
	c := Case{Account: o.Account.ID, Opener: opener.ID, Check: o.Check, Note: strings.TrimSpace(o.Note), Forgotten: o.Forgotten, secret: q.secret}
	now := op.now()
	n, err := op.owners.need(ctx, tx, c, now, now.Add(op.wait))
	if err != nil {
		return Case{}, err
	}
	c.Forgotten, c.Second = n.all, n.second
	tx.AfterCommit(func() { op.opened.note(opener.ID, now) })
	return op.openTx(ctx, tx, opener, o.Account, c)
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
func (ow *Owners) need(ctx context.Context, from store.Reader, c Case, now, later time.Time) (need, error) {
	credentials, err := ow.credentials.All(ctx, from, c.Account)
	if err != nil {
		return need{}, err
	}
	told, err := ow.notified(ctx, from, c.Account)
	if err != nil {
		return need{}, err
	}
	n := need{all: c.Forgotten || directory.ProofRequired(credentials, now, later) != directory.ProofKnown}
	n.second = !told || n.all && c.Check != Codes // which are two things of the owner's own
	return n, nil
}

// mostOpened is how many cases one person opens in a day: more is no help desk.
const mostOpened = 50

func (op *Openings) within(ctx context.Context, tx *store.Tx, opener directory.Account) error {
	var n int64
	err := tx.QueryRow(ctx, `select count(*) from recovery where opener = $1 and opened > $2`, int64(opener.ID), store.Unix(op.now().Add(-24*time.Hour))).Scan(&n)
	if err == nil && max(n, op.opened.count(opener.ID, op.now())) >= mostOpened {
		return failure.Refuse("too-many-recoveries", "You have opened fifty recoveries within a day. Ask somebody else to open this one.")
	}
	return err
}

// Bound is what the Grant of [signin.Recover] must be for: the browser that shows a
// number.
func (s Progress) Bound() string { return "for the browser of number " + s.Number }

// OpenByCodes opens a case for the grant's own account, which brought two codes of
// different routes (SP 800-63B-4 section 4.2). The browser must be the one that the
// grant is for.
func (op *Openings) OpenByCodes(ctx context.Context, g signin.Grant, secret string) (Case, error) {
	var c Case
	err := op.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		q, err := op.requests.scanRequest(ctx, tx.QueryRow(ctx, `select `+requestColumns+` from recovery_request where secret = $1`, hash(secret)))
		if errors.Is(err, store.ErrNotFound) || err == nil && q.account != g.Account() {
			return failure.Refuse("unknown-recovery", "This took too long. Begin again.")
		}
		if err != nil {
			return err
		}
		if !g.Covers(signin.Self, signin.Recover, Progress{Number: q.number}.Bound()) {
			return failure.Refuse("other-action", "That was approved for something else.")
		}
		account, err := op.people.Get(ctx, tx, q.account)
		if err != nil {
			return err
		}
		if err := op.free(ctx, tx, account); failure.ClassOf(err) == failure.Conflict {
			return failure.New(failure.Conflict, "Somebody asked to get back into this account already. If that was not you, use the link in the mail about it, or call your help desk.")
		} else if err != nil {
			return err
		}
		c = Case{Account: account.ID, Opener: account.ID, Check: Codes, Forgotten: true, secret: q.secret}
		n, err := op.owners.need(ctx, tx, c, op.now(), op.now())
		if err != nil {
			return err
		}
		c.Second = n.second
		if c, err = op.openTx(ctx, tx, account, account, c); err != nil {
			return err
		}
		return tx.Record(c.entry(audit.Entry{Event: "recovery.opened", Outcome: audit.OK, Protocol: g.Protocol(), Source: g.SourceText(), Action: g.Action(), Attempt: g.Attempt(),
			Detail: map[string]string{"check": Codes, "forgotten": "true"}}, account))
	})
	return c, err
}

// openTx opens a case for the browser that holds its secret, whose number is typed
// with that.
func (op *Openings) openTx(ctx context.Context, tx *store.Tx, opener, account directory.Account, c Case) (Case, error) {
	if _, err := tx.Exec(ctx, `delete from recovery_request where secret = $1`, c.secret); err != nil {
		return Case{}, err
	}
	tx.End("recovery_request", hex.EncodeToString(c.secret), op.now().Add(requestLife))
	if err := op.stops.FinishTx(ctx, tx, c.Account); err != nil { // an older one gives no pass any more
		return Case{}, err
	}
	now := op.now().Truncate(time.Microsecond)
	c.state, c.Opened, c.Due = stateOpen, now, now.Add(op.wait)
	c.Ends = c.Due.Add(collectLife)
	err := tx.QueryRow(ctx, `insert into recovery (account, secret, opener, checked, note, forgotten, second, state, opened, due, ends, mac)
		values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12) returning id`,
		int64(c.Account), c.secret, int64(c.Opener), c.Check, c.Note, store.Bit(c.Forgotten), store.Bit(c.Second), c.state,
		store.Unix(c.Opened), store.Unix(c.Due), store.Unix(c.Ends), []byte{}).Scan(&c.ID)
	if err != nil {
		return Case{}, err
	}
	if err := numbers.Fresh(op.db.View(), c.ID); err != nil {
		return Case{}, err
	}
	if err := op.cases.write(ctx, tx, c, c); err != nil {
		return Case{}, err
	}
	c.version++
	link, err := op.stops.link(ctx, tx, c, op.wait+stopLife)
	if err != nil {
		return Case{}, err
	}
	return c, op.messenger.tell(ctx, tx, account, noticeOpened(opener, account, c, link))
}
