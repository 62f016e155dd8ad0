package signin

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

const attemptTable = "attempt"

// attemptRow is an attempt as it is stored. What stands beside the seal stands in it, too.
type attemptRow struct {
	*attempt
	hash, sealed              []byte
	step                      int64
	account, created, expires int64
}

const attemptColumns = `handle, step, account, payload, created, expires`

// scan reads a row. One that is not as it was left is reported, and its ticket leads
// nowhere; what could be read of it is returned all the same.
func (a *attempts) scan(from interface{ Scan(...any) error }) (*attemptRow, error) {
	var r attemptRow
	if err := from.Scan(&r.hash, &r.step, &r.account, &r.sealed, &r.created, &r.expires); err != nil {
		return nil, err
	}
	if r.step == 0 && len(r.sealed) == 0 { // the mark of a grant: it says no by being there
		return &r, errStrayTicket
	}
	if !a.unseal(&r) {
		return &r, a.refuse(&r, store.Altered)
	}
	return &r, nil
}

// unseal reads a row's payload, which must be that row's own, as it is.
func (a *attempts) unseal(r *attemptRow) bool {
	plain, err := a.keys.Open(keyring.Attempt, attemptAAD(), r.sealed)
	if err != nil {
		return false
	}
	var s saved
	if json.Unmarshal(plain, &s) != nil || s.Attempt == nil || !bytes.Equal(s.Handle, r.hash) {
		return false
	}
	at := s.Attempt
	at.step, at.given = r.step, s.Step
	if at.Account != assurance.AccountID(r.account) || store.Unix(at.Created) != r.created || store.Unix(at.Deadline) != r.expires {
		return false
	}
	r.attempt = at
	return at.step == at.given || at.step == at.given+1
}

func (a *attempts) refuse(r *attemptRow, wrong string) error {
	a.db.Report(store.Finding{Table: attemptTable, Row: hex.EncodeToString(r.hash[:min(len(r.hash), 32)]), Wrong: wrong, Account: r.account})
	return errStrayTicket
}

// overTx says that an attempt is over, in which something was shown. Of any other nobody
// has anything by putting it back.
func (a *attempts) overTx(tx *store.Tx, at *attempt) {
	if len(at.Evidence) > 0 {
		tx.End(attemptTable, at.ID, at.Deadline)
		hash := hashHandle(at.handle)
		tx.AfterCommit(func() { a.proved.drop(hash) })
	}
}

// over reports whether it is known outside the database that an attempt is over, or that
// all of its time are.
func (a *attempts) over(at *attempt) bool {
	return a.db.Over(attemptTable, at.ID) || store.Unix(at.Created) < a.db.Newest(attemptTable, every)
}

// every is the number under which the moment is remembered before which all are over.
const every = 0

// overlap is how long before all were ended one may have begun and rightly be there: in a
// change of the same moment. It is over, and is no alarm.
const overlap = time.Minute

// returned refuses an attempt that is over. It is read once more, since it may have ended
// since it was read: then there is nothing to report.
func (a *attempts) returned(ctx context.Context, r *attemptRow) error {
	if !a.db.Over(attemptTable, r.ID) && a.db.Newest(attemptTable, every)-r.created < overlap.Microseconds() {
		return errStrayTicket
	}
	var one int
	err := a.db.QueryRow(ctx, `select 1 from attempt where handle = $1 and payload = $2`, r.hash, r.sealed).Scan(&one)
	if errors.Is(err, store.ErrNotFound) {
		return errStrayTicket
	}
	if err != nil {
		return err
	}
	return a.refuse(r, store.Returned)
}
