package approval

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/store"
)

// SetQuiet is the action of setting one's own quiet hours. Its object is the text
// of what they will be.
const SetQuiet = "push.quiet-hours"

// QuietHours are when somebody's apps are not woken, each day. The number is found
// without being woken, so they keep nobody from approving. The zero value is none.
type QuietHours struct {
	// Begins and Ends are minutes after midnight by the clock of Zone, 0 to 1439.
	// Ends is exclusive, and on the next day where it is not after Begins.
	Begins, Ends int
	Zone         string // a name of the IANA time zone database
}

// longestQuiet keeps whoever has somebody's session from silencing their phone for
// good.
const longestQuiet = 12 * 60

// ReadQuietHours reads times such as 22:00 and a zone such as Europe/Berlin. The
// error is an Invalid failure that says how to mend it.
func ReadQuietHours(begins, ends, zone string) (QuietHours, error) {
	q := QuietHours{Zone: zone}
	for _, c := range []struct {
		text string
		to   *int
	}{{begins, &q.Begins}, {ends, &q.Ends}} {
		t, err := time.Parse("15:04", c.text)
		if err != nil {
			return QuietHours{}, failure.New(failure.Invalid, "Write a time of day such as 22:00.")
		}
		*c.to = t.Hour()*60 + t.Minute()
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
		return QuietHours{}, failure.New(failure.Invalid, "Write a time zone such as Europe/Berlin or America/New_York.")
	}
	if q.Begins == q.Ends || (q.Ends-q.Begins+day24)%day24 > longestQuiet {
		return QuietHours{}, failure.New(failure.Invalid, "Quiet hours can be twelve hours a day at most.")
	}
	return q, nil
}

const day24 = 24 * 60

// IsZero reports whether there are none.
func (q QuietHours) IsZero() bool { return q == QuietHours{} }

// String is what a person approves, word for word.
func (q QuietHours) String() string { return q.Sentence().String() }

// Sentence is String for whoever reads it in another language.
func (q QuietHours) Sentence() language.Sentence {
	if q.IsZero() {
		return language.Say("none")
	}
	return language.Say("%s to %s, %s", q.From(), q.Until(), q.Zone)
}

// From is when they begin, as 22:00.
func (q QuietHours) From() string { return clock(q.Begins) }

// Until is when they end, as 07:00.
func (q QuietHours) Until() string { return clock(q.Ends) }

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// Cover reports whether a moment is within them, by the clock on the wall: an hour
// that the clock shows twice is quiet twice.
func (q QuietHours) Cover(t time.Time) bool {
	if q.IsZero() {
		return false
	}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return false
	}
	local := t.In(zone)
	now := local.Hour()*60 + local.Minute()
	if q.Begins < q.Ends {
		return q.Begins <= now && now < q.Ends
	}
	return q.Begins <= now || now < q.Ends
}

// QuietOf returns an account's quiet hours: its own, which may be none, before
// everybody's. own says which.
func (p *Pushes) QuietOf(ctx context.Context, account assurance.AccountID) (q QuietHours, own bool, err error) {
	return p.quietOf(ctx, p.db, account)
}

func (p *Pushes) quietOf(ctx context.Context, r store.Reader, account assurance.AccountID) (q QuietHours, own bool, err error) {
	var mac []byte
	err = r.QueryRow(ctx, `select begins, ends, zone, mac from quiet where account = $1`, int64(account)).Scan(&q.Begins, &q.Ends, &q.Zone, &mac)
	if failure.ClassOf(err) == failure.NotFound {
		return p.quiet, false, nil
	}
	if err == nil && !p.setQuiet(account, q, mac) {
		return p.quiet, false, nil
	}
	return q, err == nil, err
}

func (q QuietHours) fields(account assurance.AccountID) *keyring.Fields {
	return keyring.NewFields().String("quiet").Int(int64(account)).Int(int64(q.Begins)).Int(int64(q.Ends)).String(q.Zone)
}

