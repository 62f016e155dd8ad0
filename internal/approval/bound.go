package approval

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// What is said of a row outside the database is said by how it was sealed: each time that
// it is written it is sealed anew, and what it was before is over.

const approvalTable = "approval"

// approvalOver is for how long an approval is remembered to have been answered, from when
// it was opened: no attempt lasts that long.
const approvalOver = time.Hour

// seal seals what a row holds.
func (a *Requests) seal(row *Request) error {
	b, err := json.Marshal(row.body)
	row.sealed = a.keys.Seal(keyring.Approval, approvalAAD(row.find, row.account), b)
	return err
}

// fields are all that decides, but for the number of the row, which is sealed when it is
// answered: until then an attempt finds what is its own, or nothing.
func (row *Request) fields() *keyring.Fields {
	return keyring.NewFields().String(approvalTable).Int(int64(row.account)).Bytes(row.find).Bytes(row.sealed).String(row.state).
		Int(store.Unix(row.created)).Int(store.Unix(row.until))
}

func (a *Requests) mac(row *Request) []byte { return a.keys.MAC(keyring.Approval, row.fields()) }

// approvalColumns are what scan reads.
const approvalColumns = `id, account, number, payload, state, created, expires, mac, case when ` + replaced + ` then 1 else 0 end`

// scan reads a row. One that is not as it was left is reported, and is none; its number is
// returned all the same.
func (a *Requests) scan(ctx context.Context, from interface{ Scan(...any) error }) (*Request, error) {
	var row Request
	var account, created, expires, later int64
	var mac []byte
	err := from.Scan(&row.id, &account, &row.find, &row.sealed, &row.state, &created, &expires, &mac, &later)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noApproval
	}
	if err != nil {
		return nil, err
	}
	row.account, row.created, row.until = assurance.AccountID(account), store.Time(created), store.Time(expires)
	if !a.keys.VerifyMAC(keyring.Approval, row.fields(), mac) || !a.unseal(&row) {
		return &row, a.refuse(&row, store.Altered)
	}
	if a.view.Over(approvalTable, keyring.SealName(row.sealed)) {
		return &row, a.older(ctx, &row)
	}
	if row.expires = row.until; later != 0 {
		row.expires = time.Time{}
	}
	row.body.Waiting.ID, row.body.Waiting.Created, row.body.Waiting.Expires = row.id, row.created, row.expires
	return &row, nil
}

// unseal reads what is sealed. It names its account, and its row once it was answered.
func (a *Requests) unseal(row *Request) bool {
	plain, err := a.keys.Open(keyring.Approval, approvalAAD(row.find, row.account), row.sealed)
	if err != nil || json.Unmarshal(plain, &row.body) != nil {
		return false
	}
	return row.body.Account == row.account && (row.body.Waiting.ID == row.id || row.body.Waiting.ID == 0 && row.state == "waiting")
}

func (a *Requests) refuse(row *Request, wrong string) error {
	a.view.Report(store.Finding{Table: approvalTable, Row: strconv.FormatInt(row.id, 10), Wrong: wrong, Account: int64(row.account)})
	return noApproval
}

// older refuses a row that was answered since it was like this. It is read once more: that
// may have been just now.
func (a *Requests) older(ctx context.Context, row *Request) error {
	var one int
	err := a.view.QueryRow(ctx, `select 1 from approval where id = $1 and payload = $2`, row.id, row.sealed).Scan(&one)
	if errors.Is(err, store.ErrNotFound) {
		return noApproval
	}
	if err != nil {
		return err
	}
	return a.refuse(row, store.Older)
}
