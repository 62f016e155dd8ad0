package approval

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/throttle"
)

// OutOfBand is the kind of a prompt that is answered on another device: the
// person types the number that is shown where they sign in, in a browser where
// they prove themselves with a passkey. There is no request to tap, so nobody
// can be worn down by requests, and a number that nobody shows approves nothing
// (ATT&CK T1621). See docs/decisions/0005.
const OutOfBand = "approval"

// Approve is the action of approving a sign-in elsewhere.
const Approve = "sign-in.approve"

// Fresh is how old what is shown for an approval may be.
const Fresh = 5 * time.Minute

const (
	approvalDigits = 6
	approvalLife   = 3 * time.Minute
)

// Waiting is one sign-in that waits to be approved, for its owner to read.
type Waiting struct {
	ID          int64
	Name        string // of the account
	Application string
	Action      string
	Object      string
	// Source is where it was begun, or empty where that is not known. Networks are
	// those of the policy that it is in. Familiar says that the account was let in
	// from there within 30 days.
	Source string
	// Reading is what the owner reads of Action and Object; nil shows the two.
	Reading  *prompt.Reading `json:",omitempty"`
	Networks []string        `json:",omitempty"`
	Familiar bool            `json:",omitempty"`
	Protocol string
	Partner  string
	Created  time.Time
	Expires  time.Time
}

// Text is what is approved, word for word.
func (w Waiting) Text() string {
	from := w.Source
	if from == "" {
		from = "an unknown address"
	}
	what := "sign in to " + w.Application
	if w.Action != "" && w.Action != SignIn {
		what = w.Action + " " + w.Object + " in " + w.Application
	}
	by := w.Protocol
	if w.Partner != "" {
		by += " " + text.OneLine(w.Partner)
	}
	return fmt.Sprintf("request %d: %s, from %s, by %s", w.ID, what, from, by)
}

// Place says in a sentence or two what is known of where it was begun; empty where
// its address is not known.
func (w Waiting) Place() string {
	if w.Source == "" {
		return ""
	}
	known := "You were not let in from there in the last 30 days."
	if w.Familiar {
		known = "You were let in from there within the last 30 days."
	}
	switch len(w.Networks) {
	case 0:
		return known
	case 1:
		return "In the network " + w.Networks[0] + ". " + known
	}
	return "In the networks " + strings.Join(w.Networks, ", ") + ". " + known
}

// Request is one sign-in that waits, or waited, to be approved.
type Request struct {
	id      int64
	account assurance.AccountID
	state   string
	created time.Time
	expires time.Time // zero where another took its place
	body    approvalBody

	find, sealed []byte
	until        time.Time // expires, as it is stored
}

// approvalBody is what is sealed. It names its account and its attempt, so that
// it cannot be moved.
type approvalBody struct {
	Account  assurance.AccountID
	Attempt  string
	Number   string
	Waiting  Waiting
	Evidence *assurance.Evidence `json:",omitempty"`
}

// Asker is the sign-in that waits for an approval, as far as its row tells.
type Asker struct {
	Account  assurance.AccountID
	Attempt  string // its number in the log
	Source   netip.Addr
	Partner  string
	Deadline time.Time
}

// Number is what is typed to approve it.
func (r *Request) Number() string { return r.body.Number }

// Waits reports whether it can be answered still.
func (r *Request) Waits(now time.Time) bool { return r.Unanswered() && now.Before(r.expires) }

// Unanswered reports whether nobody answered it, also where it is late or another took its
// place.
func (r *Request) Unanswered() bool { return r.state == "waiting" }

// Replaced reports whether another took its place.
func (r *Request) Replaced() bool { return r.expires.IsZero() }

// Refused reports whether its owner refused it.
func (r *Request) Refused() bool { return r.state == promptRefused }

// Approved returns what was shown elsewhere, once it was approved and until that was used.
func (r *Request) Approved() (assurance.Evidence, bool) {
	if r.state != promptApproved || r.body.Evidence == nil {
		return assurance.Evidence{}, false
	}
	return *r.body.Evidence, true
}

// Requests are what waits, in the store. Of an account's one waits at a time:
// the last that was opened.
type Requests struct {
	view     store.View
	keys     *keyring.Keyring
	throttle *throttle.Throttle
	limits   throttle.Limits
	now      func() time.Time
	wakes    *pushQueue
}

// find is what a row is found by: whose it is and the number.
func (a *Requests) find(account assurance.AccountID, number string) []byte {
	return a.keys.MAC(keyring.Approval, keyring.NewFields().Int(int64(account)).String(number))
}

func approvalAAD(find []byte, account assurance.AccountID) keyring.AAD {
	return keyring.AAD{Table: "approval", Column: "payload", Key: string(find), Account: int64(account)}
}

// Offered says whether a sign-in may wait. It may not where enough was left
// unanswered, nor where another waits that it cannot take the place of.
func (a *Requests) Offered(ctx context.Context, r store.Reader, by Asker) (bool, error) {
	now := a.now()
	var left int64
	err := r.QueryRow(ctx, `select count(*) from approval where account = $1 and state = 'waiting' and created > $2`,
		int64(by.Account), store.Unix(now.Add(-time.Hour))).Scan(&left)
	if err != nil || left >= int64(a.limits.Unanswered) {
		return false, err
	}
	other, err := a.scan(ctx, r.QueryRow(ctx, `select `+approvalColumns+` from approval where account = $1 and state = 'waiting' order by id desc limit 1`, int64(by.Account)))
	switch {
	case failure.ClassOf(err) == failure.NotFound:
		return true, nil
	case err != nil:
		return false, err
	case !now.Before(other.expires):
		return true, nil
	}
	return a.before(ctx, r, by, other)
}

