package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// rig is an outbox whose mails go nowhere.
type rig struct {
	*Outbox
	t           *testing.T
	dsn, folder string
	root        keyring.Root
	at          time.Time
	fail        error
	said        strings.Builder // the sender's log
}

func setUp(t *testing.T, dsn string) *rig {
	t.Helper()
	r := &rig{t: t, dsn: dsn, folder: filepath.Join(t.TempDir(), "remembered"), root: keyring.NewRoot(), at: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	now := func() time.Time { return r.at }
	db, keys := keyringtest.Open(r.t, store.Options{DSN: r.dsn, Remember: r.folder, Now: now}, r.root)
	var err error
	if r.Outbox, err = NewOutbox(db, keys, now); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) again() {
	r.t.Helper()
	if err := r.db.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

func (r *rig) queue(address, subject string) {
	r.t.Helper()
	err := r.db.Change(r.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := r.QueueAll(r.t.Context(), tx, []string{address}, Notice{Account: 7, Subject: subject, Body: "A text."}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// send sends what is due, and returns to whom what went.
func (r *rig) send() (out []string) {
	r.t.Helper()
	deliver := func(_ context.Context, n Notice) error {
		if r.fail == nil {
			out = append(out, n.Address+" "+n.Subject)
		}
		return r.fail
	}
	n, err := NewSender(r.Outbox, deliver, slog.New(slog.NewTextHandler(&r.said, nil))).Send(r.t.Context())
	if err != nil || n != len(out) {
		r.t.Fatalf("%d of %v, %v", n, out, err)
	}
	return out
}

func (r *rig) inspect() {
	r.t.Helper()
	if err := r.Inspect(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// newest is the number of the row that was written last.
func (r *rig) newest() string {
	r.t.Helper()
	rows, err := r.read(r.t.Context(), r.db, `order by id desc limit 1`)
	if err != nil || len(rows) != 1 {
		r.t.Fatal(rows, err)
	}
	return strconv.FormatInt(rows[0].ID, 10)
}

func (r *rig) sabotage(query string, args ...any) {
	r.t.Helper()
	storetest.Sabotage(r.t, r.db, query, args...)
}

// What somebody else wrote into the outbox is not sent, and what they took out of it is
// sent all the same; both are found.
func TestNobodySendsByWritingToTheDatabase(t *testing.T) {
	const insert = `insert into notice (account, address, subject, body, created, due, tries, state, mac) `
	for name, c := range map[string]struct {
		do, wrong string
		sent      string // at once, and after the sweep
	}{
		"nothing":              {"", "", "ada@example.org Hello"},
		"another address":      {`update notice set address = 'eve@example.org'`, store.Altered, "| ada@example.org Hello"},
		"another subject":      {`update notice set subject = 'Pay'`, store.Altered, "| ada@example.org Hello"},
		"another text":         {`update notice set body = 'Pay.'`, store.Altered, "| ada@example.org Hello"},
		"another's":            {`update notice set account = 8`, store.Altered, "| ada@example.org Hello"},
		"as if later":          {`update notice set created = created + 1`, store.Altered, "| ada@example.org Hello"},
		"not now":              {`update notice set due = due + 1000000000`, store.Altered, "| ada@example.org Hello"},
		"as if tried":          {`update notice set tries = 49`, store.Altered, "| ada@example.org Hello"},
		"as if sent":           {`update notice set state = 'sent'`, store.Altered, "| ada@example.org Hello"},
		"as if it could not":   {`update notice set state = 'failed'`, store.Altered, "| ada@example.org Hello"},
		"removed":              {`delete from notice`, store.Missing, "| ada@example.org Hello"},
		"without a MAC":        {`update notice set mac = null`, store.Altered, "| ada@example.org Hello"},
		"under another number": {`update notice set id = id + 1000`, store.Missing, "ada@example.org Hello"},
		"made up":              {insert + `values (7, 'eve@example.org', 'Pay', 'Pay.', 1, 1, 0, 'waiting', x'00')`, store.Altered, "ada@example.org Hello"},
		"copied to another":    {insert + `select account, 'eve@example.org', subject, body, created, due, tries, state, mac from notice`, store.Altered, "ada@example.org Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
			r.queue("ada@example.org", "Hello")
			if c.do != "" {
				r.sabotage(c.do)
			}
			said := strings.Join(r.send(), ", ")
			r.inspect()
			if more := r.send(); len(more) > 0 {
				said += "| " + strings.Join(more, ", ")
			}
			r.inspect()
			if more := r.send(); len(more) > 0 {
				t.Errorf("and again: %v", more)
			}
			if said != c.sent && name != "under another number" {
				t.Errorf("sent %q, want %q", said, c.sent)
			}
			if c.wrong == "" {
				storetest.Quiet(t, r.db)
			} else {
				storetest.Alarmed(t, r.db, "notice", "", c.wrong)
			}
		})
	}
}

// A notice that is copied, or put back as it waited, is sent once.
func TestANoticeIsSentOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		r.queue("ada@example.org", "Hello")
		const back = `insert into notice (account, address, subject, body, created, due, tries, state, mac) values ($1,$2,$3,$4,$5,$6,$7,$8,$9)`
		rows, err := r.read(t.Context(), r.db, ``)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		old := rows[0]
		args := []any{old.Account, old.Address, old.Subject, old.Body, old.created, old.due, old.tries, old.state, old.mac}
		r.sabotage(back, args...)
		r.at = r.at.Add(time.Second)
		copied := r.newest()
		if got := r.send(); len(got) != 1 {
			t.Errorf("sent %v", got)
		}
		storetest.Alarmed(t, r.db, "notice", copied, store.Returned)
		r.again()
		r.sabotage(`delete from notice`)
		r.sabotage(back, args...)
		putBack := r.newest()
		if got := r.send(); len(got) != 0 {
			t.Errorf("sent once more: %v", got)
		}
		storetest.Alarmed(t, r.db, "notice", putBack, store.Returned)
	})
}

// A notice that waited while no server ran is sent where it is not too late, and given up
// with a line in the log where it is; neither is an alarm.
func TestANoticeThatWaitedThroughAnOutage(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		for name, c := range map[string]struct {
			off   time.Duration
			sent  int
			state string
		}{
			"just in time": {sendable - time.Microsecond, 1, sent},
			"too late":     {sendable, 0, failed},
			"much later":   {40 * sendable, 0, failed},
		} {
			r := setUp(t, storetest.Another(t, dsn))
			r.queue("ada@example.org", "Hello")
			if err := r.db.Close(); err != nil {
				t.Fatal(err)
			}
			r.at = r.at.Add(c.off)
			r.open()
			r.inspect()
			got := r.send()
			if len(got) != c.sent || strings.Contains(r.said.String(), "given up") != (c.sent == 0) || strings.Contains(r.said.String(), "example.org") {
				t.Errorf("%s: sent %v, the log says %s", name, got, &r.said)
			}
			r.inspect()
			r.said.Reset()
			if got := r.send(); len(got) != 0 || r.said.Len() > 0 {
				t.Errorf("%s, again: sent %v, the log says %s", name, got, &r.said)
			}
			if rows, err := r.read(t.Context(), r.db, ``); err != nil || len(rows) != 1 || rows[0].state != c.state {
				t.Errorf("%s: %v, %v", name, rows, err)
			}
			if len(r.own.list()) != 0 {
				t.Errorf("%s: it is still waited for", name)
			}
			storetest.Quiet(t, r.db)
		}
	})
}

// A notice that was sent is not sent again, however late its row is put back: it is an alarm
// for as long as the log remembers, which may be a little longer than it must, and given up
// after that.
func TestANoticePutBackLate(t *testing.T) {
	for name, c := range map[string]struct {
		after   time.Duration
		alarmed bool
	}{"remembered": {sendable - time.Minute, true}, "forgotten": {sendable + 2*time.Second, false}, "long after": {10 * sendable, false}} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
			r.queue("ada@example.org", "Hello")
			rows, err := r.read(t.Context(), r.db, ``)
			if err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			if got := r.send(); len(got) != 1 {
				t.Fatalf("sent %v", got)
			}
			r.inspect()
			r.at = r.at.Add(c.after)
			r.again()
			r.sabotage(`update notice set state = $1, tries = $2, due = $3, mac = $4`, rows[0].state, rows[0].tries, rows[0].due, rows[0].mac)
			for range 2 {
				if got := r.send(); len(got) != 0 {
					t.Errorf("sent once more: %v", got)
				}
				r.inspect()
			}
			if c.alarmed {
				storetest.Alarmed(t, r.db, "notice", "", store.Returned)
			}
		})
	}
}

