package signin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strconv"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/store"
)

// counted keeps how often an app has spoken, and returns why this time is refused: the
// same signature once more is replayed, and another one of a count that was there
// before comes from a copy of its key, as a signature counter's does (WebAuthn section
// 6.1.1).
func (a *Apps) counted(ctx context.Context, c appCaller, call AppCall) (reason string, err error) {
	sum := sha256.Sum256(call.Signature)
	err = a.DB.Housekeep(ctx, "app.count", func(tx *store.Tx) error {
		reason = ""
		n, err := tx.Exec(ctx, `insert into app_count (credential, account, count, last) values ($1,$2,$3,$4) on conflict (credential) do update
			set count = excluded.count, last = excluded.last where app_count.count < excluded.count`,
			int64(c.credential.ID), int64(c.account.ID), call.Count, sum[:])
		if err != nil || n == 1 {
			return err
		}
		var count int64
		var last []byte
		if err := tx.QueryRow(ctx, `select count, last from app_count where credential = $1`, int64(c.credential.ID)).Scan(&count, &last); err != nil {
			return err
		}
		if reason = "cloned"; count == call.Count && bytes.Equal(last, sum[:]) {
			reason = "replayed"
		}
		return nil
	})
	return reason, err
}

// cloned switches an app off whose key is on two devices: of which neither is known to
// be its owner's.
func (a *Apps) cloned(ctx context.Context, tx *store.Tx, c appCaller, call AppCall) error {
	credential, was, err := a.switchOff(ctx, tx, c.account, c.credential.ID)
	if err != nil || !was {
		return err
	}
	tx.Record(audit.Entry{Event: "alarm.app-cloned", Outcome: audit.OK, Account: int64(c.account.ID), AccountName: c.account.Name, Application: Self, Protocol: AppProtocol,
		Source: addrText(call.Source), Detail: map[string]string{"authenticator": credential.Kind + "/" + strconv.FormatInt(int64(credential.ID), 10)}})
	return a.tellOwner(ctx, tx, c.account, noticeCloned(c.how.(authenticator.Authenticator).Describe().Title))
}
