package recovery

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func (r *rig) inspects() {
	r.t.Helper()
	for range 2 {
		if err := r.Inspect(r.t.Context()); err != nil {
			r.t.Error(err)
		}
	}
}

// Whatever somebody does to the row of a case, no pass comes of it and none is opened in
// its place; the other cases stay, and the log says so once.
func TestACaseOfSomebodyElseIsNone(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	cases := map[string]struct {
		do    func(r *rig, a *storetest.Attacker, id int64)
		wrong string
		stops bool // it was stopped by its owner before
	}{
		"deleted": {func(r *rig, a *storetest.Attacker, id int64) { a.Do(`delete from recovery where id = $1`, id) }, store.Missing, false},
		"moved to another number": {func(r *rig, a *storetest.Attacker, id int64) {
			row := a.Copy("recovery", "id = $1", id)
			a.Do(`delete from recovery where id = $1`, id)
			a.PutBack(row.With("id", id+5), "id")
		}, store.Missing, false},
		"a stopped one put back": {func(r *rig, a *storetest.Attacker, id int64) {
			row := a.Copy("recovery", "id = $1", id)
			r.change(func(tx *store.Tx) error { _, err := r.StopTx(r.t.Context(), tx, r.account("bob").ID); return err })
			a.PutBack(row, "id")
		}, store.Older, true},
	}
	for _, column := range []string{"account = 1", "opener = 1", "checked = 'video'", "note = 'x'", "forgotten = 1 - forgotten", "second = 1 - second", "state = 'stopped'", "confirmer = 1",
		"taken = taken + 1", "opened = opened + 1", "due = 1", "ends = 1", "ends = 9000000000000000", "collected = 1", "version = version + 1", "mac = (select mac from recovery where account <> $1)"} {
		cases[column] = struct {
			do    func(r *rig, a *storetest.Attacker, id int64)
			wrong string
			stops bool
		}{func(r *rig, a *storetest.Attacker, id int64) {
			query := `update recovery set ` + column + ` where id = `
			if strings.Contains(column, "$1") {
				a.Do(query+`$2`, int64(r.account("bob").ID), id)
			} else {
				a.Do(query+`$1`, id)
			}
		}, store.Altered, false}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				r := setUpOn(t, dsn, nil)
				r.person("bob", "password", "totp")
				r.person("dora", "password", "totp")
				doras, _ := r.opens("hugo", "dora", false)
				secret, was := r.opens("helga", "bob", false)
				r.inspects()
				storetest.Quiet(t, r.db)
				a := storetest.NewAttacker(t, dsn)
				r.later(25 * time.Hour)
				c.do(r, a, was.ID)
				for range 2 {
					if _, pass, err := r.Collect(t.Context(), secret, ""); err == nil || pass != "" {
						t.Error("a pass is handed over")
					}
					if all, err := r.List(t.Context(), 0); err != nil || len(all) != 1 || all[0].Account != r.account("dora").ID {
						t.Errorf("the other case is not listed by itself: %+v, %v", all, err)
					}
					if r.phase(doras) != Ready {
						t.Errorf("the other case is %v", r.phase(doras))
					}
					_, number := r.asks("bob")
					_, err := r.tryOpen("hugo", "bob", Opening{Number: number, Check: "video", Note: "x"})
					if failure.ClassOf(err) != failure.Conflict {
						t.Errorf("another is opened in its place: %v", err)
					}
					r.inspects()
					storetest.Alarmed(t, r.db, "recovery", strconv.FormatInt(was.ID, 10), c.wrong)
					r.again()
				}
				r.later(10 * 24 * time.Hour) // nothing comes of it any more, whatever it was
				r.opens("hugo", "bob", false)
			})
		})
	}
}

