package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// attempt is one person trying one application by one protocol. Between steps it
// travels in its ticket while nothing was shown, and where the first answer is enough;
// else it is a sealed row, so that any server can go on with it.
type attempt struct {
	ID string // correlation id
	Request
	// SessionNumber names the active session that it began from.
	SessionNumber string
	// Account is fixed by the first evidence or by the session; zero before.
	Account assurance.AccountID
	// Evidence is what this attempt has shown, without what the session holds.
	Evidence []assurance.Evidence
	// Delegated says that an automation key came with the request and serves it:
	// then the approval of its issue stands for membership of administrators.
	Delegated bool
	// Asked are the questions that wait for an answer.
	Asked []asked
	Tries int
	// Approval is the row that it waits for elsewhere, or 0. Transfers says that
	// the person chose to transfer a number.
	Approval  int64
	Transfers bool
	// Replaced says that another attempt took the place of its approval.
	Replaced bool `json:",omitempty"`
	// Sent is the code that was sent for it, or nil. Sending is the kind of which the
	// person asks for one.
	Sent    *sent  `json:",omitempty"`
	Sending string `json:",omitempty"`
	// Once names what was granted and travels in its ticket; it is spent when the
	// attempt is claimed, ends or becomes a row.
	Once     string `json:",omitempty"`
	Created  time.Time
	Deadline time.Time

	seen seen
	// bound says of the session that it came with that it is bound to its device, or may be soon.
	bound bool
	// proved says that an answer before this one, of the same turn, was right.
	proved bool
	// heard says that all of the log was heard in this turn.
	heard bool
	// tallied says that this turn's wrong answer counted for its name.
	tallied bool
	// handle and step are where the row is; handle is nil before the first save. given
	// is the step of which there is a ticket, and sealed with the row: while a ticket is
	// taken, the row is one further. unused says that its ticket is to be used and was not
	// taken: whatever writes the row must find it at this step still.
	handle []byte
	step   int64
	given  int64
	unused bool
}

// asked is one question that was asked, with what its authenticator wants back.
type asked struct {
	Kind string
	Memo authenticator.Memo
}

func newID() string {
	var b [10]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// A row's ticket is its handle and the number of the step it belongs to. Using
// it moves the row to the next step, or away, in one statement that finds it at
// that step or fails, so a ticket is good once and no second table is needed. See
// docs/decisions/0002.
func (at *attempt) ticket() string {
	return base64.RawURLEncoding.EncodeToString(at.handle) + "." + strconv.FormatInt(at.step, 10)
}

func parseTicket(ticket string) (handle []byte, step int64, ok bool) {
	h, s, _ := strings.Cut(ticket, ".")
	handle, err := base64.RawURLEncoding.Strict().DecodeString(h)
	if err != nil || len(handle) != handleSize || len(s) > 4 {
		return nil, 0, false
	}
	step, err = strconv.ParseInt(s, 10, 32)
	return handle, step, err == nil && step > 0 && strconv.FormatInt(step, 10) == s
}

// handleSize gives 144 bits, and with the step a State of 27 octets.
const handleSize = 18

func hashHandle(handle []byte) []byte {
	h := sha256.Sum256(handle)
	return h[:]
}

func attemptAAD() keyring.AAD { return keyring.AAD{Table: "attempt", Column: "payload"} }

// attempts keeps attempts between their steps.
type attempts struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time

	proved proved
}

// saved is what is sealed; the handle's hash is in it so that a payload cannot
// be moved to another row, and the step so that the row cannot be moved to another.
type saved struct {
	Handle  []byte
	Step    int64
	Attempt *attempt
}

// save writes the attempt as its next step, inserting it the first time.
func (a *attempts) save(ctx context.Context, tx *store.Tx, at *attempt) error {
	first := at.handle == nil
	if first {
		if err := a.spend(ctx, tx, at); err != nil {
			return err
		}
		at.handle = make([]byte, handleSize)
		rand.Read(at.handle)
		at.step = 0
	}
	hash := hashHandle(at.handle)
	plain, err := json.Marshal(saved{Handle: hash, Step: at.step + 1, Attempt: at})
	if err != nil {
		return err
	}
	sealed := a.keys.Seal(keyring.Attempt, attemptAAD(), plain)
	from := at.from()
	at.step++
	at.given = at.step
	if len(at.Evidence) > 0 {
		tx.AfterCommit(func() { a.proved.note(hash, at) })
	}
	if first {
		_, err = tx.Expect(ctx, 1, `insert into attempt (handle, step, account, payload, created, expires) values ($1,$2,$3,$4,$5,$6)`,
			hash, at.step, int64(at.Account), sealed, store.Unix(at.Created), store.Unix(at.Deadline))
		return err
	}
	n, err := tx.Expect(ctx, 1, `update attempt set step = $1, account = $2, payload = $3 where handle = $4 and step >= $5 and step <= $6`,
		at.step, int64(at.Account), sealed, hash, from.least, from.most)
	if err == nil && n != 1 {
		return at.gone()
	}
	at.unused = false
	return err
}

// between are the steps at which a row may be found.
type between struct{ least, most int64 }

