package approval

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"strconv"
	"sync"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// countRow is a row of app_count. Its MAC is of all that it says. How far an app counted,
// each server remembers besides, so that a row which is removed or put back hides no copy.
type countRow struct {
	credential, account, count int64
	last, mac                  []byte
}

func (r *countRow) fields() *keyring.Fields {
	return keyring.NewFields().String("app_count").Int(r.credential).Int(r.account).Int(r.count).Bytes(r.last)
}

func (a *Apps) bound(r *countRow) bool {
	if a.keys.VerifyMAC(keyring.Guess, r.fields(), r.mac) {
		return true
	}
	a.report(&countRow{credential: r.credential}, store.Altered) // whose it is, it does not say truly
	return false
}

func (a *Apps) report(r *countRow, wrong string) {
	a.db.Report(store.Finding{Table: "app_count", Row: strconv.FormatInt(r.credential, 10), Wrong: wrong, Account: r.account})
}

const appCounts = `select credential, account, count, last, mac from app_count `

func (r *countRow) scan(row interface{ Scan(...any) error }) error {
	return row.Scan(&r.credential, &r.account, &r.count, &r.last, &r.mac)
}

// checkSignatureCounter keeps how often an app has spoken, and returns why this time is refused: the
// same signature once more is replayed, and another one of a count that was there
// before comes from a copy of its key, as a signature counter's does (WebAuthn section
// 6.1.1).
func (a *Apps) checkSignatureCounter(ctx context.Context, c appCaller, call AppCall) (reason string, err error) {
	sum := sha256.Sum256(call.Signature)
	now := countRow{credential: int64(c.credential.ID), account: int64(c.account.ID), count: call.Count, last: sum[:]}
	now.mac = a.keys.MAC(keyring.Guess, now.fields())
	err = a.db.Housekeep(ctx, "app.count", func(tx *store.Tx) error {
		reason = ""
		known := a.db.Newest("app_count", now.credential)
		if known < now.count {
			tx.Anchor("app_count", now.credential, now.count)
			tx.AfterCommit(func() { a.heard(now.credential, now.account) })
			n, err := tx.Exec(ctx, `insert into app_count (credential, account, count, last, mac) values ($1,$2,$3,$4,$5) on conflict (credential) do update
				set account = excluded.account, count = excluded.count, last = excluded.last, mac = excluded.mac where app_count.count < excluded.count`,
				now.credential, now.account, now.count, now.last, now.mac)
			if err != nil || n == 1 {
				return err
			}
		}
		var was countRow
		err := was.scan(tx.QueryRow(ctx, appCounts+`where credential = $1`, now.credential))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		sound := err == nil && a.bound(&was)
		switch {
		case sound && was.count == now.count && bytes.Equal(was.last, now.last):
			reason = "replayed"
		case known >= now.count || sound:
			reason = "cloned"
		default: // a row of another's making says that it was there before
			_, err = tx.Exec(ctx, `update app_count set account = $2, count = $3, last = $4, mac = $5 where credential = $1`, now.credential, now.account, now.count, now.last, now.mac)
			return err
		}
		return nil
	})
	return reason, err
}

// spoke are the apps from which this server heard, with whose they are: their rows must be
// there.
type spoke struct {
	mu   sync.Mutex
	apps map[int64]int64
}

// manyApps is how many are remembered before all are forgotten.
const manyApps = 50_000

func (a *Apps) heard(credential, account int64) {
	a.spoke.mu.Lock()
	defer a.spoke.mu.Unlock()
	if a.spoke.apps == nil || len(a.spoke.apps) >= manyApps {
		a.spoke.apps = map[int64]int64{}
	}
	a.spoke.apps[credential] = account
}

// inspectHeard looks for the rows of apps from which this server heard.
func (a *Apps) inspectHeard(ctx context.Context) error {
	a.spoke.mu.Lock()
	apps := maps.Clone(a.spoke.apps)
	a.spoke.mu.Unlock()
	for credential, account := range apps {
		lost, err := a.db.View().Lost(ctx, "app_count", credential, func(ctx context.Context) (bool, error) {
			var n int64
			err := a.db.QueryRow(ctx, `select count(*) from app_count where credential = $1`, credential).Scan(&n)
			return n > 0 || a.db.Newest("account", account) == store.Gone, err
		})
		if err != nil {
			return err
		}
		if lost {
			a.report(&countRow{credential: credential, account: account}, store.Missing)
		}
	}
	return nil
}

// inspect looks at how far each app counted.
func (a *Apps) inspect(ctx context.Context) error {
	after := int64(-1 << 63)
	err := a.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := a.countsAfter(ctx, after)
		for i := range page {
			row := &page[i]
			after = row.credential
			if a.bound(row) && row.count < a.db.Newest("app_count", row.credential) && a.db.View().Stands(ctx, "app_count", row.credential, `select count from app_count where credential = $1`) {
				a.report(row, store.Older)
			}
		}
		return len(page) == pageRows, err
	})
	return errors.Join(err, a.inspectHeard(ctx))
}

func (a *Apps) countsAfter(ctx context.Context, after int64) (out []countRow, err error) {
	rows, err := a.db.Query(ctx, appCounts+`where credential > $1 order by credential limit $2`, after, pageRows)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row countRow
		if err := row.scan(rows); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// bind gives the rows of a release before their MAC.
func (a *Apps) bind(ctx context.Context) error {
	after := int64(-1 << 63)
	return store.BindPages(ctx, a.db, "app_count", func(ctx context.Context) (int, func(*store.Tx) error, error) {
		page, err := a.countsAfter(ctx, after)
		if len(page) > 0 {
			after = page[len(page)-1].credential
		}
		return len(page), func(tx *store.Tx) error {
			for i := range page {
				if _, err := tx.Exec(ctx, `update app_count set mac = $2 where credential = $1`, page[i].credential, a.keys.MAC(keyring.Guess, page[i].fields())); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}

// cloned switches an app off whose key is on two devices: of which neither is known to
// be its owner's.
func (a *Apps) cloned(ctx context.Context, tx *store.Tx, c appCaller, call AppCall) error {
	credential, was, err := a.owners.switchOff(ctx, tx, c.account, c.credential.ID)
	if err != nil || !was {
		return err
	}
	tx.Record(audit.Entry{Event: "alarm.app-cloned", Outcome: audit.OK, Account: int64(c.account.ID), AccountName: c.account.Name, Application: audit.Self, Protocol: AppProtocol,
		Source: audit.AddressText(call.Source), Detail: map[string]string{"authenticator": credential.Kind + "/" + strconv.FormatInt(int64(credential.ID), 10)}})
	return a.owners.tell(ctx, tx, c.account, noticeCloned(c.how.(authenticator.Authenticator).Describe().Title))
}