// A row that goes as it should is no alarm: it is confirmed, taken, objected to, and one
// is opened after the other.
func TestRecoveriesAsTheyGoAreNoAlarm(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn, nil)
		r.person("bob", "password", "totp")
		secret, _ := r.opens("helga", "bob", true)
		if err := r.tryConfirm("root", "bob", r.word(secret)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
			t.Fatal(err)
		}
		r.inspects()
		r.change(func(tx *store.Tx) error { _, err := r.StopTx(t.Context(), tx, r.account("bob").ID); return err })
		_, second := r.opens("hugo", "bob", false)
		if second.version != 1 {
			t.Errorf("a new one is at %d", second.version)
		}
		for range 2 {
			r.inspects()
			storetest.Quiet(t, r.db)
			r.again()
		}
		r.change(func(tx *store.Tx) error { _, err := DropAllTx(t.Context(), tx, r.keys); return err })
		_, third := r.opens("hugo", "bob", false)
		if third.ID <= second.ID {
			t.Errorf("%d after %d", third.ID, second.ID)
		}
		r.inspects()
		storetest.Quiet(t, r.db)
	})
}

// What is dropped because an older copy was put back stays dropped: also the case of a
// release before, which would be bound at the next start.
func TestWhatIsDroppedStaysDropped(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	r.person("dora", "password", "totp")
	secret, _ := r.opens("helga", "bob", false)
	doras, was := r.opens("helga", "dora", false)
	makeOld(r, was)
	_, vals := r.opens("helga", "rita", false)
	storetest.NewAttacker(t, r.dsn).Do(`update recovery set note = 'x' where id = $1`, vals.ID)
	r.change(func(tx *store.Tx) error { _, err := DropAllTx(t.Context(), tx, r.keys); return err })
	if err := Bind(t.Context(), r.db, r.keys); err != nil {
		t.Fatal(err)
	}
	r.later(25 * time.Hour)
	for _, s := range []string{secret, doras} {
		if _, _, err := r.Collect(t.Context(), s, ""); err == nil {
			t.Error("a pass is handed over")
		}
	}
	if all, err := r.List(t.Context(), 0); err != nil || len(all) != 1 || all[0].Phase(r.now) != Stopped {
		t.Errorf("%+v, %v", all, err)
	}
}

// makeOld writes a case as a release did that had no version.
func makeOld(r *rig, c Case) {
	r.t.Helper()
	c.version = 0
	storetest.NewAttacker(r.t, r.dsn).Do(`update recovery set version = 0, mac = $2 where id = $1`, c.ID, r.keys.MAC(keyring.Recovery, c.fieldsOfBefore()))
}

// Whatever somebody does to the row of a browser that shows a number, the number is worth
// nothing; one that was served is not served twice.
func TestABrowserOfSomebodyElseIsNone(t *testing.T) {
	cases := map[string]struct {
		do    func(r *rig, a *storetest.Attacker, where string)
		wrong string
	}{
		"deleted": {func(r *rig, a *storetest.Attacker, where string) { a.Do(`delete from recovery_request where ` + where) }, ""},
		"put back after it was served": {func(r *rig, a *storetest.Attacker, where string) {
			row := a.Copy("recovery_request", where)
			if _, err := r.tryOpen("helga", "bob", Opening{Number: row.Of("number").(string), Check: "video", Note: "x"}); err != nil {
				r.t.Fatal(err)
			}
			r.change(func(tx *store.Tx) error { _, err := r.StopTx(r.t.Context(), tx, r.account("bob").ID); return err })
			a.PutBack(row.With("id", int64(99)), "id")
		}, store.Returned},
	}
	for _, column := range []string{"account = 2", "number = '000000'", "source = 'x'", "created = created - 1", "expires = expires + 1", "mac = secret"} {
		cases[column] = struct {
			do    func(r *rig, a *storetest.Attacker, where string)
			wrong string
		}{func(r *rig, a *storetest.Attacker, where string) {
			a.Do(`update recovery_request set ` + column + ` where ` + where)
		}, store.Altered}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				r := setUpOn(t, dsn, nil)
				r.person("bob", "password", "totp")
				secret, number := r.asks("bob")
				row := hex.EncodeToString(hash(secret))
				r.inspects()
				storetest.Quiet(t, r.db)
				c.do(r, storetest.NewAttacker(t, dsn), "account = "+strconv.FormatInt(int64(r.account("bob").ID), 10))
				for range 2 {
					_, err := r.tryOpen("hugo", "bob", Opening{Number: number, Check: "video", Note: "x"})
					if failure.ClassOf(err) != failure.Invalid {
						t.Errorf("the number is good for a case: %v", err)
					}
					r.inspects()
					if c.wrong == "" {
						storetest.Quiet(t, r.db)
					} else {
						storetest.Alarmed(t, r.db, "recovery_request", row, c.wrong)
					}
					r.again()
				}
			})
		})
	}
}

