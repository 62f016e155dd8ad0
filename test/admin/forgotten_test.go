package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"countersign/internal/admin/account"
	"countersign/internal/assurance"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// stay are the tables that go on to speak of an account that was removed.
var stay = map[string]string{
	"audit_entry": "what happened stays", "alarm": "and what was found", "session": "ended, until it would have been over",
	"recovery": "whoever opened one answers for it", "notice": "its owner is told of the end", "approval": "until its time is over",
}

// column is one that a row cannot be without.
type column struct{ name, kind string }

// ofAccounts are the tables that have rows of an account: by name, the column that says
// whose they are, and the others that must be filled.
func ofAccounts(t *testing.T, db *store.DB) (whose map[string]string, others map[string][]column) {
	t.Helper()
	rows, err := db.Query(t.Context(), `select m.name, p.name, p.type, p."notnull", p.dflt_value is null, p.pk from sqlite_master m join pragma_table_info(m.name) p where m.type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	whose, others = map[string]string{}, map[string][]column{}
	for rows.Next() {
		var table string
		var c column
		var must, bare bool
		var key int
		if err := rows.Scan(&table, &c.name, &c.kind, &must, &bare, &key); err != nil {
			t.Fatal(err)
		}
		if c.name == "account" || c.name == "owner" {
			whose[table] = c.name
		} else if bare && (must || key > 0) {
			others[table] = append(others[table], c)
		}
	}
	return whose, others
}

// Whoever removes an account asks every room to forget it: no table but those named keeps
// a row of it, and those of others stay.
func TestRemovedAccountsAreForgotten(t *testing.T) {
	o := newOffice(t)
	id := map[string]assurance.AccountID{}
	for _, name := range []string{"henry", "irene"} {
		if _, err := o.Setup.Plant(t.Context(), name, ""); err != nil {
			t.Fatal(err)
		}
		d, err := o.Accounts.Find(t.Context(), o.DB, name)
		if err != nil {
			t.Fatal(err)
		}
		id[name] = d.ID
	}
	whose, others := ofAccounts(t, o.DB)
	if len(whose) < 18 {
		t.Fatalf("only %v: the test has lost its way", whose)
	}
	mine := []string{"known_source", "attempt", "wake", "quiet", "prompted", "app_count", "sent", "message", "recovery_request", "ticket"}
	for n, name := range []string{"henry", "irene"} {
		for _, table := range mine {
			columns, values := []string{whose[table]}, []string{fmt.Sprint(id[name])}
			for _, c := range others[table] {
				value := fmt.Sprint(9_000_000 + n)
				switch strings.ToLower(c.kind) {
				case "text":
					value = fmt.Sprintf("'forgotten %d'", n)
				case "blob", "bytea":
					value = fmt.Sprintf("x'0%d'", n)
				}
				columns, values = append(columns, c.name), append(values, value)
			}
			storetest.Sabotage(t, o.DB, "insert into "+table+" ("+strings.Join(columns, ", ")+") values ("+strings.Join(values, ", ")+")")
		}
	}
	count := func(table, name string) (n int) {
		t.Helper()
		if err := o.DB.QueryRow(context.Background(), "select count(*) from "+table+" where "+whose[table]+" = $1", int64(id[name])).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, table := range mine {
		if count(table, "henry") == 0 {
			t.Errorf("%s has nothing of the account: the test has lost its way", table)
		}
	}
	do1[map[string]string](o, &account.Remove{Name: "henry"})
	for _, table := range slices.Sorted(maps.Keys(whose)) {
		if n := count(table, "henry"); n > 0 && stay[table] == "" {
			t.Errorf("%s keeps %d rows of the account that was removed", table, n)
		}
	}
	for _, table := range append(mine, "account_alias", "credential") {
		if count(table, "irene") == 0 {
			t.Errorf("%s lost the row of another account", table)
		}
	}
}
