package provision

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// Queue is what is in each application and what is to be done there. It is safe for concurrent
// use.
type Queue struct {
	db   *store.DB
	keys *keyring.Keyring
	now  func() time.Time
}

// The states of an [Entry].
const (
	StateWaiting = "waiting" // nothing of it is there yet
	StateThere   = "there"
	StateFailing = "failing" // the application did not take the last change
	StateHeld    = "held"    // to end it needs an approval
	StateGone    = "gone"    // it was ended there
)

// Entry is one person or group in one application.
type Entry struct {
	Application string `json:"-"`
	Kind        string `json:"-"`
	Subject     int64  `json:"-"`
	State       string `json:"-"`
	// Remote is its id there, or empty; Name is what it was called when it was sent last.
	Remote string `json:"remote,omitempty"`
	Name   string `json:"name,omitempty"`
	// Sent is a digest of what was sent last, and Active whether that was active.
	Sent   string `json:"sent,omitempty"`
	Active bool   `json:"active,omitempty"`
	// Problem is why the last try failed, as a sentence.
	Problem string `json:"problem,omitempty"`

	due   int64
	tries int64
	ended int64
}

const (
	entryTable   = "scim_entry"
	entryColumns = `application, kind, subject, payload, state, due, tries, ended`
)

func (e Entry) aad() keyring.AAD {
	return keyring.AAD{Table: entryTable, Column: "payload", Row: e.Subject, Key: e.Application + "/" + e.Kind}
}

func (q *Queue) seal(e Entry) ([]byte, error) {
	plain, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return q.keys.Seal(keyring.Provision, e.aad(), plain), nil
}

// scan reads a row. One that is not as it was left is reported, and says nothing of what is there:
// the application is asked again by its name.
func (q *Queue) scan(row interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var sealed []byte
	if err := row.Scan(&e.Application, &e.Kind, &e.Subject, &sealed, &e.State, &e.due, &e.tries, &e.ended); err != nil {
		return e, err
	}
	if len(sealed) == 0 {
		return e, nil
	}
	plain, err := q.keys.Open(keyring.Provision, e.aad(), sealed)
	if err != nil || json.Unmarshal(plain, &e) != nil {
		e.Remote, e.Name, e.Sent, e.Active, e.Problem = "", "", "", false, ""
		q.db.Report(store.Finding{Table: entryTable, Row: e.Application + "/" + e.Kind + "/" + strconv.FormatInt(e.Subject, 10), Wrong: store.Altered})
	}
	return e, nil
}

