package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/store"
)

// stored says of one table what becomes of each change that somebody makes who can write
// to the database. What is not said to be harmless is refused, and is an alarm. The words
// are those of docs/threat-database.md.
type stored struct {
	key   []string // of its primary key
	where string   // chooses the row that is attacked; empty is any
	// covered are the columns under a seal or a MAC, with the row's key and owner.
	covered string
	// harmless are the others, and why nobody gains by changing them.
	harmless map[string]string
	unique   string // the columns in which no two rows are alike
	oldWhere string // chooses the row of which an older copy is put back
	// removed, copied, moved and putBack are empty where that is an alarm, and say otherwise why
	// nobody gains by it.
	removed, copied, moved, putBack string
	// asleep is why a row that was removed while the server was stopped is no alarm, where
	// it is one beside the running server.
	asleep string
}

// columns are all that are declared.
func (s stored) columns() []string {
	all := strings.Fields(s.covered)
	for name := range s.harmless {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// The promise: there is no column and no table of which nobody has said whether it is
// covered, or why not.
func TestEveryColumnIsDeclared(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		v := servertest.NewVault(t, dsn)
		var there []string
		for _, table := range tables(v.Vandal) {
			there = append(there, table)
			s, ok := database[table]
			if !ok {
				t.Errorf("nobody has said what becomes of the table %s", table)
				continue
			}
			is := columnsOf(v.Vandal, table)
			for _, c := range is {
				if !slices.Contains(s.columns(), c) {
					t.Errorf("nobody has said what becomes of %s.%s", table, c)
				}
			}
			for _, c := range s.columns() {
				if !slices.Contains(is, c) {
					t.Errorf("%s.%s is declared, and is not there", table, c)
				}
			}
		}
		for table := range database {
			if !slices.Contains(there, table) {
				t.Errorf("%s is declared, and is not there", table)
			}
		}
	})
}

// tampering is one thing that somebody does to a row.
type tampering struct {
	name    string
	table   string
	row     record
	do      func() error // an error is a database that does not take it
	undo    func()
	expects string // empty: an alarm
}

// changes are what can be done to a row without knowing how it was before.
func changes(v *servertest.Vault, table string, s stored) (all []tampering) {
	v.T.Helper()
	rows := rows(v.Vandal, table, s.where)
	if len(rows) == 0 {
		v.T.Errorf("%s has no row to attack", table)
		return nil
	}
	r := rows[0]
	all = append(all, tampering{name: table + ": a row removed", table: table, row: r, expects: s.removed,
		do: func() error { delete(v.Vandal, table, r, s.key); return nil }, undo: func() { delete(v.Vandal, table, r, s.key); back(v.Vandal, table, r) }})
	for _, column := range columnsOf(v.Vandal, table) {
		name := table + "." + column
		if slices.Contains(strings.Fields(s.covered), column) {
			all = append(all, tampering{name: name + " changed", table: table, row: r, do: func() error { return swap(v.Vandal, table, r, s.key, column) }, undo: func() { restore(v.Vandal, table, r, s.key, column) }})
		}
	}
	return all
}

// The promise: whoever changes any column that decides anything, removes, copies or moves
// a row beside the running server, is not believed and is noticed.
func TestEveryColumnChanged(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		v := servertest.NewVault(t, dsn)
		quietly(v)
		for table, s := range ours(v) {
			for _, a := range append(changes(v, table, s), copies(v, table, s)...) {
				tries(v, a)
			}
		}
	})
}

// The promise: so is whoever does it while the server is stopped, when it starts again.
func TestEveryColumnChangedWhileStopped(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		v := servertest.NewVault(t, dsn)
		undo := func() {}
		for table, s := range ours(v) {
			if s.asleep != "" {
				s.removed = s.asleep
			}
			for _, a := range append(changes(v, table, s), copies(v, table, s)...) {
				var refused error
				mark := mark(v)
				starts := v.Again(func() {
					undo()
					v.Must("delete from alarm")
					refused = a.do()
				}, a.undo)
				if undo = a.undo; refused != nil || !starts {
					undo = func() {}
					continue
				}
				judgeSince(v, a, mark)
			}
		}
	})
}

