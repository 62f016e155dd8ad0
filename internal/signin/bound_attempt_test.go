package signin

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// desk is a server's attempts, which is stopped and started as one is.
type desk struct {
	*attempts
	t           *testing.T
	dsn, folder string
	root        keyring.Root
	time        time.Time
}

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newDesk(t *testing.T, dsn string) *desk {
	d := &desk{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot(), time: noon}
	d.open()
	return d
}

// beside is another server on the same database.
func (d *desk) beside() *desk {
	other := &desk{t: d.t, dsn: d.dsn, folder: d.t.TempDir(), root: d.root, time: d.time}
	other.open()
	return other
}

func (d *desk) open() {
	d.t.Helper()
	db, keys := keyringtest.Open(d.t, store.Options{DSN: d.dsn, Remember: d.folder, Now: func() time.Time { return noon }}, d.root)
	d.attempts = &attempts{db: db, keys: keys, now: func() time.Time { return d.time }}
}

func (d *desk) restart() {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.open()
}

func (d *desk) change(f func(tx *store.Tx) error) error {
	return d.db.Change(d.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
}

// shown is an attempt that has a row, in which something was shown.
func (d *desk) shown(account assurance.AccountID) *attempt {
	d.t.Helper()
	at := full(d.time)
	at.ID, at.Account, at.Once = newID(), account, ""
	if err := d.change(func(tx *store.Tx) error { return d.save(d.t.Context(), tx, at) }); err != nil {
		d.t.Fatal(err)
	}
	return at
}

func (d *desk) drops(at *attempt) string {
	return whyNot(d.change(func(tx *store.Tx) error { return d.drop(d.t.Context(), tx, at.clone()) }))
}

// whyNot is why something was refused, and nothing where it was not.
func whyNot(err error) string {
	if err == nil {
		return ""
	}
	return refused(err)
}

// reads says why a ticket leads nowhere; nothing is that it leads somewhere.
func (d *desk) reads(ticket string) string {
	_, err := d.read(d.t.Context(), d.db, ticket)
	return whyNot(err)
}

func (d *desk) inspects() {
	d.t.Helper()
	if err := d.inspect(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) intrude(statements ...string) {
	d.t.Helper()
	storetest.Intrude(d.t, d.dsn, statements...)
}

// like is another database of the same engine.
func like(t *testing.T, dsn string) string {
	t.Helper()
	if strings.HasPrefix(dsn, "postgres") {
		return storetest.Postgres(t)
	}
	return filepath.Join(t.TempDir(), "another.db")
}

const keepAttempts, putAttemptsBack = `create table kept as select * from attempt`, `insert into attempt select * from kept`

// Whoever writes into a column of an attempt's row has no attempt, neither that one nor
// another, and is seen: when its ticket is brought, and when it is not.
func TestEveryColumnOfAnAttemptIsBound(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		mine := make([]byte, handleSize)
		for column, set := range map[string]string{
			"handle":        "handle = {" + hex.EncodeToString(hashHandle(mine)) + "}",
			"step back":     "step = step - 1",
			"far on":        "step = step + 2",
			"account":       "account = 9",
			"payload":       "payload = (select o.payload from attempt o where o.account = 9)",
			"odd seal":      "payload = {00}",
			"created":       "created = created - 1",
			"expires":       fmt.Sprintf("expires = %d", noon.Add(time.Hour).UnixMicro()),
			"expired early": fmt.Sprintf("expires = %d", noon.UnixMicro()),
		} {
			for _, used := range []bool{true, false} {
				if !used && strings.HasPrefix(dsn, "postgres") {
					continue
				}
				t.Run(fmt.Sprintf("%s used %v", column, used), func(t *testing.T) {
					d := newDesk(t, like(t, dsn))
					hers, another := d.shown(7), d.shown(9)
					d.intrude(`update attempt set ` + set + ` where account = 7`)
					if used {
						handle, step, _ := strings.Cut(hers.ticket(), ".")
						for _, ticket := range []string{hers.ticket(), handle + ".2", handle + ".3", (&attempt{handle: mine, step: 1}).ticket()} {
							if why := d.reads(ticket); why == "" {
								t.Errorf("step %s of the row is believed", step)
							}
							if at, err := d.take(t.Context(), ticket); err == nil {
								t.Errorf("it is taken: %+v", at)
							}
						}
					} else {
						d.inspects()
						d.inspects()
					}
					if why := d.reads(another.ticket()); why != "" {
						t.Errorf("somebody else's: %s", why)
					}
					storetest.Alarmed(t, d.db, "attempt", "", store.Altered)
				})
			}
		}
	})
}