// before says whether a sign-in takes the place of what waits: where the same
// person began again, as far as anybody can tell, and where the account is at home and
// was not there. So nobody is kept from their own number by a page that they closed,
// nor by somebody elsewhere who has their password.
func (a *Requests) before(ctx context.Context, r store.Reader, by Asker, other *Request) (bool, error) {
	from, _ := netip.ParseAddr(other.body.Waiting.Source) // empty where it is not known
	if throttle.Neighbourhood(by.Source) == throttle.Neighbourhood(from) && (by.Source.IsValid() || by.Partner == other.body.Waiting.Partner) {
		return true, nil
	}
	mine, err := a.throttle.KnownSource(ctx, r, by.Account, by.Source)
	if err != nil || !mine {
		return false, err
	}
	theirs, err := a.throttle.KnownSource(ctx, r, by.Account, from)
	return !theirs, err
}

// Open begins to wait for a sign-in, as its owner is told of it, and returns the
// number to be shown and which row it is.
func (a *Requests) Open(ctx context.Context, tx *store.Tx, by Asker, told Waiting) (number string, id int64, err error) {
	now := a.now()
	expires := now.Add(approvalLife)
	if expires.After(by.Deadline) {
		expires = by.Deadline
	}
	for range 20 {
		n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
		if err != nil {
			return "", 0, err
		}
		number = fmt.Sprintf("%0*d", approvalDigits, n)
		row := Request{account: by.Account, state: "waiting", created: now, until: expires, find: a.find(by.Account, number),
			body: approvalBody{Account: by.Account, Attempt: by.Attempt, Number: number, Waiting: told}}
		if err := a.seal(&row); err != nil {
			return "", 0, err
		}
		err = tx.QueryRow(ctx, `insert into approval (account, number, payload, state, created, expires, mac) values ($1,$2,$3,$4,$5,$6,$7) on conflict do nothing returning id`,
			int64(row.account), row.find, row.sealed, row.state, store.Unix(row.created), store.Unix(row.until), a.mac(&row)).Scan(&id)
		if err == nil {
			return number, id, tally(ctx, tx, by.Account, promptAsked, now)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", 0, err
		}
	}
	return "", 0, failure.New(failure.Unavailable, "Too many sign-ins are waiting.")
}

var noApproval = failure.New(failure.NotFound, "No request has that number. Check the number; it is valid for three minutes.")

// replaced says of a row of approval that another took its place: it waits no longer,
// whatever the row says.
const replaced = `exists (select 1 from approval as later where later.account = approval.account and later.id > approval.id)`

// Of returns the request that a sign-in waits for; one that is not its own is
// NotFound.
func (a *Requests) Of(ctx context.Context, r store.Reader, by Asker, id int64) (*Request, error) {
	row, err := a.scan(ctx, r.QueryRow(ctx, `select `+approvalColumns+` from approval where id = $1 and account = $2`, id, int64(by.Account)))
	if err == nil && row.body.Attempt != by.Attempt {
		return nil, noApproval
	}
	return row, err
}

// Use takes what was approved, once; a second time is a Conflict.
func (a *Requests) Use(ctx context.Context, tx *store.Tx, row *Request) error {
	return a.set(ctx, tx, row, promptApproved, "used")
}

// set moves a row from one state to another, once.
func (a *Requests) set(ctx context.Context, tx *store.Tx, row *Request, from, to string) error {
	tx.End(approvalTable, keyring.SealName(row.sealed), row.created.Add(approvalOver))
	row.state = to
	if err := a.seal(row); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `update approval set state = $2, payload = $3, mac = $4 where id = $1 and state = $5`, row.id, row.state, row.sealed, a.mac(row), from)
	if err == nil && n != 1 {
		return failure.New(failure.Conflict, "This request was already answered.")
	}
	return err
}

// waiting reads one that is not late, of this account.
func (a *Requests) waiting(ctx context.Context, r store.Reader, account assurance.AccountID, id int64) (*Request, error) {
	row, err := a.scan(ctx, r.QueryRow(ctx, `select `+approvalColumns+` from approval where id = $1 and account = $2`, id, int64(account)))
	if err == nil && !a.now().Before(row.expires) {
		return nil, noApproval
	}
	return row, err
}

// settle approves with what was shown, or refuses, once. The entry says
// who and where. What is approved opens pushes again.
func (a *Requests) settle(ctx context.Context, tx *store.Tx, row *Request, shown *assurance.Evidence, en audit.Entry) error {
	state := promptRefused
	if shown != nil {
		state = promptApproved
		if err := a.wakes.end(ctx, tx, row.account); err != nil {
			return err
		}
	}
	row.body.Evidence = shown
	if err := a.set(ctx, tx, row, "waiting", state); err != nil {
		return err
	}
	tx.Announce(topicOf(row.id))
	if err := tally(ctx, tx, row.account, state, a.now()); err != nil {
		return err
	}
	en.Event, en.Outcome, en.Account, en.Application, en.Attempt = "approval."+state, "ok", int64(row.account), row.body.Waiting.Application, row.body.Attempt
	en.Detail["request"] = row.body.Waiting.Text()
	return tx.Record(en)
}