// Other people's rows do not keep ours from being sent, however many they are.
func TestNoticesOfAnothersMaking(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	err := r.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
		for range most + 1 {
			if _, err := tx.Exec(t.Context(), `insert into notice (account, address, subject, body, created, due) values (1, 'eve@example.org', 'x', 'y', 1, 1)`); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.queue("ada@example.org", "Hello")
	if got := r.send(); len(got) != 1 {
		t.Errorf("sent %v", got)
	}
}

// An owner was told what we wrote that they were told, and when.
func TestTold(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	r.sabotage(`insert into notice (account, address, subject, body, created, due, state) values (7, 'a', 'Hello', 'b', $1, $1, 'sent')`, store.Unix(r.at))
	told := func(account int64, subject string, since time.Time) bool {
		t.Helper()
		is, err := r.Notified(t.Context(), r.db, Notice{Account: account, Subject: subject}, since)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	if told(7, "Hello", r.at.Add(-time.Hour)) {
		t.Error("a row of another's making says so")
	}
	r.queue("ada@example.org", "Hello")
	for _, c := range []struct {
		account int64
		subject string
		since   time.Time
		want    bool
	}{{7, "Hello", r.at.Add(-time.Microsecond), true}, {7, "Hello", r.at, false}, {8, "Hello", r.at.Add(-time.Hour), false}, {7, "Other", r.at.Add(-time.Hour), false}} {
		if got := told(c.account, c.subject, c.since); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}

// A notice is tried for a week and then given up; one server has it at a time.
func TestANoticeIsTriedForAWeek(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	r.queue("ada@example.org", "Hello")
	r.fail = errors.New("the mail server is away")
	state := func() (string, int64) {
		rows, err := r.read(t.Context(), r.db, ``)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		return rows[0].state, rows[0].tries
	}
	start := r.at
	for range maxTries {
		if s, _ := state(); s != waiting {
			t.Fatalf("it is %s after %s", s, r.at.Sub(start))
		}
		r.send()
		r.at = r.at.Add(longest)
	}
	if s, n := state(); s != failed || n != maxTries || r.at.Sub(start) > sendable {
		t.Errorf("it is %s after %d tries, %s", s, n, r.at.Sub(start))
	}
	said, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "notice.undelivered", Limit: 10})
	if err != nil || len(said) != 1 || said[0].Reason != "tries" || said[0].Detail["answer"] != "the mail server is away" {
		t.Errorf("the log says %+v, %v", said, err)
	}
	r.inspect()
	storetest.Quiet(t, r.db)
	if len(r.own.list()) != 0 {
		t.Error("it is still waited for")
	}
	// Claimed by one, it is not another's before its lease is over.
	r.queue("bob@example.org", "Hello")
	list, err := r.outgoing(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	mine, theirs := list[0], list[0]
	s := &Sender{outbox: r.Outbox, log: slog.New(slog.DiscardHandler)}
	if ours, err := s.claim(t.Context(), &mine); err != nil || !ours {
		t.Errorf("%t, %v", ours, err)
	}
	if ours, err := s.claim(t.Context(), &theirs); err != nil || ours {
		t.Errorf("claimed twice: %t, %v", ours, err)
	}
	r.fail = nil
	if got := r.send(); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
	r.at = r.at.Add(lease)
	if got := r.send(); len(got) != 1 {
		t.Errorf("sent %v", got)
	}
}

// What is wrong with a notice is not written.
func TestANoticeOfSeveralLines(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	for _, n := range []Notice{{Address: "a\nb"}, {Address: "a", Subject: "b\rc"}, {Address: "a\x00"}} {
		err := r.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error { return r.Queue(t.Context(), tx, n) })
		if err == nil {
			t.Errorf("%+v was queued", n)
		}
	}
}

// Over a restart it is known which notices were queued: one that is missing is found.
func TestANoticeIsMissedAfterARestart(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		r.queue("ada@example.org", "Hello")
		r.again()
		r.inspect()
		storetest.Quiet(t, r.db)
		r.sabotage(`delete from notice`)
		r.inspect()
		r.inspect()
		storetest.Alarmed(t, r.db, "notice", "", store.Missing)
		if len(r.own.list()) != 0 {
			t.Error("it is still waited for")
		}
	})
}

