package approval

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// pushQueue are the rows of the table wake: pushes that were asked for and not answered. They
// close pushes to an account, so that their absence would open them.
type pushQueue struct {
	view   store.View
	keys   *keyring.Keyring
	now    func() time.Time
	own    *throttle.Recent
	doubts *store.Doubts
}

// queuedPush is a row. Its MAC is of all that it says.
type queuedPush struct {
	approval int64
	account  assurance.AccountID
	state    string
	created  int64
	mac      []byte
}

const pushColumns = `approval, account, state, created, mac`

func newPushQueue(p Parts) (*pushQueue, error) {
	own, err := throttle.OpenRecent(p.DB, "wakes", p.Now)
	return &pushQueue{view: p.DB.View(), keys: p.Keys, now: p.Now, own: own, doubts: store.NewDoubts(p.DB.View())}, err
}

func (r *queuedPush) fields() *keyring.Fields {
	return keyring.NewFields().String("wake").Int(r.approval).Int(int64(r.account)).String(r.state).Int(r.created)
}

func (w *pushQueue) mac(r *queuedPush) []byte { return w.keys.MAC(keyring.Guess, r.fields()) }

// bound reports whether we wrote a row, and reports one that somebody else wrote.
func (w *pushQueue) bound(r *queuedPush) bool {
	if w.keys.VerifyMAC(keyring.Guess, r.fields(), r.mac) {
		return true
	}
	w.report(&queuedPush{approval: r.approval}, store.Altered) // whose it is, it does not say truly
	return false
}

func (w *pushQueue) report(r *queuedPush, wrong string) {
	w.view.Report(store.Finding{Table: "wake", Row: strconv.FormatInt(r.approval, 10), Wrong: wrong, Account: int64(r.account)})
}

func (w *pushQueue) read(ctx context.Context, r store.Reader, where string, args ...any) (out []queuedPush, err error) {
	rows, err := r.Query(ctx, `select `+pushColumns+` from wake `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row queuedPush
		var account int64
		if err := rows.Scan(&row.approval, &account, &row.state, &row.created, &row.mac); err != nil {
			return nil, err
		}
		row.account = assurance.AccountID(account)
		out = append(out, row)
	}
	return out, rows.Err()
}

// insert asks for a push, once for each approval. This server remembers it.
func (w *pushQueue) insert(ctx context.Context, tx *store.Tx, row queuedPush) error {
	row.created = store.Unix(w.now())
	n, err := tx.Exec(ctx, `insert into wake (`+pushColumns+`) values ($1,$2,$3,$4,$5) on conflict (approval) do nothing`,
		row.approval, int64(row.account), row.state, row.created, w.mac(&row))
	if err == nil && n == 1 {
		tx.AfterCommit(func() {
			w.own.Add(throttle.OfAccount(row.account), throttle.Done{ID: row.approval, At: row.created, Account: int64(row.account)})
		})
	}
	return err
}

// disown closes pushes to an account for a day, which all servers learn from the log.
func (w *pushQueue) disown(ctx context.Context, tx *store.Tx, row queuedPush) error {
	row.state, row.created = pushReported, store.Unix(w.now())
	_, err := tx.Exec(ctx, `insert into wake (`+pushColumns+`) values ($1,$2,$3,$4,$5)
		on conflict (approval) do update set account = excluded.account, state = excluded.state, created = excluded.created, mac = excluded.mac`,
		row.approval, int64(row.account), row.state, row.created, w.mac(&row))
	tx.Anchor("wake", int64(row.account), row.created)
	tx.AfterCommit(func() {
		w.own.Add(throttle.OfAccount(row.account), throttle.Done{ID: row.approval, At: row.created, Account: int64(row.account)})
	})
	return err
}

const pushReported = "disowned"

// end opens pushes again, because one was approved, which all servers learn from the log.
func (w *pushQueue) end(ctx context.Context, tx *store.Tx, account assurance.AccountID) error {
	rows, err := tx.Query(ctx, `delete from wake where account = $1 returning approval`, int64(account))
	if err != nil {
		return err
	}
	defer rows.Close()
	until := w.now().Add(25 * time.Hour)
	for rows.Next() {
		var approval int64
		if err := rows.Scan(&approval); err != nil {
			return err
		}
		tx.End("wake", strconv.FormatInt(approval, 10), until)
	}
	if at := w.disowned(account); at != 0 {
		tx.End("wake", disownedName(account, at), until)
	}
	return rows.Err()
}

func disownedName(account assurance.AccountID, at int64) string {
	return "disowned-" + strconv.FormatInt(int64(account), 10) + "-" + strconv.FormatInt(at, 36)
}

// disowned is when somebody last said of an account that a push was not theirs, as far as
// that closes pushes, and 0 otherwise.
func (w *pushQueue) disowned(account assurance.AccountID) int64 {
	at := w.view.Newest("wake", int64(account))
	if at == 0 || w.now().Sub(store.Time(at)) >= wakeDailyIn || w.view.Over("wake", disownedName(account, at)) {
		return 0
	}
	return at
}

