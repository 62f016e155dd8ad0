package session

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// table is also the kind of what is remembered of sessions outside the database: that one
// is over, by its number or by its seal, and since when an account's are, by the account's
// number, or everybody's, by 0.
const table, everybody = "session", 0

// altered says of a row that it is not as it was left: it is no session.
var altered = &failure.Error{Class: failure.Refused, Reason: gone.Reason, Public: gone.Public}

// rows are the table as this server knows it.
type rows struct {
	view   store.View
	keys   *keyring.Keyring
	limits Limits
	now    func() time.Time

	begun begun
}

// fields are all that a row says: who changes one of them has no session.
func (r *row) fields() *keyring.Fields {
	return keyring.NewFields().String(table).Bytes(r.id).String(r.Number).Int(int64(r.Account)).String(r.Parent).String(r.Host).Bytes(r.sealed).
		String(r.source).String(r.agent).Int(store.Unix(r.created)).Int(store.Unix(r.seen)).Int(store.Unix(r.expires)).Int(store.Unix(r.ended))
}

// sealRow seals what the row holds.
func (rs *rows) sealRow(r *row) error {
	plain, err := json.Marshal(r.payload)
	r.sealed = rs.keys.Seal(keyring.Session, aad(r.Number, r.Account), plain)
	return err
}

// bind authenticates the row as it is now.
func (rs *rows) bind(r *row) { r.mac = rs.keys.MAC(keyring.Session, r.fields()) }

const columns = `id, number, account, parent, host, payload, source, agent, created, seen, expires, ended, mac`

// scan reads a row. One that is not as it was left is reported, and is altered; its id is
// returned all the same.
func (rs *rows) scan(from interface{ Scan(...any) error }) (*row, error) {
	var r row
	var account, created, seen, expires, ended int64
	if err := from.Scan(&r.id, &r.Number, &account, &r.Parent, &r.Host, &r.sealed, &r.source, &r.agent, &created, &seen, &expires, &ended, &r.mac); err != nil {
		return nil, err
	}
	r.Account = assurance.AccountID(account)
	r.created, r.seen, r.expires, r.ended = store.Time(created), store.Time(seen), store.Time(expires), store.Time(ended)
	number := r.Number
	if !rs.keys.VerifyMAC(keyring.Session, r.fields(), r.mac) || !rs.open(&r) {
		rs.report(number, r.Account, store.Altered)
		return &r, altered
	}
	return &r, nil
}

// open reads what is sealed. It names its row.
func (rs *rows) open(r *row) bool {
	plain, err := rs.keys.Open(keyring.Session, aad(r.Number, r.Account), r.sealed)
	if err != nil {
		return false
	}
	var p payload
	if json.Unmarshal(plain, &p) != nil || p.Number != r.Number || p.Account != r.Account || p.Host != r.Host || p.Parent != r.Parent {
		return false
	}
	r.payload = p
	return true
}

func (rs *rows) report(number string, account assurance.AccountID, wrong string) {
	rs.view.Report(store.Finding{Table: table, Row: clip(number, 40), Wrong: wrong, Account: int64(account)})
}

// numbered reports whether somebody may be speaking of a session by this number.
func numbered(number string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(number)
	return err == nil && len(raw) == numberSize
}

// epoch is the moment before which an account's sessions are over, in microseconds.
func (rs *rows) epoch(account assurance.AccountID) int64 {
	return max(rs.view.Newest(table, everybody), rs.view.Newest(table, int64(account)))
}

// over reports whether it is known outside the database that a session is over. One that
// hangs from another goes by that one's epoch.
func (rs *rows) over(r *row) bool {
	return rs.view.Over(table, r.Number) || rs.view.Over(table, keyring.SealName(r.sealed)) || rs.outlived(r)
}

func (rs *rows) outlived(r *row) bool { return r.Parent == "" && r.Since < rs.epoch(r.Account) }

// overlap is how long before the end of all of an account's sessions one may have begun
// and rightly be there: on another server, or in a transaction of the same moment. It is
// over, and is no alarm.
const overlap = time.Minute

// returned reports a session that is over and whose row says that it stands. It is read
// once more: it may have been ended since.
func (rs *rows) returned(ctx context.Context, r *row) error {
	if !rs.view.Over(table, r.Number) && !rs.view.Over(table, keyring.SealName(r.sealed)) && rs.epoch(r.Account)-r.Since < overlap.Microseconds() {
		return nil
	}
	var ended int64
	err := rs.view.QueryRow(ctx, `select ended from session where id = $1 and mac = $2`, r.id, r.mac).Scan(&ended)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil && ended == 0 {
		rs.report(r.Number, r.Account, store.Returned)
	}
	return err
}

// checkActive reports whether a session holds what it says. It is gone otherwise.
func (rs *rows) checkActive(ctx context.Context, r *row) error {
	if ended := !r.ended.IsZero(); ended || !rs.now().Before(r.expires) || rs.idle(r) {
		return gone
	}
	if rs.over(r) {
		if err := rs.returned(ctx, r); err != nil {
			return err
		}
		return gone
	}
	return nil
}