// ours are the tables that a sweep looks at, in order: the log is looked at by itself.
func ours(v *servertest.Vault) func(func(string, stored) bool) {
	return func(yield func(string, stored) bool) {
		for _, table := range tables(v.Vandal) {
			if s := database[table]; !strings.HasPrefix(table, "audit_") && !yield(table, s) {
				return
			}
		}
	}
}

// quietly looks at everything once: nothing that Countersign itself wrote is an alarm.
func quietly(v *servertest.Vault) {
	v.T.Helper()
	if err := v.Inspect(context.Background()); err != nil {
		v.T.Fatal(err)
	}
	isCalm(v, "before anything was changed")
}

func isCalm(v *servertest.Vault, when string) {
	v.T.Helper()
	alarms, err := v.DB.Alarms().Unseen(context.Background())
	if err != nil {
		v.T.Fatal(err)
	}
	for _, a := range alarms {
		v.T.Errorf("%s: %s %s is said to be %s", when, a.Table, a.Row, a.Wrong)
	}
}

// tries does it beside the running server, and looks.
func tries(v *servertest.Vault, a tampering) {
	v.T.Helper()
	mark := mark(v) // before it is done: the server may come upon it by itself
	if err := a.do(); err != nil {
		fmt.Fprintf(v.T.Output(), "%s: the database refuses it: %v\n", a.name, err)
		return
	}
	judgeSince(v, a, mark)
	a.undo()
	calm(v)
}

// mark is the number of the next entry of the log.
func mark(v *servertest.Vault) (next int64) {
	v.T.Helper()
	recorded(v)
	v.Numbered() // also what was found before
	if err := v.DB.QueryRow(context.Background(), "select coalesce(max(seq), -1) + 1 from audit_entry").Scan(&next); err != nil {
		v.T.Fatal(err)
	}
	return next
}

// recorded waits until all that was found so far is recorded: findings are recorded one after
// the other, so that the one which is made here comes last.
func recorded(v *servertest.Vault) {
	v.T.Helper()
	last := fmt.Sprint(time.Now().UnixNano())
	v.DB.Report(store.Finding{Table: "sentinel", Row: last, Wrong: store.Missing})
	for deadline := time.Now().Add(time.Minute); len(rows(v.Vandal, "alarm", "tbl = 'sentinel' and row_key = '"+last+"'")) == 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.T.Fatal("what was found is not recorded")
		}
	}
}

// judgeSince looks at everything and compares what was found since an entry of the log with what was expected: the
// server may have come upon it by itself before.
func judgeSince(v *servertest.Vault, a tampering, mark int64) {
	v.T.Helper()
	ctx := context.Background()
	if err := v.Inspect(ctx); err != nil {
		v.T.Errorf("%s: the sweep stops: %v", a.name, err)
	}
	if a.expects != "" {
		return
	}
	var found []record
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		found = rows(v.Vandal, "alarm", "seen = 0 and tbl = '"+a.table+"'")
		if len(found) > 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(found) == 0 {
		v.T.Errorf("%s: nobody notices", a.name)
		return
	}
	for _, f := range found {
		fmt.Fprintf(v.T.Output(), "%s: %s %s %s\n", a.name, f["tbl"], f["row_key"], f["wrong"])
	}
	once(v, a, mark)
}

// once looks once more, and fails where the log has an alarm twice since an entry.
func once(v *servertest.Vault, a tampering, mark int64) {
	v.T.Helper()
	ctx := context.Background()
	if err := v.Inspect(ctx); err != nil {
		v.T.Errorf("%s: the sweep stops: %v", a.name, err)
	}
	entries, err := v.DB.AuditLog().Entries(ctx, store.Filter{Event: store.TamperedEvent, From: mark, Limit: 1000})
	if err != nil {
		v.T.Fatal(err)
	}
	said := map[string]int{}
	for _, e := range entries {
		place := e.Detail["table"] + " " + e.Detail["row"] + " " + e.Reason
		if said[place]++; said[place] == 2 {
			v.T.Errorf("%s: %s is in the log twice", a.name, place)
		}
	}
	if len(said) == 0 {
		v.T.Errorf("%s: the log does not say it", a.name)
	}
}