// What is bumped by one looks as while an answer is checked: the ticket is used, and no
// made-up one is good.
func TestATicketThatIsTaken(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "test.db"))
	at := d.shown(7)
	handle, _, _ := strings.Cut(at.ticket(), ".")
	if _, err := d.take(t.Context(), at.ticket()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"1", "2", "3"} {
		if why := d.reads(handle + "." + step); why != "used-ticket" {
			t.Errorf("read at step %s: %q", step, why)
		}
		if _, err := d.take(t.Context(), handle+"."+step); refused(err) != "used-ticket" {
			t.Errorf("taken at step %s: %v", step, err)
		}
	}
	d.inspects()
	storetest.Quiet(t, d.db)
}

// An attempt that is over is not gone on with when its row is put back.
func TestAttemptsPutBack(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		for how, end := range map[string]func(d *desk, at *attempt) error{
			"claimed": func(d *desk, at *attempt) error {
				return d.change(func(tx *store.Tx) error { return d.drop(d.t.Context(), tx, at) })
			},
			"ended": func(d *desk, at *attempt) error {
				return d.change(func(tx *store.Tx) error { return d.forget(d.t.Context(), tx, at) })
			},
			"all ended": func(d *desk, _ *attempt) error {
				return d.change(func(tx *store.Tx) error { _, err := DropAttemptsTx(d.t.Context(), tx); return err })
			},
		} {
			for _, when := range []string{"used", "not used", "after a restart", "on another server"} {
				if (when == "on another server") != strings.HasPrefix(dsn, "postgres") {
					continue
				}
				t.Run(how+" "+when, func(t *testing.T) {
					d := newDesk(t, like(t, dsn))
					other := d
					if when == "on another server" {
						other = d.beside()
					}
					d.time = noon.Add(-overlap)
					at := d.shown(7)
					d.time = noon
					d.intrude(keepAttempts)
					if err := end(d, at.clone()); err != nil {
						t.Fatal(err)
					}
					for until := time.Now().Add(20 * time.Second); !other.over(at); time.Sleep(5 * time.Millisecond) {
						if time.Now().After(until) {
							t.Fatal("the other server never heard of it")
						}
					}
					d.intrude(putAttemptsBack)
					switch when {
					case "not used":
						d.inspects()
						d.inspects()
					case "after a restart":
						d.restart()
						fallthrough
					default:
						if why := other.reads(at.ticket()); why != "unknown-ticket" {
							t.Errorf("gone on with: %q", why)
						}
					}
					storetest.Alarmed(t, other.db, "attempt", "", store.Returned)
				})
			}
		}
	})
}

// An attempt of a moment ago that all were ended with is over, and no alarm.
func TestAttemptsOfTheSameMoment(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "test.db"))
	d.time = noon.Add(time.Microsecond - overlap)
	at := d.shown(7)
	d.intrude(keepAttempts)
	if err := d.change(func(tx *store.Tx) error { _, err := DropAttemptsTx(t.Context(), tx); return err }); err != nil {
		t.Fatal(err)
	}
	d.intrude(putAttemptsBack)
	d.inspects()
	if why := d.reads(at.ticket()); why != "unknown-ticket" {
		t.Errorf("gone on with: %q", why)
	}
	d.time = noon
	if next := d.shown(8); d.reads(next.ticket()) != "" {
		t.Error("one that begins then is over, too")
	}
	storetest.Quiet(t, d.db)
}

// A grant that travels is claimed once, also where somebody removes the mark of it.
func TestMarksRemoved(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		for what, sabotage := range map[string]string{"removed": `delete from attempt`, "renamed": `update attempt set handle = {00}`,
			"expired": `update attempt set expires = 0`, "made another's": `update attempt set account = 7`, "made a row": `update attempt set step = 1`} {
			for _, when := range []string{"at once", "after a restart"} {
				t.Run(what+" "+when, func(t *testing.T) {
					d := newDesk(t, like(t, dsn))
					at := full(d.time)
					if why := d.drops(at); why != "" {
						t.Fatal(why)
					}
					if why := d.drops(at); why != "used-ticket" {
						t.Fatalf("claimed twice: %q", why)
					}
					storetest.Quiet(t, d.db)
					d.intrude(sabotage)
					if err := d.sweepSpent(t.Context()); err != nil {
						t.Fatal(err)
					}
					if when == "after a restart" {
						d.restart()
					}
					if why := d.drops(at); why != "used-ticket" {
						t.Errorf("claimed once more: %q", why)
					}
					if what == "removed" || what == "renamed" || what == "expired" {
						storetest.Alarmed(t, d.db, "attempt", hex.EncodeToString(hashHandle([]byte("once/a-grant"))), store.Missing)
					}
				})
			}
		}
	})
}