// setQuiet reports whether an account's quiet hours were set here, and reports those that
// somebody else wrote. Whoever removes them, or puts back hours of before, gains nothing by
// it: the number is found without being woken, and nothing is approved without it.
func (p *Pushes) setQuiet(account assurance.AccountID, q QuietHours, mac []byte) bool {
	if p.keys.VerifyMAC(keyring.Guess, q.fields(account), mac) {
		return true
	}
	p.db.Report(store.Finding{Table: "quiet", Row: strconv.FormatInt(int64(account), 10), Wrong: store.Altered, Account: int64(account)})
	return false
}

// quietRow is a row of quiet.
type quietRow struct {
	QuietHours
	account assurance.AccountID
	mac     []byte
}

func (p *Pushes) quietAfter(ctx context.Context, after assurance.AccountID) (out []quietRow, err error) {
	rows, err := p.db.Query(ctx, `select account, begins, ends, zone, mac from quiet where account > $1 order by account limit $2`, int64(after), pageRows)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var row quietRow
		var account int64
		if err := rows.Scan(&account, &row.Begins, &row.Ends, &row.Zone, &row.mac); err != nil {
			return nil, err
		}
		row.account = assurance.AccountID(account)
		out = append(out, row)
	}
	return out, rows.Err()
}

// inspectQuiet looks at all quiet hours.
func (p *Pushes) inspectQuiet(ctx context.Context) error {
	after := assurance.AccountID(-1 << 63)
	return p.db.Walk(ctx, func(ctx context.Context) (bool, error) {
		page, err := p.quietAfter(ctx, after)
		for _, row := range page {
			after = row.account
			p.setQuiet(row.account, row.QuietHours, row.mac)
		}
		return len(page) == pageRows, err
	})
}

// bindQuiet gives the rows of a release before their MAC.
func (p *Pushes) bindQuiet(ctx context.Context) error {
	after := assurance.AccountID(-1 << 63)
	return store.BindPages(ctx, p.db, "quiet", func(ctx context.Context) (int, func(*store.Tx) error, error) {
		page, err := p.quietAfter(ctx, after)
		if len(page) > 0 {
			after = page[len(page)-1].account
		}
		return len(page), func(tx *store.Tx) error {
			for _, row := range page {
				if _, err := tx.Exec(ctx, `update quiet set mac = $2 where account = $1`, int64(row.account), p.keys.MAC(keyring.Guess, row.fields(row.account))); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}

// ClearQuietTx takes an account's own quiet hours away inside a change that records
// it, so that everybody's count. It reports whether there were any.
func (p *Pushes) ClearQuietTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) (bool, error) {
	n, err := tx.Exec(ctx, `delete from quiet where account = $1`, int64(account))
	return n > 0, err
}

// SetQuiet sets those of the grant's account, and tells its owner: somebody else
// would set them to go unnoticed.
func (p *Pushes) SetQuiet(ctx context.Context, g Grant, q QuietHours) error {
	if !g.Covers(audit.Self, SetQuiet, q.String()) {
		return failure.Refuse("other-action", "This needs a separate, recent sign-in.")
	}
	return p.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		account, err := p.people.Get(ctx, tx, g.Account())
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from quiet where account = $1`, int64(account.ID)); err != nil {
			return err
		}
		// None is kept as well: it stands against everybody's.
		if _, err := tx.Exec(ctx, `insert into quiet (account, begins, ends, zone, mac) values ($1,$2,$3,$4,$5)`, int64(account.ID), q.Begins, q.Ends, q.Zone, p.keys.MAC(keyring.Guess, q.fields(account.ID))); err != nil {
			return err
		}
		tx.Record(audit.Entry{Event: "push.quiet-hours", Outcome: audit.OK, Account: int64(account.ID), AccountName: account.Name, Application: audit.Self,
			Protocol: g.Protocol(), Source: g.SourceText(), Action: g.Action(), Attempt: g.Attempt(), Detail: map[string]string{"hours": q.String()}})
		return p.owners.tell(ctx, tx, account, noticeQuiet(q))
	})
}
