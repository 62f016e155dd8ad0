package token

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/keyring/keyringtest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// rig is the stock on a real database.
type rig struct {
	*Stock
	dsn, folder string
	root        keyring.Root
}

func setUp(t *testing.T) *rig {
	t.Helper()
	return setUpOn(t, filepath.Join(t.TempDir(), "token.db"))
}

func setUpOn(t *testing.T, dsn string) *rig {
	t.Helper()
	r := &rig{dsn: dsn, folder: t.TempDir(), root: keyring.NewRoot()}
	r.open(t)
	return r
}

func (r *rig) open(t *testing.T) {
	t.Helper()
	db, keys := keyringtest.Open(t, store.Options{DSN: r.dsn, Remember: r.folder}, r.root)
	r.Stock = NewStock(db, keys)
}

// restart is this server after a stop and a start.
func (r *rig) restart(t *testing.T) {
	t.Helper()
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
}

// try runs one audited change and returns its error.
func (r *rig) try(t *testing.T, fn func(tx *store.Tx) error) error {
	t.Helper()
	return storetest.Try(t, r.db, fn)
}

func (r *rig) change(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	storetest.Change(t, r.db, fn)
}

// intruder writes by a connection of their own.
func (r *rig) intruder(t *testing.T, statements ...string) {
	t.Helper()
	storetest.Intrude(t, r.dsn, statements...)
}