// Whoever removes the row of an attempt in which something was shown is seen; what ended,
// was swept by another server or went with its account is not missed.
func TestRemovedAttempts(t *testing.T) {
	d := newDesk(t, filepath.Join(t.TempDir(), "test.db"))
	ended, all := d.shown(7), d.shown(8)
	if why := d.drops(ended); why != "" {
		t.Fatal(why)
	}
	if err := d.change(func(tx *store.Tx) error {
		tx.Anchor("account", 8, store.Gone)
		_, err := tx.Exec(t.Context(), `delete from attempt where account = 8`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d.inspects()
	d.inspects()
	storetest.Quiet(t, d.db)
	if _, known := d.proved.all()[string(hashHandle(all.handle))]; known {
		t.Error("what went with its account is missed for ever")
	}
	hers := d.shown(7)
	d.intrude(`delete from attempt`)
	d.inspects()
	storetest.Quiet(t, d.db) // it may have ended on another server just now
	d.inspects()
	storetest.Alarmed(t, d.db, "attempt", hex.EncodeToString(hashHandle(hers.handle)), store.Missing)
}

// What is known here of attempts is bounded.
func TestProvedIsBounded(t *testing.T) {
	var p proved
	for n := range provedMost + 1 {
		p.note(fmt.Append(nil, n), &attempt{})
	}
	if len(p.known) != provedMost {
		t.Errorf("%d are known", len(p.known))
	}
}

// Whoever puts an attempt's row back to an earlier step of it tries again, and has nothing
// by it: an answer that was right is spent, and one that was wrong was counted.
func TestAnAttemptPutBackMidway(t *testing.T) {
	r, _, app := withAda(t)
	r.clock.Later(time.Minute)
	half := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	storetest.Intrude(t, r.options.DSN, keepAttempts)
	back := func() { storetest.Intrude(t, r.options.DSN, `delete from attempt`, putAttemptsBack) }
	counted := func() (n int) {
		if err := r.DB.QueryRow(t.Context(), `select coalesce(sum(count), 0) from guess`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 {
		before := counted()
		if next := r.reply(half, "totp", "000000"); next.State != Ask || !next.Again {
			t.Fatalf("a wrong code: %+v", next)
		}
		if n := counted(); n <= before {
			t.Errorf("a wrong code is not counted: %d, and %d before", n, before)
		}
		back()
	}
	if next := r.reply(half, "totp", app.code()); next.State != Granted {
		t.Fatalf("a right code: %+v", next)
	}
	back()
	if next := r.reply(half, "totp", app.code()); next.State == Granted || next.Reason != "replayed" {
		t.Errorf("the same code once more: %+v", next)
	}
}

// An abandoned attempt is told of once, whoever puts its row back.
func TestAbandonedOnce(t *testing.T) {
	r, _, _ := withAda(t)
	r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	storetest.Intrude(t, r.options.DSN, keepAttempts)
	r.clock.Later(r.Limits.Attempt + time.Second)
	for range 3 {
		if _, err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.attempts.inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(r.events("alarm.factor-missing")); n != 1 {
			t.Errorf("%d alarms", n)
		}
		storetest.Intrude(t, r.options.DSN, `delete from attempt`, putAttemptsBack)
	}
	storetest.Alarmed(t, r.DB, "attempt", "", store.Returned)
}

// A row that was altered is swept without a word of what nobody believes.
func TestAlteredIsSwept(t *testing.T) {
	r, _, _ := withAda(t)
	r.reply(r.begin(browses("wiki", "ada")), "password", secret)
	storetest.Intrude(t, r.options.DSN, fmt.Sprintf(`update attempt set expires = %d`, r.Now().UnixMicro()-1))
	if n, err := r.Sweep(t.Context()); err != nil || n != 1 || countAttempts(r) != 0 {
		t.Errorf("%d were swept, %v; %d rows are left", n, err, countAttempts(r))
	}
	if n := len(r.events("alarm.factor-missing")); n != 0 {
		t.Errorf("%d alarms of what somebody else wrote", n)
	}
	r.inspects()
	r.inspects()
	storetest.Alarmed(t, r.DB, "attempt", "", store.Altered)
	if n := len(r.events(store.TamperedEvent)); n != 1 {
		t.Errorf("%d alarms of one row", n)
	}
}
