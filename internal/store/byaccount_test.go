package store_test

import (
	"fmt"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// An account's entries are found in every page of the index, in order, whichever way one
// goes and wherever one begins; those of others are not among them.
func TestEntriesOfAnAccountInAllPages(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
		for _, account := range []int64{7, 8} {
			storetest.Change(t, db, func(tx *store.Tx) error {
				return tx.Record(audit.Entry{Event: "signin.granted", Outcome: audit.OK, Account: account, AccountName: "ada"})
			})
		}
		if _, err := db.Checkpoint(ctx); err != nil { // on PostgreSQL entries wait for their numbers
			t.Fatal(err)
		}
		var copies []string
		for of, places := range [][]int64{{4094, 4096, 8191, 262143, 262145, 900000}, {4095, 4097, 262144, 900001}} {
			for _, seq := range places {
				copies = append(copies, fmt.Sprintf("insert into audit_entry (seq, at, account, body, mac) select %d, at, account, body, mac from audit_entry where seq = %d", seq, of))
			}
		}
		intruder(t, dsn, copies...)
		for name, c := range map[string]struct {
			f    store.Filter
			want string
		}{
			"all":                {store.Filter{}, "0 4094 4096 8191 262143 262145 900000"},
			"newest first":       {store.Filter{Newest: true}, "900000 262145 262143 8191 4096 4094 0"},
			"from one on":        {store.Filter{From: 4096, Limit: 3}, "4096 8191 262143"},
			"before one":         {store.Filter{Before: 262145, Newest: true, Limit: 2}, "262143 8191"},
			"between":            {store.Filter{From: 4095, Before: 262144}, "4096 8191 262143"},
			"beyond the end":     {store.Filter{From: 900001}, ""},
			"before a high one":  {store.Filter{Before: 1 << 62, Newest: true, Limit: 1}, "900000"},
			"an edge by itself":  {store.Filter{From: 262144, Before: 262145}, ""},
			"the end by itself":  {store.Filter{From: 900000, Before: 900001}, "900000"},
			"from before it all": {store.Filter{From: -5, Limit: 1}, "0"},
		} {
			c.f.Account = 7
			got, err := db.AuditLog().Entries(ctx, c.f)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var seqs []string
			for _, e := range got {
				seqs = append(seqs, fmt.Sprint(e.Seq))
			}
			if s := strings.Join(seqs, " "); s != c.want {
				t.Errorf("%s: %s, want %s", name, s, c.want)
			}
		}
	})
}

// The question for an account's entries is answered from its index, and does not go through
// the log.
func TestEntriesOfAnAccountAreFoundByTheirIndex(t *testing.T) {
	dsn := t.TempDir() + "/db"
	storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	args := make([]any, 4+store.IndexPages)
	for i := range args {
		args[i] = i
	}
	for _, order := range []string{"", " desc"} {
		rows, err := storetest.File(t, dsn).Query("explain query plan "+store.ByAccount+order+" limit $3", args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		rows.Close()
		if all := strings.Join(plan, "; "); !strings.Contains(all, "USING INDEX audit_entry_page (<expr>=? AND account=?)") || strings.Contains(all, "SCAN") {
			t.Errorf("%s", all)
		}
	}
}
