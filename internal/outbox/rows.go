package outbox

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

// sents are the rows of the table sent: which codes were sent to whom and for which
// address. They are budgets, so that their absence would give more messages.
type sents struct {
	view store.View
	keys *keyring.Keyring
	now  func() time.Time
	own  *throttle.Recent
}

// sentRow is a row. Its MAC is of all that it says.
type sentRow struct {
	account assurance.AccountID
	source  string
	at      int64
	mac     []byte
}

func newSents(p Parts) (*sents, error) {
	own, err := throttle.OpenRecent(p.DB, "sent", p.Now)
	return &sents{view: p.DB.View(), keys: p.Keys, now: p.Now, own: own}, err
}

func (r *sentRow) fields() *keyring.Fields {
	return keyring.NewFields().String("sent").Int(int64(r.account)).String(r.source).Int(r.at)
}

func (s *sents) report(account assurance.AccountID, at int64, wrong string) {
	s.view.Report(store.Finding{Table: "sent", Row: strconv.FormatInt(int64(account), 10) + " " + strconv.FormatInt(at, 10), Wrong: wrong, Account: int64(account)})
}

// insert writes down that a code was sent now. This server remembers it.
func (s *sents) insert(ctx context.Context, tx *store.Tx, account assurance.AccountID, source string) error {
	row := sentRow{account: account, source: source, at: store.Unix(s.now())}
	_, err := tx.Exec(ctx, `insert into sent (account, source, at, mac) values ($1,$2,$3,$4)`, int64(account), source, row.at, s.keys.MAC(keyring.Guess, row.fields()))
	tx.AfterCommit(func() {
		one := throttle.Done{ID: row.at, At: row.at, Account: int64(account)}
		s.own.Add(throttle.OfAccount(account), one)
		if source != "" {
			s.own.Add("source/"+source, one)
		}
	})
	return err
}

func (s *sents) read(ctx context.Context, r store.Reader, where string, args ...any) (out []sentRow, err error) {
	rows, err := r.Query(ctx, `select account, source, at, mac from sent `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row sentRow
		var account int64
		if err := rows.Scan(&account, &row.source, &row.at, &row.mac); err != nil {
			return nil, err
		}
		row.account = assurance.AccountID(account)
		out = append(out, row)
	}
	return out, rows.Err()
}