// closed reports whether too much was left unanswered: what our rows say, and what this
// server remembers besides.
func (w *pushQueue) closed(ctx context.Context, r store.Reader, account assurance.AccountID, l throttle.Limits) (bool, error) {
	now := w.now()
	rows, err := w.read(ctx, r, `where account = $1 and created > $2`, int64(account), store.Unix(now.Add(-wakeDailyIn)))
	if err != nil {
		return false, err
	}
	at := map[int64]int64{}
	closed := w.disowned(account) != 0
	for i := range rows {
		row := &rows[i]
		if w.bound(row) && !w.view.Over("wake", strconv.FormatInt(row.approval, 10)) {
			at[row.approval] = row.created
			closed = closed || row.state == pushReported
		}
	}
	for _, one := range w.own.Of(throttle.OfAccount(account), wakeDailyIn) {
		if there, err := w.stands(ctx, at, one); err != nil {
			return false, err
		} else if there {
			at[one.ID] = max(at[one.ID], one.At)
		}
	}
	soon := 0
	for _, created := range at {
		if created > store.Unix(now.Add(-wakeSoonIn)) {
			soon++
		}
	}
	return closed || soon >= l.PushSoon || len(at) >= l.PushDaily, nil
}

// stands reports whether what this server asked for was not answered. Rows are those that
// were read, by approval, with when they are from.
func (w *pushQueue) stands(ctx context.Context, rows map[int64]int64, one throttle.Done) (bool, error) {
	if rows[one.ID] >= one.At {
		return true, nil
	}
	if w.answered(one) {
		w.own.Forget(throttle.OfAccount(assurance.AccountID(one.Account)), one.ID)
		return false, nil
	}
	var created int64
	err := w.view.QueryRow(ctx, `select created from wake where approval = $1`, one.ID).Scan(&created)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	if wrong := store.Missing; created < one.At {
		if created != 0 {
			wrong = store.Older
		}
		f := store.Finding{Table: "wake", Row: strconv.FormatInt(one.ID, 10), Wrong: wrong, Account: one.Account}
		w.doubts.Add("wake/"+f.Row, f, func() bool { return w.answered(one) })
	}
	return true, nil
}

// answered reports whether a push is known to have been answered, or its account is gone.
func (w *pushQueue) answered(one throttle.Done) bool {
	return w.view.Over("wake", strconv.FormatInt(one.ID, 10)) || w.view.Newest("account", one.Account) == store.Gone
}

// due are the rows for which something is to be done, a hundred at most, without those
// that are not ours, or for which it was done.
func (w *pushQueue) due(ctx context.Context) (out []queuedPush, err error) {
	for after := int64(-1 << 63); len(out) < pushPage; {
		page, err := w.read(ctx, w.view, `where (state = 'waiting' or state = 'held') and approval > $1 order by approval limit $2`, after, pushPage)
		if err != nil {
			return nil, err
		}
		for _, row := range page {
			after = row.approval
			sound, err := w.sound(ctx, row)
			if err != nil {
				return nil, err
			}
			if sound {
				out = append(out, row)
			}
		}
		if len(page) < pushPage {
			return out, nil
		}
	}
	return out, nil
}

const pushPage = 100

// pushOver is after how long nobody gains by another push: what waits waits no longer.
const pushOver = time.Hour

// sound reports whether a row that waits is ours and waits rightly.
func (w *pushQueue) sound(ctx context.Context, row queuedPush) (bool, error) {
	switch {
	case !w.bound(&row):
	case row.state == "waiting" && w.view.Over("wake", sentName(row.approval)):
		now, err := w.read(ctx, w.view, `where approval = $1 and state = 'waiting'`, row.approval)
		if err != nil || len(now) == 0 { // another server took it since it was read
			return false, err
		}
		w.report(&row, store.Older)
	default:
		return true, nil
	}
	return false, nil
}

// told reports whether an account was told within a day that pushes are kept back.
func (w *pushQueue) told(ctx context.Context, account assurance.AccountID) (bool, error) {
	rows, err := w.read(ctx, w.view, `where account = $1 and state = 'told' and created > $2`, int64(account), store.Unix(w.now().Add(-wakeDailyIn)))
	for i := range rows {
		if w.bound(&rows[i]) {
			return true, nil
		}
	}
	return false, err
}

// move gives a row another state, once: it must be as it was read. It reports whether it was.
func (w *pushQueue) move(ctx context.Context, tx *store.Tx, was queuedPush, state string) (bool, error) {
	row := was
	row.state = state
	n, err := tx.Exec(ctx, `update wake set state = $2, mac = $3 where approval = $1 and state = $4 and mac = $5`, row.approval, row.state, w.mac(&row), was.state, was.mac)
	return n == 1, err
}

func sentName(approval int64) string { return "sent-" + strconv.FormatInt(approval, 10) }

// inspect looks at all rows, and for those that this server asked for.
func (w *pushQueue) inspect(ctx context.Context) error {
	after := int64(-1 << 63)
	err := w.view.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := w.read(ctx, w.view, `where approval > $1 order by approval limit $2`, after, pageRows)
		for _, row := range page {
			after = row.approval
			if err := w.inspectRow(ctx, row); err != nil {
				return false, err
			}
		}
		return len(page) == pageRows, err
	})
	if err != nil {
		return err
	}
	for _, key := range w.own.Keys() {
		for _, one := range w.own.Of(key, wakeDailyIn) {
			var created int64
			err := w.view.QueryRow(ctx, `select created from wake where approval = $1`, one.ID).Scan(&created)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if _, err := w.stands(ctx, map[int64]int64{one.ID: created}, one); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *pushQueue) inspectRow(ctx context.Context, row queuedPush) error {
	switch {
	case !w.bound(&row):
	case w.view.Over("wake", strconv.FormatInt(row.approval, 10)):
		now, err := w.read(ctx, w.view, `where approval = $1`, row.approval)
		if err != nil || len(now) == 0 { // it was taken away since it was read
			return err
		}
		w.report(&row, store.Returned)
	}
	return nil
}