func (at *attempt) from() between {
	if at.unused {
		return between{at.step, at.step}
	}
	return between{0, 1 << 31}
}

// gone is what a missing row means.
func (at *attempt) gone() error {
	if at.unused {
		return errUsedTicket
	}
	return errLateTicket
}

var (
	errStrayTicket = &failure.Error{Class: failure.Refused, Reason: "unknown-ticket", Public: bland}
	errUsedTicket  = &failure.Error{Class: failure.Refused, Reason: "used-ticket", Public: bland}
	errLateTicket  = &failure.Error{Class: failure.Refused, Reason: "late-ticket", Public: bland}
)

// read reads the attempt of a ticket without using it up.
func (a *attempts) read(ctx context.Context, r store.Reader, ticket string) (*attempt, error) {
	if isSealed(ticket) {
		return a.open(ticket)
	}
	handle, step, ok := parseTicket(ticket)
	if !ok {
		return nil, errStrayTicket
	}
	at, err := a.load(ctx, r, handle)
	if err != nil {
		return nil, err
	}
	if at.step != step || at.given != step {
		return nil, errUsedTicket
	}
	return at, nil
}

func (a *attempts) load(ctx context.Context, r store.Reader, handle []byte) (*attempt, error) {
	at, err := a.scan(r.QueryRow(ctx, `select `+attemptColumns+` from attempt where handle = $1`, hashHandle(handle)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errStrayTicket
	case err != nil:
		return nil, err
	case !a.now().Before(at.Deadline):
		return nil, errLateTicket
	case a.over(at.attempt):
		return nil, a.returned(ctx, at)
	}
	at.handle = handle
	return at.attempt, nil
}

// take uses a ticket up: of any number at once exactly one gets the attempt. A
// sealed one stays good until its deadline, because it is worth nothing.
func (a *attempts) take(ctx context.Context, ticket string) (*attempt, error) {
	if isSealed(ticket) {
		return a.open(ticket)
	}
	handle, step, ok := parseTicket(ticket)
	if !ok {
		return nil, errStrayTicket
	}
	var at *attempt
	err := a.db.Housekeep(ctx, "attempt.take", func(tx *store.Tx) error {
		var err error
		if at, err = a.load(ctx, tx, handle); err != nil {
			return err
		}
		if at.step != step || at.given != step {
			return errUsedTicket
		}
		return a.useUp(ctx, tx, at)
	})
	return at, err
}

// useUp moves the row on from exactly this step, so that one of many takes wins.
func (a *attempts) useUp(ctx context.Context, tx *store.Tx, at *attempt) error {
	step := at.step
	at.step++
	n, err := tx.Expect(ctx, 1, `update attempt set step = $3 where handle = $1 and step = $2`, hashHandle(at.handle), step, at.step)
	if err == nil && n != 1 {
		return errUsedTicket
	}
	return err
}

// forget deletes the row, or spends the grant that travels; where there is neither it
// is no error.
func (a *attempts) forget(ctx context.Context, tx *store.Tx, at *attempt) error {
	if at.handle == nil {
		return a.spend(ctx, tx, at)
	}
	from := at.from()
	a.overTx(tx, at)
	n, err := tx.Exec(ctx, `delete from attempt where handle = $1 and step >= $2 and step <= $3`, hashHandle(at.handle), from.least, from.most)
	if err == nil && n != 1 && at.unused {
		return errUsedTicket
	}
	return err
}

// drop deletes the row at exactly this step, or spends the grant that travels, so that
// one of many claims wins.
func (a *attempts) drop(ctx context.Context, tx *store.Tx, at *attempt) error {
	if at.handle == nil {
		return a.spend(ctx, tx, at)
	}
	a.overTx(tx, at)
	n, err := tx.Expect(ctx, 1, `delete from attempt where handle = $1 and step = $2`, hashHandle(at.handle), at.step)
	if err == nil && n != 1 {
		return errUsedTicket
	}
	return err
}

// memo returns what the question of this kind wants back.
func (at *attempt) memo(kind string) authenticator.Memo {
	for _, a := range at.Asked {
		if a.Kind == kind {
			return a.Memo
		}
	}
	return nil
}

func (at *attempt) wasAsked(kind string) bool {
	for _, a := range at.Asked {
		if a.Kind == kind {
			return true
		}
	}
	return false
}

// browser reports whether the attempt is played on pages, so that its grant is
// claimed and wrong answers may be mended in place.
func (at *attempt) browser() bool { return at.Medium.Can(prompt.Browser) }

func (at *attempt) requester() throttle.Requester {
	return throttle.Requester{Origin: at.origin(), Account: at.Account, Name: at.Name, Session: at.SessionNumber != "", Shown: at.proved || len(at.Evidence) > 0, Heard: at.heard}
}

func (r Request) origin() throttle.Origin {
	return throttle.Origin{Source: r.Source, Application: r.Application, Partner: r.Partner, Browser: r.Browser}
}

func (at *attempt) sighting() throttle.Sighting {
	en := at.entry(directory.Account{}, "", audit.OK, "")
	en.AccountName = ""
	return throttle.Sighting{Source: at.Source, Entry: en}
}