// A case is given a number that none had before.
func TestNumbersOfCasesAreGivenOnce(t *testing.T) {
	for name, next := range map[string]int64{"one of before": 1, "one far ahead": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				r := setUpOn(t, dsn, nil)
				r.person("bob", "password", "totp")
				r.opens("hugo", "rita", false)
				a := storetest.NewAttacker(t, dsn)
				a.Do(`delete from recovery`)
				if !strings.HasPrefix(dsn, "postgres") {
					a.Do(`update sqlite_sequence set seq = $1 where name = 'recovery'`, next-1)
				} else if _, err := storetest.File(t, dsn).ExecContext(t.Context(), `alter table recovery alter column id restart with `+strconv.FormatInt(next, 10)); err != nil {
					t.Fatal(err)
				}
				_, number := r.asks("bob")
				if _, err := r.tryOpen("hugo", "bob", Opening{Number: number, Check: "video", Note: "x"}); !errors.Is(err, store.ErrNumbers) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Cases of a release before are bound once, however many; what did not bear its MAC of
// then is not.
func TestCasesOfBeforeAreBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn, nil)
		a := storetest.NewAttacker(t, dsn)
		before := func(name string, id int64) (secret string, row storetest.Copied) {
			r.person(name, "password", "totp")
			secret, c := r.opens("helga", name, false)
			if r.later(25 * time.Hour); name == "eve" {
				if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
					t.Fatal(err)
				}
			}
			c = one(t, r, c.ID)
			row = a.Copy("recovery", "id = $1", c.ID)
			secret = "another of " + name // as though it had been opened before there was a version
			c.ID, c.secret = id, hash(secret)
			a.PutBack(row.With("id", id).With("secret", c.secret), "id")
			makeOld(r, c)
			return secret, row
		}
		secret, row := before("bob", 500)
		taken, _ := before("eve", 700)
		for i := range bindPage {
			a.PutBack(row.With("id", int64(1000+i)).With("secret", []byte{byte(i), 1}).With("version", int64(0)), "id")
		}
		r.asks("bob")
		if err := Bind(t.Context(), r.db, r.keys); err != nil {
			t.Fatal(err)
		}
		if err := Bind(t.Context(), r.db, r.keys); err != nil { // what is bound is bound
			t.Fatal(err)
		}
		if r.phase(secret) != Ready || r.phase(taken) != Collected {
			t.Errorf("%v, %v", r.phase(secret), r.phase(taken))
		}
		var n int64
		if err := r.db.QueryRow(t.Context(), `select count(*) from recovery where version = 0`).Scan(&n); err != nil || n != bindPage || r.db.Newest(rowKind, 1000) != 0 {
			t.Errorf("%d that did not bear their MAC are left, %v", n, err)
		}
		if err := r.db.QueryRow(t.Context(), `select count(*) from recovery_request`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d browsers go on, %v", n, err)
		}
	})
}

// one reads a case as it is.
func one(t *testing.T, r *rig, id int64) Case {
	t.Helper()
	all, err := r.List(t.Context(), 0)
	for _, c := range all {
		if c.ID == id {
			return c
		}
	}
	t.Fatal(err)
	return Case{}
}
