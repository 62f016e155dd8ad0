package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
	eachEngine(t, func(t *testing.T, dsn string) {
		v := newVault(t, dsn)
		var there []string
		for _, table := range v.tables() {
			there = append(there, table)
			s, ok := database[table]
			if !ok {
				t.Errorf("nobody has said what becomes of the table %s", table)
				continue
			}
			is := v.columns(table)
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
func (v *vault) changes(table string, s stored) (all []tampering) {
	v.t.Helper()
	rows := v.rows(table, s.where)
	if len(rows) == 0 {
		v.t.Errorf("%s has no row to attack", table)
		return nil
	}
	r := rows[0]
	all = append(all, tampering{name: table + ": a row removed", table: table, row: r, expects: s.removed,
		do: func() error { v.delete(table, r, s.key); return nil }, undo: func() { v.delete(table, r, s.key); v.back(table, r) }})
	for _, column := range v.columns(table) {
		name := table + "." + column
		if slices.Contains(strings.Fields(s.covered), column) {
			all = append(all, tampering{name: name + " changed", table: table, row: r, do: func() error { return v.swap(table, r, s.key, column) }, undo: func() { v.restore(table, r, s.key, column) }})
		}
	}
	return all
}

// The promise: whoever changes any column that decides anything, removes, copies or moves
// a row beside the running server, is not believed and is noticed.
func TestEveryColumnChanged(t *testing.T) {
	eachEngine(t, func(t *testing.T, dsn string) {
		v := newVault(t, dsn)
		v.quietly()
		for table, s := range v.ours() {
			for _, a := range append(v.changes(table, s), v.copies(table, s)...) {
				v.tries(a)
			}
		}
	})
}

// The promise: so is whoever does it while the server is stopped, when it starts again.
func TestEveryColumnChangedWhileStopped(t *testing.T) {
	eachEngine(t, func(t *testing.T, dsn string) {
		v := newVault(t, dsn)
		undo := func() {}
		for table, s := range v.ours() {
			if s.asleep != "" {
				s.removed = s.asleep
			}
			for _, a := range append(v.changes(table, s), v.copies(table, s)...) {
				var refused error
				mark := v.mark()
				starts := v.again(func() {
					undo()
					v.must("delete from alarm")
					refused = a.do()
				}, a.undo)
				if undo = a.undo; refused != nil || !starts {
					undo = func() {}
					continue
				}
				v.judgeSince(a, mark)
			}
		}
	})
}

// ours are the tables that a sweep looks at, in order: the log is looked at by itself.
func (v *vault) ours() func(func(string, stored) bool) {
	return func(yield func(string, stored) bool) {
		for _, table := range v.tables() {
			if s := database[table]; !strings.HasPrefix(table, "audit_") && !yield(table, s) {
				return
			}
		}
	}
}

// quietly looks at everything once: nothing that Countersign itself wrote is an alarm.
func (v *vault) quietly() {
	v.t.Helper()
	if err := v.Inspect(context.Background()); err != nil {
		v.t.Fatal(err)
	}
	v.isCalm("before anything was changed")
}

func (v *vault) isCalm(when string) {
	v.t.Helper()
	alarms, err := v.DB.Alarms().Unseen(context.Background())
	if err != nil {
		v.t.Fatal(err)
	}
	for _, a := range alarms {
		v.t.Errorf("%s: %s %s is said to be %s", when, a.Table, a.Row, a.Wrong)
	}
}

// tries does it beside the running server, and looks.
func (v *vault) tries(a tampering) {
	v.t.Helper()
	if err := a.do(); err != nil {
		fmt.Fprintf(v.t.Output(), "%s: the database refuses it: %v\n", a.name, err)
		return
	}
	v.judge(a)
	a.undo()
	v.calm()
}

// mark is the number of the next entry of the log.
func (v *vault) mark() (next int64) {
	v.t.Helper()
	v.numbered() // also what was found before
	if err := v.DB.QueryRow(context.Background(), "select coalesce(max(seq), -1) + 1 from audit_entry").Scan(&next); err != nil {
		v.t.Fatal(err)
	}
	return next
}

// judge looks at everything and compares what was found with what was expected.
func (v *vault) judge(a tampering) { v.judgeSince(a, v.mark()) }

// judgeSince is judge where it may have been found before, since an entry of the log.
func (v *vault) judgeSince(a tampering, mark int64) {
	v.t.Helper()
	ctx := context.Background()
	if err := v.Inspect(ctx); err != nil {
		v.t.Errorf("%s: the sweep stops: %v", a.name, err)
	}
	if a.expects != "" {
		return
	}
	var found []record
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		found = v.rows("alarm", "seen = 0 and tbl = '"+a.table+"'")
		if len(found) > 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(found) == 0 {
		v.t.Errorf("%s: nobody notices", a.name)
		return
	}
	for _, f := range found {
		fmt.Fprintf(v.t.Output(), "%s: %s %s %s\n", a.name, f["tbl"], f["row_key"], f["wrong"])
	}
	v.once(a, mark)
}

// once looks once more, and fails where the log has an alarm twice since an entry.
func (v *vault) once(a tampering, mark int64) {
	v.t.Helper()
	ctx := context.Background()
	if err := v.Inspect(ctx); err != nil {
		v.t.Errorf("%s: the sweep stops: %v", a.name, err)
	}
	entries, err := v.DB.AuditLog().Entries(ctx, store.Filter{Event: store.TamperedEvent, From: mark, Limit: 1000})
	if err != nil {
		v.t.Fatal(err)
	}
	said := map[string]int{}
	for _, e := range entries {
		place := e.Detail["table"] + " " + e.Detail["row"] + " " + e.Reason
		if said[place]++; said[place] == 2 {
			v.t.Errorf("%s: %s is in the log twice", a.name, place)
		}
	}
	if len(said) == 0 {
		v.t.Errorf("%s: the log does not say it", a.name)
	}
}