// times are when codes were sent: as rows say, whoever wrote them, and as this server
// remembers besides.
func (s *sents) times(ctx context.Context, rows []sentRow, own []throttle.Done) (out []time.Time, err error) {
	type once struct{ account, at int64 }
	there := map[once]bool{}
	for _, row := range rows {
		there[once{int64(row.account), row.at}] = true
		out = append(out, store.Time(row.at))
	}
	for _, one := range own {
		if there[once{one.Account, one.At}] {
			continue
		}
		out = append(out, store.Time(one.At))
		if err := s.look(ctx, one); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// look reports what this server sent and is written nowhere any more.
func (s *sents) look(ctx context.Context, one throttle.Done) error {
	var n int64
	err := s.view.QueryRow(ctx, `select count(*) from sent where account = $1 and at = $2`, one.Account, one.At).Scan(&n)
	if err == nil && n == 0 && s.view.Newest("account", one.Account) != store.Gone {
		s.report(assurance.AccountID(one.Account), one.At, store.Missing)
	}
	return err
}

// inspect looks at all rows, and for those that this server wrote.
func (s *sents) inspect(ctx context.Context) error {
	var after sentRow
	err := s.view.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := s.read(ctx, s.view, `where account > $1 or account = $1 and at > $2 order by account, at limit $3`, int64(after.account), after.at, pageRows)
		for _, row := range page {
			if after = row; !s.keys.VerifyMAC(keyring.Guess, row.fields(), row.mac) {
				s.report(row.account, row.at, store.Altered)
			}
		}
		return len(page) == pageRows, err
	})
	if err != nil {
		return err
	}
	for _, key := range s.own.Keys() {
		for _, one := range s.own.Of(key, day) {
			if err := s.look(ctx, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// over says why no more is sent now; empty when one may be.
func (s *sents) over(ctx context.Context, r store.Reader, account assurance.AccountID, source string) (string, error) {
	now := s.now()
	rows, err := s.read(ctx, r, `where account = $1 and at > $2 order by at desc limit $3`, int64(account), store.Unix(now.Add(-day)), sendDaily)
	if err != nil {
		return "", err
	}
	sent, err := s.times(ctx, rows, s.own.Of(throttle.OfAccount(account), day))
	var from []time.Time
	if err == nil && source != "" {
		if rows, err = s.read(ctx, r, `where source = $1 and at > $2 order by at desc limit $3`, source, store.Unix(now.Add(-time.Hour)), sendSourced); err == nil {
			from, err = s.times(ctx, rows, s.own.Of("source/"+source, time.Hour))
		}
	}
	within := func(d time.Duration) (n int) {
		for _, at := range sent {
			if now.Sub(at) < d {
				n++
			}
		}
		return n
	}
	switch {
	case err != nil:
		return "", err
	case within(sendPause) > 0:
		return "too-soon", nil
	case within(time.Hour) >= sendHourly, len(sent) >= sendDaily:
		return "account-budget", nil
	case len(from) >= sendSourced:
		return "source-budget", nil
	}
	return "", nil
}

// messageName names a message in the log of what is over: by what is sealed in it, which is
// of no other.
func messageName(payload []byte) string {
	return strconv.FormatInt(store.NumberOf(string(payload)), 36)
}

// messageAAD is where a message's payload belongs. It is of one account and one moment, so
// that it is not sent later than that, and to nobody else.
func messageAAD(account assurance.AccountID, expires int64) keyring.AAD {
	return keyring.AAD{Table: "message", Column: "payload", Key: strconv.FormatInt(expires, 10), Account: int64(account)}
}

var errCarried = errors.New("it was sent before")

// plain opens a message, and reports one that is not ours or was sent before.
func (m *Messages) plain(w waitingMessage) ([]byte, error) {
	finding := store.Finding{Table: "message", Row: strconv.FormatInt(w.id, 10), Account: w.account}
	if m.db.Over("message", messageName(w.payload)) {
		finding.Wrong = store.Returned
		m.db.Report(finding)
		return nil, errCarried
	}
	plain, err := m.keys.Open(keyring.Approval, messageAAD(assurance.AccountID(w.account), w.expires), w.payload)
	if errors.Is(err, keyring.ErrSealed) {
		finding.Wrong, finding.Account = store.Altered, 0
		m.db.Report(finding)
	}
	return plain, err
}

// inspectWaiting looks at the messages that wait.
func (m *Messages) inspectWaiting(ctx context.Context) error {
	after := int64(-1 << 63)
	return m.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := m.waiting(ctx, `where id > $1 order by id limit $2`, after, pageRows)
		for _, w := range page {
			if after = w.id; !m.db.Over("message", messageName(w.payload)) { // it may be taken away at this moment
				if _, err := m.plain(w); err != nil && !errors.Is(err, keyring.ErrSealed) {
					return false, err
				}
			}
		}
		return len(page) == pageRows, err
	})
}

func (m *Messages) waiting(ctx context.Context, where string, args ...any) (out []waitingMessage, err error) {
	rows, err := m.db.Query(ctx, `select id, account, payload, tries, expires from message `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var w waitingMessage
		if err := rows.Scan(&w.id, &w.account, &w.payload, &w.tries, &w.expires); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

// Inspect reads the rows once and reports those that are not as they were left. It stops at
// none of them; its error is that of the database. It is for the background.
func (m *Messages) Inspect(ctx context.Context) error {
	return errors.Join(m.sents.inspect(ctx), m.inspectWaiting(ctx))
}