// finds waits until the log has these alarms, and fails where it has others, or one twice.
func (r *rig) finds(t *testing.T, want ...store.Finding) {
	t.Helper()
	storetest.Finds(t, r.db, want...)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// ada is somebody's number: this room reads no accounts.
const ada assurance.AccountID = 7

// stocked has two tokens, of which ada has one.
func stocked(t *testing.T, dsn string) *rig {
	t.Helper()
	r := setUpOn(t, dsn)
	r.change(t, func(tx *store.Tx) error {
		return r.Add(t.Context(), tx, []Token{{Serial: "A1", Kind: "totp", Seed: []byte("a"), Batch: "b"}, {Serial: "A2", Kind: "totp", Seed: []byte("b"), Batch: "b"}})
	})
	r.note(t, "A1", Assigned)
	return r
}

func (r *rig) note(t *testing.T, serial, state string) (out Token) {
	t.Helper()
	r.change(t, func(tx *store.Tx) (err error) {
		if out, err = r.Get(t.Context(), tx, serial); err != nil {
			return err
		}
		out.State, out.Account = state, ada
		return r.Update(t.Context(), tx, out)
	})
	return out
}

// facts are what is believed.
func (r *rig) facts(t *testing.T) (out []string) {
	t.Helper()
	for _, serial := range []string{"A1", "A2", "A3"} {
		if one, err := r.Get(t.Context(), r.db, serial); err == nil {
			out = append(out, fmt.Sprintf("%s is %s of %d with %q", serial, one.State, one.Account, one.Seed))
		}
	}
	return out
}

// Whatever somebody does to the rows who can write to the database, nothing is believed
// that was not so before, and the log says it once: at once or with the next sweep, and
// nothing more after a restart.
func TestNothingIsGained(t *testing.T) {
	attacks := []struct {
		name  string
		then  string   // the state of A1 after the copy was taken
		run   []string // kept is the copy
		wrong string
		row   string // empty: the number of A1; A2: of that
	}{
		{name: "one that was revoked put back", then: Revoked, run: []string{`delete from token where serial = 'A1'`, `insert into token select * from kept`}, wrong: store.Older},
		{name: "one that is lost put back", then: Lost, run: []string{`delete from token where serial = 'A1'`, `insert into token select * from kept`}, wrong: store.Older},
		{name: "its state", run: []string{`update token set state = 'stock' where serial = 'A1'`}, wrong: store.Altered},
		{name: "deleted", run: []string{`delete from token where serial = 'A1'`}, wrong: store.Missing, row: "A1"},
		{name: "its seed", run: []string{`update token set seed = (select seed from token where serial = 'A2') where serial = 'A1'`}, wrong: store.Altered},
		{name: "its row for another's", run: []string{`update token set serial = 'A3' where serial = 'A2'`}, wrong: store.Altered, row: "A2"},
	}
	for _, a := range attacks {
		try := func(t *testing.T, dsn string) {
			r := stocked(t, dsn)
			r.intruder(t, `create table kept as select * from token where serial = 'A1'`)
			ids := map[string]int64{}
			for _, serial := range []string{"A1", "A2"} {
				one, err := r.Get(t.Context(), r.db, serial)
				if err != nil {
					t.Fatal(err)
				}
				ids[serial] = one.id
			}
			found := store.Finding{Table: "token", Row: number(ids["A1"]), Wrong: a.wrong, Account: int64(ada)}
			switch a.row {
			case "A1":
				found.Row, found.Account = "A1", 0
			case "A2":
				found.Row, found.Account = number(ids["A2"]), 0
			}
			if a.then != "" {
				r.note(t, "A1", a.then)
			}
			if err := r.Inspect(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.finds(t)
			before := r.facts(t)
			r.intruder(t, a.run...)
			for range 2 {
				for _, fact := range r.facts(t) {
					if !slices.Contains(before, fact) {
						t.Errorf("%q was not so before", fact)
					}
				}
				if err := r.Inspect(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.finds(t, found)
				r.restart(t)
			}
		}
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			try(t, filepath.Join(t.TempDir(), "token.db"))
		})
		if a.then != "" { // a MAC is one on every engine
			t.Run(a.name+" on PostgreSQL", func(t *testing.T) {
				t.Parallel()
				try(t, storetest.Postgres(t))
			})
		}
	}
}

// Each road to a row reports one that is not as it was left by itself: who asks for it, and
// a round of the sweep.
func TestWhoReportsAToken(t *testing.T) {
	asks := func(t *testing.T, r *rig) {
		if _, err := r.Get(t.Context(), r.db, "A1"); err == nil {
			t.Error("it is believed")
		}
	}
	sweep := func(t *testing.T, r *rig) {
		if err := r.Inspect(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		do    []string
		ask   func(t *testing.T, r *rig)
		wrong string
	}{
		"altered, swept":     {[]string{`update token set state = 'revoked' where serial = 'A1'`}, sweep, store.Altered},
		"altered, asked for": {[]string{`update token set state = 'revoked' where serial = 'A1'`}, asks, store.Altered},
		"older, swept":       {[]string{`delete from token where serial = 'A1'`, `insert into token select * from aside where serial = 'A1'`}, sweep, store.Older},
		"older, asked for":   {[]string{`delete from token where serial = 'A1'`, `insert into token select * from aside where serial = 'A1'`}, asks, store.Older},
		"removed, asked for": {[]string{`delete from token where serial = 'A1'`}, asks, store.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := stocked(t, filepath.Join(t.TempDir(), "token.db"))
			r.intruder(t, `create table aside as select * from token`)
			one := r.note(t, "A1", Lost)
			sweep(t, r)
			r.finds(t)
			r.intruder(t, c.do...)
			c.ask(t, r)
			c.ask(t, r)
			found := store.Finding{Table: "token", Row: number(one.id), Wrong: c.wrong, Account: int64(ada)}
			if c.wrong == store.Missing {
				found.Row, found.Account = "A1", 0
			}
			r.finds(t, found)
		})
	}
}

// What was read just before it was changed is no alarm, and is not refused; once it is
// removed it is not there. A sweep goes on behind a row that is as it was left.
func TestChangedSinceItWasRead(t *testing.T) {
	r := stocked(t, filepath.Join(t.TempDir(), "token.db"))
	r.note(t, "A1", Returned)
	read, err := r.Get(t.Context(), r.db, "A1")
	if err != nil {
		t.Fatal(err)
	}
	r.note(t, "A1", Lost)
	if err := r.newest(t.Context(), read); err != nil {
		t.Errorf("changed since: %v", err)
	}
	r.finds(t)
	r.intruder(t, `update token set detail = 'x' where serial = 'A2'`)
	if err := r.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	var second int64
	if err := r.db.QueryRow(t.Context(), `select id from token where serial = 'A2'`).Scan(&second); err != nil {
		t.Fatal(err)
	}
	behind := store.Finding{Table: "token", Row: number(second), Wrong: store.Altered}
	r.finds(t, behind)
	r.intruder(t, `delete from token where serial = 'A1'`)
	if err := r.newest(t.Context(), read); err != unknown {
		t.Errorf("removed since: %v", err)
	}
	r.finds(t, behind)
}

// A sweep finds nothing where nobody did anything, however much is done.
func TestSweepsFindNothing(t *testing.T) {
	r := stocked(t, filepath.Join(t.TempDir(), "token.db"))
	r.note(t, "A1", Returned)
	r.note(t, "A2", Lost)
	for range 2 {
		if err := r.Inspect(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.facts(t)
		storetest.Quiet(t, r.db)
		r.restart(t)
	}
}

// alarmed waits for an alarm of a row that was altered.
func (r *rig) alarmed(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		said, err := r.db.AuditLog().Entries(t.Context(), store.Filter{Event: store.TamperedEvent, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(said, func(e audit.Entry) bool { return e.Detail["table"] == "token" && e.Reason == store.Altered }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the alarms are %v", said)
		}
	}
}
