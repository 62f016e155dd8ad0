package recovery

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"sync/atomic"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/ticket"
)

// requestLife is for how long a browser shows its number: time to be put through.
const requestLife = 30 * time.Minute

// How many browsers may show a number at once: of one source, which refuses its own
// next one, and altogether, which refuses nobody: those of whoever has most make room.
const (
	mostOfSource = 30
	mostAtOnce   = 10_000
	roomEvery    = 256  // requests to one server before it looks how many there are
	roomMade     = 2500 // how many then make room
)

// request is a browser that shows a number. Account 0 is a name that nobody has.
type request struct {
	account assurance.AccountID
	secret  []byte // hash
	number  string
	source  string
	created time.Time
	expires time.Time
}

func (q request) fields() *keyring.Fields {
	return keyring.NewFields().String("recovery_request").Int(int64(q.account)).Bytes(q.secret).String(q.number).String(q.source).Int(store.Unix(q.created)).Int(store.Unix(q.expires))
}

// Requests are the browsers that show a number, which anybody with a name may begin.
type Requests struct {
	db     *store.DB
	keys   *keyring.Keyring
	people *directory.Accounts
	cases  *Cases
	now    func() time.Time

	asked atomic.Int64 // requests to this server
}

func newRequests(p Parts, cases *Cases) *Requests {
	return &Requests{db: p.DB, keys: p.Keys, people: p.Accounts, cases: cases, now: p.Now}
}

// Begin gives a browser a number to read out, and the secret by which it is known
// from then on. A name that nobody has gets one like any other.
func (r *Requests) Begin(ctx context.Context, name string, source netip.Addr) (secret string, s Progress, err error) {
	account, err := r.people.Find(ctx, r.db, name)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return "", s, err
	}
	secret = ticket.NewSecret()
	now := r.now().Truncate(time.Microsecond)
	q := request{account: account.ID, secret: hash(secret), source: throttle.Neighbourhood(source), created: now, expires: now.Add(requestLife)}
	for range 5 { // a number that another browser shows for the same name is drawn again
		if q.number, err = number(); err != nil {
			return "", s, err
		}
		if err = r.ask(ctx, q); !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	return secret, Progress{Number: q.number, Expires: q.expires}, err
}

func number() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	return fmt.Sprintf("%06d", n), err
}

func (r *Requests) ask(ctx context.Context, q request) error {
	return r.db.Housekeep(ctx, "recovery.ask", func(tx *store.Tx) error {
		now := store.Unix(r.now())
		var theirs int64
		if err := tx.QueryRow(ctx, `select count(*) from recovery_request where source = $1 and expires > $2`, q.source, now).Scan(&theirs); err != nil {
			return err
		}
		if theirs >= mostOfSource {
			return failure.Refuse("too-many-browsers", "Too many browsers ask for this from where you are. Try again in half an hour, or call your help desk.")
		}
		if r.asked.Add(1)%roomEvery == 0 {
			if err := r.makeRoom(ctx, tx, now); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `insert into recovery_request (secret, account, number, source, created, expires, mac) values ($1,$2,$3,$4,$5,$6,$7)`,
			q.secret, int64(q.account), q.number, q.source, store.Unix(q.created), store.Unix(q.expires), r.keys.MAC(keyring.Recovery, q.fields()))
		return err
	})
}

// Forget deletes the requests of an account that is being removed, inside the change that
// removes it. Its cases stay, because their openers answer for them.
func (r *Requests) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	_, err := tx.Exec(ctx, `delete from recovery_request where account = $1`, int64(account))
	return err
}

// makeRoom forgets requests when there are very many: first what has run out, then those
// of the sources that have most, the oldest first, and last those from where their
// account was let in before. Whether anybody has the name makes no difference.
func (r *Requests) makeRoom(ctx context.Context, tx *store.Tx, now int64) error {
	if _, err := tx.Exec(ctx, `delete from recovery_request where expires <= $1`, now); err != nil {
		return err
	}
	var all int64
	if err := tx.QueryRow(ctx, `select count(*) from recovery_request`).Scan(&all); err != nil || all < mostAtOnce {
		return err
	}
	_, err := tx.Exec(ctx, `delete from recovery_request where id in (select id from (
		select r.id as id, case when `+throttle.LetIn+` then 1 else 0 end as home,
			count(*) over (partition by r.source) as many from recovery_request r) as ranked order by home, many desc, id limit $1)`, all-mostAtOnce+roomMade)
	return err
}

