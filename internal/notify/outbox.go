package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/store"
)

// Outbox is the table notice. A MAC covers all columns, so that somebody with write access
// to the database cannot send mail in our name. A server remembers what it queued until it
// was sent, and queues a notice again that was removed, or marked as sent, from outside. It
// is safe for concurrent use.
type Outbox struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
	own  queued
	in   *language.Shelf // nil is English
}

// Speaking gives the Outbox the languages that it writes in. Without them it writes English.
func (o *Outbox) Speaking(in *language.Shelf) *Outbox {
	o.in = in
	return o
}

// Letter is a notice that is not written in a language yet.
type Letter struct {
	Account int64
	// Language is the tag of the account's; without it, and where it is not there, the letter
	// is in the installation's own.
	Language      string
	Subject, Body language.Sentence
}

// Write writes a letter. Its address is added by whoever queues it.
func (o *Outbox) Write(l Letter) Notice {
	in := o.in.For(l.Language)
	return Notice{Account: l.Account, Subject: in.Tell(l.Subject), Body: in.Tell(l.Body)}
}

// NewOutbox makes one. What was queued before a restart it knows by number.
func NewOutbox(db *store.DB, keys *keyring.Keyring, now func() time.Time) (*Outbox, error) {
	o := &Outbox{db: db, keys: keys, now: now}
	kept, err := db.KeepOutside("notices", o.own.bytes)
	if err != nil {
		return nil, err
	}
	return o, o.own.restore(kept)
}

const (
	waiting = "waiting"
	sent    = "sent"
	failed  = "failed"
)

// row is a row of notice.
type row struct {
	Notice
	created, due, tries int64
	state               string
	mac                 []byte
}

const columns = `id, account, address, subject, body, fill, created, due, tries, state, mac`

// fields are what a row's MAC is of. Its number is not known before it is written: two rows
// that say the same are told apart by what was sent already.
func (r *row) fields() *keyring.Fields {
	f := keyring.NewFields().String("notice").Int(r.Account).String(r.Address).String(r.Subject).String(r.Body).Int(r.created).Int(r.due).Int(r.tries).String(r.state)
	if r.Fill != "" { // a list of more fields is another one, so that neither adding nor taking it away verifies
		f.String(r.Fill)
	}
	return f
}

// said names what a notice says, to whom and since when.
func (r *row) said() string {
	said := fmt.Sprintf("%d %q %q %q %d", r.Account, r.Address, r.Subject, r.Body, r.created)
	if r.Fill != "" {
		said += " " + r.Fill
	}
	return strconv.FormatInt(store.NumberOf(said), 36)
}

func (o *Outbox) mac(r *row) []byte { return o.keys.MAC(keyring.Notice, r.fields()) }

// bound reports whether we wrote a row, and reports one that somebody else wrote.
func (o *Outbox) bound(r *row) bool {
	if o.keys.VerifyMAC(keyring.Notice, r.fields(), r.mac) {
		return true
	}
	o.report(r.ID, 0, store.Altered) // whose it is, it does not say truly
	return false
}

func (o *Outbox) report(id, account int64, wrong string) {
	o.db.Report(store.Finding{Table: "notice", Row: strconv.FormatInt(id, 10), Wrong: wrong, Account: account})
}

