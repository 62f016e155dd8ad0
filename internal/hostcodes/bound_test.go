package hostcodes

import (
	"errors"
	"fmt"
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

// desk is a database with lists, which is closed and opened again as a server is.
type desk struct {
	*Lists
	t           *testing.T
	dsn, folder string
	root        keyring.Root
	line        map[string]string // of the host's file, by login
}

func newDesk(t *testing.T, dsn string) *desk {
	t.Helper()
	d := &desk{t: t, dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot(), line: map[string]string{}}
	d.open()
	d.issue("root")
	d.issue("ops")
	return d
}

func (d *desk) open() {
	d.t.Helper()
	db, keys := keyringtest.Open(d.t, store.Options{DSN: d.dsn, Remember: d.folder}, d.root)
	d.Lists = New(Parts{DB: db, Keys: keys})
}

func (d *desk) again() {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.open()
}

func (d *desk) try(f func(tx *store.Tx) error) error {
	return d.db.Change(d.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
	})
}

func (d *desk) change(f func(tx *store.Tx) error) {
	d.t.Helper()
	if err := d.try(f); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) issue(login string) (h Handed) {
	d.t.Helper()
	d.change(func(tx *store.Tx) (err error) { h, err = d.IssueTx(d.t.Context(), tx, "gate", login, 20); return err })
	d.line[login] = h.Line
	return h
}

// used is what the host's file says of a login after a code was used, and what becomes of it.
func (d *desk) used(login string, number int) (f Finding) {
	d.t.Helper()
	words := strings.Fields(d.line[login])
	u, ok := readLine(words)
	if !ok {
		d.t.Fatal("no line")
	}
	l := List{key: hotp(u.secret)}
	file := fmt.Sprintf("%s %d %s 2026-11-25T20:18:18L\n", d.line[login], number-1, l.key.Code(uint64(number-1)))
	d.change(func(tx *store.Tx) error {
		found, err := d.ReconcileTx(d.t.Context(), tx, "gate", file)
		if err == nil {
			f = found[0]
		}
		return err
	})
	return f
}

func (d *desk) logins() string {
	d.t.Helper()
	all, err := d.All(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	var out []string
	for _, l := range all {
		out = append(out, l.Login)
	}
	return strings.Join(out, " ")
}

func (d *desk) inspects() {
	d.t.Helper()
	for range 2 {
		if err := d.Inspect(d.t.Context()); err != nil {
			d.t.Error(err)
		}
	}
}

// Whatever somebody does to the row of a list, nobody goes by it, the other lists stay, and
// the log says so once.
func TestAListOfSomebodyElseIsNone(t *testing.T) {
	cases := map[string]struct {
		do    func(d *desk, a *storetest.Attacker)
		wrong string
	}{
		"deleted": {func(d *desk, a *storetest.Attacker) { a.Do(`delete from offline_list where login = 'root'`) }, store.Missing},
		"put back from before a code was used": {func(d *desk, a *storetest.Attacker) {
			row := a.Copy("offline_list", "login = 'root'")
			if f := d.used("root", 3); f.Used != 3 {
				d.t.Fatalf("%+v", f)
			}
			a.PutBack(row, "id")
		}, store.Older},
		"put back after it was revoked": {func(d *desk, a *storetest.Attacker) {
			row := a.Copy("offline_list", "login = 'root'")
			d.change(func(tx *store.Tx) error { return d.RevokeTx(d.t.Context(), tx, "gate", "root") })
			a.PutBack(row, "id")
		}, store.Returned},
		"put back after another was issued": {func(d *desk, a *storetest.Attacker) {
			row := a.Copy("offline_list", "login = 'root'")
			line := d.line["root"]
			d.issue("root")
			d.line["root"] = line
			d.change(func(tx *store.Tx) error { return d.RevokeTx(d.t.Context(), tx, "gate", "root") })
			a.PutBack(row, "id")
		}, store.Returned},
		"the other's secret": {func(d *desk, a *storetest.Attacker) {
			a.Do(`update offline_list set secret = (select secret from offline_list where login = 'ops') where login = 'root'`)
		}, store.Altered},
	}
	for _, column := range []string{"host = 'other'", "codes = 50", "next = 1", "at = 1", "issued = issued + 1", "version = version + 1", "mac = secret", "login = 'admin'"} {
		cases[column] = struct {
			do    func(d *desk, a *storetest.Attacker)
			wrong string
		}{func(d *desk, a *storetest.Attacker) {
			a.Do(`update offline_list set ` + column + ` where login = 'root'`)
		}, store.Altered}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				d := newDesk(t, dsn)
				if d.inspects(); d.logins() != "ops root" {
					t.Fatal(d.logins())
				}
				storetest.Quiet(t, d.db)
				c.do(d, storetest.NewAttacker(t, dsn))
				for range 2 {
					if f := d.used("root", 5); f.Wrong != "unknown" {
						t.Errorf("what the host says is believed by it: %+v", f)
					}
					if d.logins() != "ops" {
						t.Errorf("listed: %s", d.logins())
					}
					d.inspects()
					storetest.Alarmed(t, d.db, "offline_list", "1", c.wrong)
					d.again()
				}
				if f := d.used("ops", 2); f.Used != 2 || f.Wrong != "" {
					t.Errorf("the other: %+v", f)
				}
				d.issue("root")
				if f := d.used("root", 1); f.Used != 1 || d.logins() != "ops root" {
					t.Errorf("issued anew: %+v, %s", f, d.logins())
				}
			})
		})
	}
}

