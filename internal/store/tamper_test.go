package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// intruder runs SQL on the database behind the store's back.
func intruder(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	if strings.HasPrefix(dsn, "postgres") {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
		return
	}
	raw, err := sql.Open("sqlite", "file:"+dsn+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	for _, s := range statements {
		if _, err := raw.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func faults(r audit.Report) string {
	var out []string
	for _, f := range r.Faults {
		out = append(out, fmt.Sprintf("%s %d-%d", f.Kind, f.From, f.To))
	}
	return strings.Join(out, ", ")
}

// Somebody who can write to the database cannot write to the log.
func TestTheIntruderIsNamed(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	const move = "insert into audit_entry (seq, at, account, body, mac) select seq + 1000, at, account, body, mac from audit_entry where seq "
	for _, c := range []struct {
		name  string
		sql   []string
		found string
	}{
		{"changed", []string{"update audit_entry set body = (select body from audit_entry where seq = 3) where seq = 7"}, "changed 7-7"},
		{"removed", []string{"delete from audit_entry where seq = 7"}, "removed 7-7"},
		{"removed and closed up", []string{"delete from audit_entry where seq = 7", "update audit_entry set seq = -seq where seq > 7",
			"update audit_entry set seq = -seq - 1 where seq < 0"}, "removed 7-7"},
		{"inserted", []string{"update audit_entry set seq = -seq where seq > 7", "update audit_entry set seq = 1 - seq where seq < 0",
			"insert into audit_entry (seq, at, account, body, mac) select 8, at, account, body, mac from audit_entry where seq = 2"}, "inserted 8-8"},
		{"reordered", []string{"update audit_entry set seq = -1 where seq = 7", "update audit_entry set seq = 7 where seq = 8",
			"update audit_entry set seq = 8 where seq = -1"}, "reordered 7-7"},
		{"cut off", []string{"delete from audit_entry where seq > 20"}, "cut off 21-30"},
		{"cut off with its checkpoints", []string{"delete from audit_entry where seq > 20", "delete from audit_checkpoint where size > 20"}, "cut off 21-30"},
		{"appended", []string{move + "= 2"}, "inserted 1002-1002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, dsn string) {
				db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
				var witness string
				for i := range 31 {
					if err := change(db, key(i)); err != nil {
						t.Fatal(err)
					}
					var err error
					if witness, err = db.Checkpoint(ctx); err != nil { // and on PostgreSQL, numbered in order
						t.Fatal(err)
					}
				}
				intruder(t, dsn, c.sql...)
				r, err := db.AuditLog().Verify(ctx, witness)
				if err != nil {
					t.Fatal(err)
				}
				if got := faults(r); got != c.found {
					t.Errorf("found %q, want %q", got, c.found)
				}
			})
		})
	}
}

// The log cannot be taken back to an earlier state unseen: not with the tree's
// row, which bears a MAC, nor with an older, true copy of it.
func TestTheTreeCannotBeTakenBack(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		for i := range 5 {
			if err := change(db, key(i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		intruder(t, dsn, "create table old as select * from audit_tree")
		for i := range 5 {
			if err := change(db, key("later ", i)); err != nil {
				t.Fatal(err)
			}
		}
		witness, err := db.Checkpoint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		intruder(t, dsn, "delete from audit_tree", "insert into audit_tree select * from old",
			"delete from audit_entry where seq >= 5", "delete from audit_checkpoint where size > 5")
		r, err := db.AuditLog().Verify(ctx, witness)
		if err != nil || faults(r) != "cut off 5-9" {
			t.Errorf("%q, %v", faults(r), err)
		}
	})
}

func TestASpoiledTreeStopsEveryChange(t *testing.T) {
	for name, spoil := range map[string]string{
		"another MAC": "update audit_tree set mac = (select mac from audit_entry where seq = 0)",
		"no tree":     "delete from audit_tree",
	} {
		t.Run(name, func(t *testing.T) {
			dsn := filepath.Join(t.TempDir(), "test.db")
			k := storetest.Keys(t)
			db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
			if err := change(db, "a"); err != nil {
				t.Fatal(err)
			}
			db.Close()
			intruder(t, dsn, spoil)
			db, err := store.Open(ctx, store.Options{DSN: dsn})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.UseAuditKeys(ctx, k); err == nil {
				t.Error("the keys were taken")
			}
			if err := change(db, "b"); err == nil {
				t.Error("changed")
			}
		})
	}
}

// The same while the database is open.
func TestASpoiledTreeStopsALivingStore(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "test.db")
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	if err := change(db, "a"); err != nil {
		t.Fatal(err)
	}
	intruder(t, dsn, "update audit_tree set frontier = zeroblob(8), size = 0")
	if err := change(db, "b"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("change: %v", err)
	}
	if err := db.Condition().Health(ctx); err == nil {
		t.Error("healthy")
	}
	if _, err := db.AuditLog().Tree(ctx); err == nil {
		t.Error("the tree was believed")
	}
}

// What somebody slips into PostgreSQL's inbox is not numbered as ours.
func TestAForgedWaitingEntryIsReported(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	e := entry("forged")
	e.At, e.Actor = store.Time(1e15), audit.System("mallory")
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	intruder(t, dsn, fmt.Sprintf(`insert into audit_inbox (body, mac) values ('\x%x', '\x00'), ('\x00', '\x00')`, body))
	if _, err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := db.AuditLog().Entries(ctx, store.Filter{})
	if err != nil || len(got) != 2 || got[0].Event != "audit.forged" || got[0].Outcome != audit.Failed || got[0].Actor.Name == "mallory" {
		t.Errorf("%+v, %v", got, err)
	}
	if r, err := db.AuditLog().Verify(ctx); err != nil || !r.OK() {
		t.Error(r.Faults, err)
	}
}