// Rows of a release before are bound, and sent.
func TestNoticesOfBeforeAreBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		err := r.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
			for i := range page + 1 {
				if _, err := tx.Exec(t.Context(), `insert into notice (account, address, subject, body, created, due, state) values (1, $1, 'x', 'y', $2, $2, $3)`,
					fmt.Sprint(i), store.Unix(r.at), map[bool]string{true: waiting, false: sent}[i == page]); err != nil {
					return err
				}
			}
			return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Bind(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r.inspect()
		storetest.Quiet(t, r.db)
		if got := r.send(); len(got) != 1 {
			t.Errorf("sent %v", got)
		}
		said, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "installation.bound", Limit: 10})
		if err != nil || len(said) != 2 {
			t.Errorf("%d entries, %v", len(said), err)
		}
	})
}

// So many are remembered at most.
func TestWhatIsQueuedIsBounded(t *testing.T) {
	var q queued
	for i := range manyQueued + 1 {
		q.add(row{Notice: Notice{ID: int64(i)}})
	}
	if n := len(q.list()); n != manyQueued {
		t.Errorf("%d", n)
	}
	if err := q.restore([]byte("nonsense\n")); err == nil {
		t.Error("nonsense was read")
	}
}

// A mail server may take longer for a notice than another server waits before it takes it: it
// went out all the same, whatever comes of the other's try, and nothing was put back.
func TestANoticeThatLastsLongerThanItsLease(t *testing.T) {
	for name, theirs := range map[string]error{"the other sends it too": nil, "the other cannot": errors.New("the mail server is away")} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				r := setUp(t, dsn)
				r.queue("ada@example.org", "Hello")
				other := &Outbox{db: r.db, keys: r.keys, now: r.now}
				their := &Sender{outbox: other, log: slog.New(slog.DiscardHandler)}
				var held row
				slow := func(context.Context, Notice) error {
					r.at = r.at.Add(lease)
					list, err := other.outgoing(t.Context())
					if err != nil || len(list) != 1 {
						t.Fatal(list, err)
					}
					held = list[0]
					ours, err := their.claim(t.Context(), &held)
					if err != nil || !ours {
						t.Fatal(ours, err)
					}
					return nil
				}
				if n, err := (&Sender{outbox: r.Outbox, deliver: slow, log: slog.New(slog.DiscardHandler)}).Send(t.Context()); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				if err := other.tried(t.Context(), &held, theirs == nil); err != nil {
					t.Fatal(err)
				}
				r.at = r.at.Add(longest)
				if got := r.send(); len(got) != 0 {
					t.Errorf("sent once more: %v", got)
				}
				r.inspect()
				if rows, err := r.read(t.Context(), r.db, ``); err != nil || len(rows) != 1 || rows[0].state != sent {
					t.Errorf("%+v, %v", rows, err)
				}
				storetest.Quiet(t, r.db)
			})
		})
	}
}