func (o *Outbox) read(ctx context.Context, r store.Reader, where string, args ...any) (out []row, err error) {
	rows, err := r.Query(ctx, `select `+columns+` from notice `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.ID, &r.Account, &r.Address, &r.Subject, &r.Body, &r.Fill, &r.created, &r.due, &r.tries, &r.state, &r.mac); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// Queue queues a notice inside a change.
func (o *Outbox) Queue(ctx context.Context, tx *store.Tx, n Notice) error {
	if strings.ContainsAny(n.Address+n.Subject, "\r\n\x00") {
		return failure.New(failure.Invalid, "A mail address or subject cannot have line breaks.")
	}
	now := store.Unix(tx.Now())
	return o.insert(ctx, tx, row{Notice: n, created: now, due: now, state: waiting})
}

func (o *Outbox) insert(ctx context.Context, tx *store.Tx, r row) error {
	err := tx.QueryRow(ctx, `insert into notice (account, address, subject, body, fill, created, due, tries, state, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) returning id`,
		r.Account, r.Address, r.Subject, r.Body, r.Fill, r.created, r.due, r.tries, r.state, o.mac(&r)).Scan(&r.ID)
	if err == nil {
		tx.AfterCommit(func() { o.own.add(r) })
	}
	return err
}

// QueueAll queues a notice for each address.
func (o *Outbox) QueueAll(ctx context.Context, tx *store.Tx, addresses []string, n Notice) error {
	for _, n.Address = range addresses {
		if err := o.Queue(ctx, tx, n); err != nil {
			return err
		}
	}
	return nil
}

// Notified reports whether an account was sent the same notice since a time. It ignores rows
// with an invalid MAC, which could keep the owner from being told.
func (o *Outbox) Notified(ctx context.Context, r store.Reader, n Notice, since time.Time) (bool, error) {
	rows, err := o.read(ctx, r, `where account = $1 and subject = $2 and created > $3`, n.Account, n.Subject, store.Unix(since))
	for i := range rows {
		if o.bound(&rows[i]) {
			return true, nil
		}
	}
	return false, err
}

// FilledSince counts the notices with a Fill that an address was sent, or is to be, since a
// time.
func (o *Outbox) FilledSince(ctx context.Context, r store.Reader, address string, since time.Time) (n int, err error) {
	rows, err := o.read(ctx, r, `where address = $1 and created > $2 and fill <> '' limit $3`, address, store.Unix(since), page)
	return len(rows), err
}

// move writes a row anew, if it is still as it was read, and reports whether it was.
func (o *Outbox) move(ctx context.Context, tx *store.Tx, was row, r *row) (bool, error) {
	r.mac = o.mac(r)
	n, err := tx.Exec(ctx, `update notice set state = $2, tries = $3, due = $4, mac = $5 where id = $1 and mac = $6`, r.ID, r.state, r.tries, r.due, r.mac, was.mac)
	return n == 1, err
}

// page is how many rows are read at a time.
const page = 500

// sendable is how long after it was queued a notice may be sent, and for how long the log
// remembers that it was: the last try is before, unless no server runs for days.
const sendable = 9 * 24 * time.Hour

// outgoing returns what is to be sent now, a hundred at most: what we queued, and did not send.
func (o *Outbox) outgoing(ctx context.Context) (out []row, err error) {
	for after := int64(-1 << 63); len(out) < most; {
		rows, err := o.read(ctx, o.db, `where state = $1 and due <= $2 and id > $3 order by id limit $4`, waiting, store.Unix(o.now()), after, most)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			after = r.ID
			if !o.bound(&r) {
				continue
			}
			if waits, err := o.unsent(ctx, r); err != nil {
				return nil, err
			} else if waits {
				out = append(out, r)
			}
		}
		if len(rows) < most {
			break
		}
	}
	return out, nil
}

const most = 100

// unsent reports whether a row that waits is not known to have been sent. One that was sent
// was copied or put back, unless it was sent since it was read. How long that is known is
// sendable: an older row that waits may be either, see [Sender.expire].
func (o *Outbox) unsent(ctx context.Context, r row) (bool, error) {
	if !o.db.Over("notice", r.said()) {
		return true, nil
	}
	now, err := o.read(ctx, o.db, `where id = $1`, r.ID)
	if err == nil && len(now) == 1 && bytes.Equal(now[0].mac, r.mac) {
		o.report(r.ID, r.Account, store.Returned)
	}
	return false, err
}

// Inspect checks the integrity of all notices, and looks for those that this server queued.
func (o *Outbox) Inspect(ctx context.Context) error {
	after := int64(-1 << 63)
	err := o.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		rows, err := o.read(ctx, o.db, `where id > $1 order by id limit $2`, after, page)
		for _, r := range rows {
			after = r.ID
			o.bound(&r)
		}
		return len(rows) == page, err
	})
	if err != nil {
		return err
	}
	for _, q := range o.own.list() {
		if err := o.look(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// look looks for a notice that this server queued. One that is missing, or altered, is
// queued again, where this server still knows what it said.
func (o *Outbox) look(ctx context.Context, q row) error {
	rows, err := o.read(ctx, o.db, `where id = $1`, q.ID)
	if err != nil {
		return err
	}
	switch {
	case len(rows) == 0:
		o.report(q.ID, q.Account, store.Missing)
	case !o.bound(&rows[0]) || q.Body != "" && rows[0].said() != q.said():
	default:
		if rows[0].state != waiting {
			o.own.forget(q.ID)
		}
		return nil
	}
	if q.Body != "" {
		err = o.db.Housekeep(ctx, "notice.again", func(tx *store.Tx) error {
			return o.insert(ctx, tx, q)
		})
	}
	if err == nil {
		o.own.forget(q.ID)
	}
	return err
}

// Bind gives the rows of an earlier release their MAC.
func (o *Outbox) Bind(ctx context.Context) error {
	after := int64(-1 << 63)
	for {
		rows, err := o.read(ctx, o.db, `where id > $1 order by id limit $2`, after, page)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		if err := o.bindPage(ctx, rows); err != nil {
			return err
		}
	}
}

var errNoRows = errors.New("notify: nothing to bind")

func (o *Outbox) bindPage(ctx context.Context, rows []row) error {
	err := o.db.Change(ctx, audit.System("start"), func(tx *store.Tx) error {
		var n int64
		for i := range rows {
			done, err := tx.Exec(ctx, `update notice set mac = $2 where id = $1 and mac is null`, rows[i].ID, o.mac(&rows[i]))
			if err != nil {
				return err
			}
			n += done
		}
		if n == 0 {
			return errNoRows
		}
		return tx.RecordBound("notice", int(n))
	})
	if errors.Is(err, errNoRows) {
		return nil
	}
	return err
}