// A list that is issued, used, replaced and revoked is no alarm.
func TestListsAsTheyGoAreNoAlarm(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn)
		if f := d.used("root", 3); f.Used != 3 || f.version != 2 {
			t.Errorf("%+v", f)
		}
		if f := d.used("root", 7); f.Used != 7 || f.version != 3 || f.Left() != 13 {
			t.Errorf("%+v", f)
		}
		d.issue("ops")
		d.change(func(tx *store.Tx) error { return d.RevokeTx(t.Context(), tx, "gate", "root") })
		if err := d.try(func(tx *store.Tx) error { return d.RevokeTx(t.Context(), tx, "gate", "root") }); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("revoked twice: %v", err)
		}
		for range 2 {
			if d.inspects(); d.logins() != "ops" {
				t.Error(d.logins())
			}
			storetest.Quiet(t, d.db)
			d.again()
		}
	})
}

// A list is given a number that none had before. Whose number was never ours keeps none.
func TestNumbersOfListsAreGivenOnce(t *testing.T) {
	for name, next := range map[string]int64{"one of before": 1, "one far ahead": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				d := newDesk(t, dsn)
				a := storetest.NewAttacker(t, dsn)
				row := a.Copy("offline_list", "login = 'root'")
				a.Do(`delete from offline_list`)
				if !strings.HasPrefix(dsn, "postgres") {
					a.Do(`update sqlite_sequence set seq = $1 where name = 'offline_list'`, next-1)
				} else if _, err := storetest.File(t, dsn).ExecContext(t.Context(), `alter table offline_list alter column id restart with `+strconv.FormatInt(next, 10)); err != nil {
					t.Fatal(err)
				}
				err := d.try(func(tx *store.Tx) error { _, err := d.IssueTx(t.Context(), tx, "gate", "new", 5); return err })
				if !errors.Is(err, store.ErrNumbers) {
					t.Errorf("%v", err)
				}
				a.PutBack(row.With("id", int64(77)), "id")
				d.change(func(tx *store.Tx) error { return d.RevokeTx(t.Context(), tx, "gate", "root") })
				if d.db.Newest(rowKind, 77) != 0 {
					t.Error("a number of somebody else's is remembered")
				}
			})
		})
	}
}

// The lists of a release before are bound once; what did not bear its MAC of then is not.
func TestListsOfBeforeAreBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		d := newDesk(t, dsn)
		a := storetest.NewAttacker(t, dsn)
		for i, login := range []string{"old", "forged"} { // as though they had been there before there was a version
			h := Handed{List: List{ID: int64(500 + i), Host: "gate", Login: login, Codes: 20, Issued: time.Now().Truncate(time.Microsecond)}}
			secret := []byte("12345678901234567890")
			sealed := d.keys.Seal(keyring.HostCodes, h.aad(), secret)
			d.line[login] = "HOTP " + login + " - 3132333435363738393031323334353637383930"
			row := a.Copy("offline_list", "login = 'root'").With("id", h.ID).With("login", login).With("secret", sealed).With("issued", store.Unix(h.Issued)).
				With("version", int64(0)).With("mac", d.keys.MAC(keyring.HostCodes, h.fieldsOfBefore(sealed)))
			if login == "forged" {
				row = row.With("codes", int64(50))
			}
			a.PutBack(row, "id")
		}
		if err := d.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d.logins() != "old ops root" || d.db.Newest(rowKind, 500) != 1 || numbers.Given(d.db.View()) != 500 {
			t.Errorf("%s, %d, %d", d.logins(), d.db.Newest(rowKind, 500), numbers.Given(d.db.View()))
		}
		if f := d.used("old", 3); f.Used != 3 || f.version != 2 {
			t.Errorf("%+v", f)
		}
		if err := d.Bind(t.Context()); err != nil || d.db.Newest(rowKind, 500) != 2 {
			t.Errorf("bound twice: %d, %v", d.db.Newest(rowKind, 500), err)
		}
	})
}