// Sweep forgets the requests that have run out.
func (r *Requests) Sweep(ctx context.Context) error {
	return r.db.Housekeep(ctx, "recovery.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from recovery_request where expires <= $1`, store.Unix(r.now()))
		return err
	})
}

const requestColumns = `secret, account, number, source, created, expires, mac`

// scanRequest reads a browser. One that is not believed, has run out or was served is
// [store.ErrNotFound].
func (r *Requests) scanRequest(ctx context.Context, row interface{ Scan(...any) error }) (request, error) {
	var q request
	var account, created, expires int64
	var mac []byte
	err := row.Scan(&q.secret, &account, &q.number, &q.source, &created, &expires, &mac)
	if err != nil {
		return q, err
	}
	q.account, q.created, q.expires = assurance.AccountID(account), store.Time(created), store.Time(expires)
	wrong := ""
	switch {
	case !r.keys.VerifyMAC(keyring.Recovery, q.fields(), mac):
		wrong = store.Altered
	case r.db.Over("recovery_request", q.name()):
		if gone, err := r.served(ctx, q); err != nil || gone {
			return request{}, cmp.Or(err, store.ErrNotFound)
		}
		wrong = store.Returned
	case r.now().Before(q.expires):
		return q, nil
	}
	if wrong != "" {
		r.db.Report(store.Finding{Table: "recovery_request", Row: q.name(), Wrong: wrong})
	}
	return request{}, store.ErrNotFound
}

// served reports whether a browser that is over was served since it was read: its row is
// not there any more.
func (r *Requests) served(ctx context.Context, q request) (bool, error) {
	err := r.db.QueryRow(ctx, `select 1 from recovery_request where secret = $1`, q.secret).Scan(new(int64))
	if errors.Is(err, store.ErrNotFound) {
		r.db.View().Doubt("recovery_request", store.NumberOf(q.name()))
		return true, nil
	}
	return false, err
}

// showing returns the browser that shows a number for an account.
func (r *Requests) showing(ctx context.Context, from store.Reader, account assurance.AccountID, number string) (request, error) {
	q, err := r.scanRequest(ctx, from.QueryRow(ctx, `select `+requestColumns+` from recovery_request where account = $1 and number = $2`, int64(account), number))
	if errors.Is(err, store.ErrNotFound) {
		return q, failure.At("number", failure.New(failure.Invalid, "No browser shows that number for this account now. Have them open the page again and read the six digits out once more."))
	}
	return q, err
}

// Progress is how far a browser is.
type Progress struct {
	// Number is what to read out, in six digits, until Expires; empty once somebody
	// has typed it.
	Number  string
	Expires time.Time
	// Case is what was opened for it. It is empty before.
	Case Case
	// Confirm is what to read to a second person, while one can confirm the case.
	Confirm string
}

// Poll returns how far the browser is that holds this secret. One that is not
// known, or whose number has run out, is a NotFound failure.
func (r *Requests) Poll(ctx context.Context, secret string) (Progress, error) {
	h := hash(secret)
	c, err := r.cases.bySecret(ctx, r.db, secret)
	if err == nil {
		s := Progress{Case: c}
		if c.confirmable(r.now()) {
			s.Confirm = r.cases.number(c)
		}
		return s, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return Progress{}, err
	}
	q, err := r.scanRequest(ctx, r.db.QueryRow(ctx, `select `+requestColumns+` from recovery_request where secret = $1`, h))
	if errors.Is(err, store.ErrNotFound) {
		return Progress{}, failure.New(failure.NotFound, "The number of this browser has run out.")
	}
	return Progress{Number: q.number, Expires: q.expires}, err
}