// Whoever could not send in time leaves a notice to the server that has it.
func TestANoticeThatCouldNotBeSentInTime(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	r.queue("ada@example.org", "Hello")
	list, err := r.outgoing(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	held := list[0]
	if ours, err := (&Sender{outbox: r.Outbox}).claim(t.Context(), &held); err != nil || !ours {
		t.Fatal(ours, err)
	}
	if err := r.tried(t.Context(), &list[0], false); err != nil {
		t.Fatal(err)
	}
	rows, err := r.read(t.Context(), r.db, ``)
	if err != nil || len(rows) != 1 || rows[0].due != held.due || rows[0].tries != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// Somebody who writes to a row while it is delivered has nothing of theirs marked as sent.
func TestARowThatIsChangedWhileItIsDelivered(t *testing.T) {
	for name, c := range map[string]struct{ do, state, wrong string }{
		"altered":              {`update notice set mac = x'00'`, waiting, store.Altered},
		"without it":           {`delete from notice`, "", ""},
		"another in its place": {`update notice set (account, address, subject, body, created, due, tries, state, mac) = (select account, address, subject, body, created, due, tries, state, mac from notice where subject = 'Other') where subject = 'Hello'`, waiting, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
			r.queue("ada@example.org", "Hello")
			list, err := r.outgoing(t.Context())
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			r.queue("bob@example.org", "Other")
			r.sabotage(c.do)
			if err := r.tried(t.Context(), &list[0], true); err != nil {
				t.Fatal(err)
			}
			rows, err := r.read(t.Context(), r.db, `where id = $1`, list[0].ID)
			if err != nil || c.state != "" && (len(rows) != 1 || rows[0].state != c.state) || c.state == "" && len(rows) != 0 {
				t.Errorf("%+v, %v", rows, err)
			}
			if c.wrong == "" {
				storetest.Quiet(t, r.db)
			} else {
				storetest.Alarmed(t, r.db, "notice", strconv.FormatInt(list[0].ID, 10), c.wrong)
			}
		})
	}
}

// A row that was sent and marked so after it was read was not put back.
func TestANoticeIsSentAfterItWasRead(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	r.queue("ada@example.org", "Hello")
	list, err := r.outgoing(t.Context())
	if err != nil || len(list) != 1 || len(r.send()) != 1 {
		t.Fatal(list, err)
	}
	if ours, err := (&Sender{outbox: r.Outbox}).claim(t.Context(), &list[0]); err != nil || ours {
		t.Errorf("%t, %v", ours, err)
	}
	r.db.Report(store.Finding{Table: "notice", Row: "9", Wrong: store.Altered}) // so that whatever was reported before is said by then
	storetest.OneAlarm(t, r.db, "notice", store.Altered)
}

// A notice that a mail server will never take is tried once, and the administrator reads in
// the log what it answered; a server that takes nothing is not asked about the next one.
func TestANoticeThatIsRefusedForEver(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		for _, to := range []string{"ada@example.org", "bob@example.org"} {
			r.queue(to, "Hello")
		}
		asked := map[string]int{}
		answers := map[string]error{"ada@example.org": failure.New(failure.Invalid, "The mail server refused the recipient: 550 5.1.1 nobody")}
		send := func() error {
			s := NewSender(r.Outbox, func(_ context.Context, n Notice) error { asked[n.Address]++; return answers[n.Address] }, slog.New(slog.DiscardHandler))
			_, err := s.Naming(func(context.Context, store.Reader, int64) string { return "ada" }).Send(t.Context())
			return err
		}
		for range 3 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			r.at = r.at.Add(longest)
		}
		said, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "notice.undelivered", Limit: 10})
		if err != nil || len(said) != 1 || said[0].Reason != "permanent" || said[0].AccountName != "ada" || said[0].Account != 7 || !strings.Contains(said[0].Detail["answer"], "550 5.1.1 nobody") {
			t.Errorf("the log says %+v, %v", said, err)
		}
		if asked["ada@example.org"] != 1 || asked["bob@example.org"] != 1 {
			t.Errorf("tried %v", asked)
		}
		for _, to := range []string{"eve@example.org", "fay@example.org"} {
			r.queue(to, "Hello")
		}
		answers["eve@example.org"] = failure.New(failure.Unavailable, "The mail server refused the password: 535")
		if err := send(); failure.ClassOf(err) != failure.Unavailable || asked["fay@example.org"] != 0 {
			t.Errorf("%v, tried %v", err, asked)
		}
		if err := send(); err != nil || asked["eve@example.org"] != 1 || asked["fay@example.org"] != 1 {
			t.Errorf("%v, tried %v", err, asked)
		}
		r.inspect()
		storetest.Quiet(t, r.db)
	})
}