func (q *Queue) list(ctx context.Context, query string, args ...any) ([]Entry, error) {
	rows, err := q.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		e, err := q.scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// get returns an entry; store.ErrNotFound for none.
func (q *Queue) get(ctx context.Context, app, kind string, subject int64) (Entry, error) {
	return q.scan(q.db.QueryRow(ctx, `select `+entryColumns+` from scim_entry where application = $1 and kind = $2 and subject = $3`, app, kind, subject))
}

// due are entries whose time has come, people before groups, which name them.
func (q *Queue) due(ctx context.Context, app string, limit int) ([]Entry, error) {
	return q.list(ctx, `select `+entryColumns+` from scim_entry where application = $1 and due > 0 and due <= $2 order by kind desc, due, subject limit $3`, app, store.Unix(q.now()), limit)
}

// after are the entries of a kind in an application by number, after one.
func (q *Queue) after(ctx context.Context, app, kind string, subject int64, limit int) ([]Entry, error) {
	return q.list(ctx, `select `+entryColumns+` from scim_entry where application = $1 and kind = $2 and subject > $3 order by subject limit $4`, app, kind, subject, limit)
}

// Troubled are entries that fail or are held, at most limit of them.
func (q *Queue) Troubled(ctx context.Context, app string, limit int) ([]Entry, error) {
	return q.list(ctx, `select `+entryColumns+` from scim_entry where application = $1 and state in ('failing','held') order by state desc, kind desc, subject limit $2`, app, limit)
}

// Counts are how many entries there are of each state, and how many are due.
type Counts struct {
	States map[string]int
	Due    int
}

// Count counts the entries of an application.
func (q *Queue) Count(ctx context.Context, r store.Reader, app string) (Counts, error) {
	out := Counts{States: map[string]int{}}
	rows, err := r.Query(ctx, `select state, count(*), sum(case when due > 0 then 1 else 0 end) from scim_entry where application = $1 group by state`, app)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var n, due int
		if err := rows.Scan(&state, &n, &due); err != nil {
			return out, err
		}
		out.States[state] = n
		out.Due += due
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

const mark = `insert into scim_entry (application, kind, subject, payload, state, due, tries) values ($1,$2,$3,$4,'waiting',$5,0)
	on conflict (application, kind, subject) do update set due = excluded.due, tries = 0`

// markTx has something looked at in an application, as soon as that can be.
func (q *Queue) markTx(ctx context.Context, tx *store.Tx, app, kind string, subject int64) error {
	_, err := tx.Exec(ctx, mark, app, kind, subject, []byte{}, max(1, store.Unix(tx.Now())))
	return err
}

// ReleaseTx has everything tried again that is held, inside another room's change, which records
// it.
func (q *Queue) ReleaseTx(ctx context.Context, tx *store.Tx, app string) error {
	_, err := tx.Exec(ctx, `update scim_entry set due = $2, tries = 0 where application = $1 and state = 'held'`, app, max(1, store.Unix(tx.Now())))
	return err
}

// MendTx has the entries of these kinds and numbers looked at, inside another room's change, which
// records it.
func (q *Queue) MendTx(ctx context.Context, tx *store.Tx, app string, which []Subject) error {
	for _, s := range which {
		if s.Number > 0 {
			if _, err := tx.Exec(ctx, `update scim_entry set payload = $4 where application = $1 and kind = $2 and subject = $3`, app, s.Kind, s.Number, []byte{}); err != nil {
				return err
			}
			if err := q.markTx(ctx, tx, app, s.Kind, s.Number); err != nil {
				return err
			}
		}
	}
	return nil
}

// Subject is a person or a group of ours by number; 0 is none of ours.
type Subject struct {
	Kind   string
	Number int64
}

// write keeps what came of an entry. What was marked meanwhile stays due.
func (q *Queue) write(ctx context.Context, tx *store.Tx, e Entry, due int64) error {
	sealed, err := q.seal(e)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update scim_entry set payload = $4, state = $5, tries = $6, ended = $7, due = case when due = $8 then $9 else due end where application = $1 and kind = $2 and subject = $3`,
		e.Application, e.Kind, e.Subject, sealed, e.State, e.tries, e.ended, e.due, due)
	return err
}

// later keeps that something could not be done, and when it is tried again.
func (q *Queue) later(ctx context.Context, e Entry, at time.Time) error {
	return q.db.Housekeep(ctx, "provision.later", func(tx *store.Tx) error { return q.write(ctx, tx, e, store.Unix(at)) })
}

// drop forgets an entry of which nothing is there, unless it was marked meanwhile.
func (q *Queue) drop(ctx context.Context, e Entry) error {
	return q.db.Housekeep(ctx, "provision.drop", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from scim_entry where application = $1 and kind = $2 and subject = $3 and due = $4`, e.Application, e.Kind, e.Subject, e.due)
		return err
	})
}

// sweep forgets what was ended there long ago.
func (q *Queue) sweep(ctx context.Context) error {
	return q.db.Housekeep(ctx, "provision.sweep", func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `delete from scim_entry where state = 'gone' and due = 0 and ended < $1`, store.Unix(q.now().Add(-shareWindow)))
		return err
	})
}

// endedSince counts those that were ended in an application since a moment, and there those that
// are there.
func (q *Queue) endedSince(ctx context.Context, app string, since time.Time) (ended, there int, err error) {
	err = q.db.QueryRow(ctx, `select coalesce(sum(case when ended > $2 then 1 else 0 end), 0), coalesce(sum(case when state in ('there','failing','held') then 1 else 0 end), 0) from scim_entry where application = $1 and kind = 'user'`,
		app, store.Unix(since)).Scan(&ended, &there)
	return ended, there, err
}

// Forget has an account looked at in every application where something of it is, inside the change
// that removes it: it is then ended there, and the entry forgotten.
func (q *Queue) Forget(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	_, err := tx.Exec(ctx, `update scim_entry set due = $2, tries = 0 where kind = 'user' and subject = $1`, int64(account), max(1, store.Unix(tx.Now())))
	return err
}

// Inspect reports rows that are not as they were left.
func (q *Queue) Inspect(ctx context.Context) error {
	app, kind, subject := "", "", int64(0)
	return q.db.Walk(ctx, func(ctx context.Context) (more bool, err error) {
		all, err := q.list(ctx, `select `+entryColumns+` from scim_entry where (application, kind, subject) > ($1, $2, $3) order by application, kind, subject limit $4`, app, kind, subject, pageRows)
		if err != nil || len(all) == 0 {
			return false, err
		}
		last := all[len(all)-1]
		app, kind, subject = last.Application, last.Kind, last.Subject
		return len(all) == pageRows, nil
	})
}

// digestOf names what is sent, without repeating it.
func digestOf(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := hash(b)
	return base64.RawURLEncoding.EncodeToString(sum[:18]), nil
}
