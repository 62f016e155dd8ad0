package ticket

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/store"
)

// table is also the kind of what is remembered of tickets outside the database: that one
// was taken, by its seal, and since when those are good that nobody owns, by their kind's
// number, or all, by 0.
const table, every = "ticket", 0

// row is a ticket as it is stored. All of it is bound to the seal.
type row struct {
	hash             []byte
	kind             string
	owner            int64
	sealed           []byte
	created, expires int64
}

const columns = `hash, kind, owner, payload, created, expires`

func scan(from interface{ Scan(...any) error }) (*row, error) {
	var r row
	err := from.Scan(&r.hash, &r.kind, &r.owner, &r.sealed, &r.created, &r.expires)
	if errors.Is(err, store.ErrNotFound) {
		return nil, stray
	}
	return &r, err
}

func (r *row) aad() keyring.AAD {
	key := r.kind + "/" + hex.EncodeToString(r.hash) + "/" + strconv.FormatInt(r.created, 10) + "/" + strconv.FormatInt(r.expires, 10)
	return keyring.AAD{Table: table, Column: "payload", Key: key, Account: r.owner}
}

// name is what the row is called as it is sealed: whoever holds its secret may be given
// another one of the same secret.
func (r *row) name() string {
	return base64.RawURLEncoding.EncodeToString(r.sealed[max(0, len(r.sealed)-16):])
}

// open opens a row that is not over.
func (t *Tickets) open(r *row) (Ticket, error) {
	out := Ticket{Owner: r.owner, Expires: store.Time(r.expires), name: r.name()}
	var err error
	if out.Payload, err = t.keys.Open(keyring.Ticket, r.aad(), r.sealed); err != nil {
		return Ticket{}, t.refuse(r, store.Altered)
	}
	if !t.now().Before(out.Expires) {
		return Ticket{}, stray
	}
	return out, nil
}

// epoch is the moment before which tickets like this one are over.
func (t *Tickets) epoch(r *row) int64 {
	all := t.db.Newest(table, every)
	if r.owner != 0 {
		return all
	}
	return max(all, t.db.Newest(table, store.NumberOf(r.kind)))
}

// overlap is how long before all of a kind became worthless one may have been issued and
// rightly be there: on another server, or in a change of the same moment. It is over, and
// is no alarm.
const overlap = time.Minute

// over reports whether it is known outside the database that a ticket was taken, or was
// made worthless with all of its kind; and whether somebody put it back, if it is there.
func (t *Tickets) over(r *row) (over, back bool) {
	if t.db.Over(table, r.name()) {
		return true, true
	}
	late := t.epoch(r) - r.created
	return late > 0, late >= overlap.Microseconds()
}

// refuse reports a row and says no more of it than of any that is not there.
func (t *Tickets) refuse(r *row, wrong string) error {
	t.db.Report(store.Finding{Table: table, Row: hex.EncodeToString(r.hash[:min(len(r.hash), 32)]), Wrong: wrong, Account: r.owner})
	return stray
}

// again refuses a row that somebody put back. It is read once more, since it may have been
// taken since it was read: then there is nothing to report.
func (t *Tickets) again(ctx context.Context, r *row) error {
	var one int
	err := t.db.QueryRow(ctx, `select 1 from ticket where hash = $1 and payload = $2`, r.hash, r.sealed).Scan(&one)
	if errors.Is(err, store.ErrNotFound) {
		return stray
	}
	if err != nil {
		return err
	}
	return t.refuse(r, store.Returned)
}