// A notice outlives any number of tries at a server that takes nothing.
func TestANoticeWaitsForItsServer(t *testing.T) {
	r := setUp(t, filepath.Join(t.TempDir(), "test.db"))
	r.queue("ada@example.org", "Hello")
	away := func(context.Context, Notice) error {
		return failure.New(failure.Unavailable, "The mail server cannot be reached.")
	}
	for range maxTries + 1 {
		if _, err := NewSender(r.Outbox, away, slog.New(slog.DiscardHandler)).Send(t.Context()); failure.ClassOf(err) != failure.Unavailable {
			t.Fatal(err)
		}
		r.at = r.at.Add(longest)
	}
	if got := r.send(); len(got) != 1 {
		t.Errorf("sent %v", got)
	}
}

// The promise: what a mail is completed with is in no row, is completed as it is sent, waits where
// nobody completes it, and is given up where it is over; two mails that differ in it alone are both
// sent, and nobody changes it in the database.
func TestFilledNotices(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUp(t, dsn)
		queue := func(fills ...string) {
			t.Helper()
			err := r.db.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
				for _, fill := range fills {
					if err := r.Queue(t.Context(), tx, Notice{Account: 7, Address: "ada@example.org", Subject: "a link", Body: "Open it.", Fill: fill}); err != nil {
						return err
					}
				}
				return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var bodies []string
		deliver := func(_ context.Context, n Notice) error { bodies = append(bodies, n.Body); return nil }
		sender := func() *Sender { return NewSender(r.Outbox, deliver, slog.New(slog.DiscardHandler)) }
		fill := func(_ context.Context, n Notice) (Notice, error) {
			if n.Fill == "over" {
				return n, failure.New(failure.Invalid, "It is over.")
			}
			n.Body += " secret of " + n.Fill
			return n, nil
		}
		queue("one", "two", "over")
		if _, err := sender().Send(t.Context()); failure.ClassOf(err) != failure.Unavailable || len(bodies) != 0 {
			t.Fatalf("nobody completes it: %q, %v", bodies, err)
		}
		r.at = r.at.Add(time.Hour)
		if n, err := sender().Filling(fill).Send(t.Context()); n != 2 || err != nil || strings.Join(bodies, " ") != "Open it. secret of one Open it. secret of two" {
			t.Errorf("%d sent: %q, %v", n, bodies, err)
		}
		if n, err := r.FilledSince(t.Context(), r.db, "ada@example.org", r.at.Add(-2*time.Hour)); n != 3 || err != nil {
			t.Errorf("%d since, %v", n, err)
		}
		for what, since := range map[string]time.Time{"eve@example.org": r.at.Add(-2 * time.Hour), "ada@example.org": r.at} {
			if n, err := r.FilledSince(t.Context(), r.db, what, since); n != 0 || err != nil {
				t.Errorf("%d to %s since %s, %v", n, what, since, err)
			}
		}
		if said, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: "notice.undelivered", Limit: 10}); err != nil || len(said) != 1 {
			t.Errorf("%d entries on what was over, %v", len(said), err)
		}
		var kept int
		if err := r.db.QueryRow(t.Context(), `select count(*) from notice where body like '%secret of%'`).Scan(&kept); err != nil || kept != 0 {
			t.Errorf("%d rows hold what a mail was completed with, %v", kept, err)
		}
		queue("three")
		r.sabotage(`update notice set fill = 'one' where id = ` + r.newest())
		bodies = nil
		if n, err := sender().Filling(fill).Send(t.Context()); n != 0 || err != nil || len(bodies) != 0 {
			t.Errorf("what was changed is sent: %q, %v", bodies, err)
		}
	})
}
