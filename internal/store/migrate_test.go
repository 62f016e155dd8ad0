package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func TestOpenAgainKeepsEverything(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		for i := range 3 {
			db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
			if n := len(spent(t, db)); n != i {
				t.Errorf("%d rows, want %d", n, i)
			}
			if err := change(db, key(i)); err != nil {
				t.Fatal(err)
			}
			db.Close()
		}
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		notes, err := db.AuditLog().Checkpoints(ctx)
		if err != nil || len(notes) < 3 {
			t.Errorf("closing signed %d checkpoints, %v", len(notes), err)
		}
		verify(t, db)
	})
}

func TestManyOpenANewDatabaseAtOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				db, err := store.Open(ctx, store.Options{DSN: dsn})
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				if err := db.UseAuditKeys(ctx, k); err != nil {
					t.Error(err)
				} else if err := change(db, key(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		verify(t, storetest.OpenWith(t, store.Options{DSN: dsn}, k))
	})
}

// spentAsBefore puts the table back as it was before migration 0014, with these rows.
func spentAsBefore(t *testing.T, dsn, rows string) {
	t.Helper()
	intruder(t, dsn, "drop table spent",
		"create table spent (credential bigint not null, once text not null, at bigint not null, primary key (credential, once))",
		"insert into spent (credential, once, at) "+rows,
		"create table api_key (id bigint)", // 0015 drops it
		"drop table milestone",             // 0016 makes it, and these
		"alter table credential drop column ended",
		"alter table credential drop column ender",
		"alter table credential drop column assigned",
		"alter table recovery drop column collected",
		"drop index token_likeness",
		"alter table token drop column likeness",
		"drop index guess_owner",
		"alter table guess drop column owner",
		"drop table alarm", // 0017 makes it, and these
		"alter table account drop column version",
		"alter table account drop column roster",
		"alter table account drop column roster_mac",
		"alter table account_alias drop column mac",
		"alter table address drop column mac",
		"alter table team drop column version",
		"alter table credential drop column power",
		"alter table recovery drop column version",
		"alter table offline_list drop column version",
		"alter table application drop column version",
		"alter table drill_report drop column mac",
		"alter table approval drop column mac",
		"alter table guess drop column mac",
		"alter table known_source drop column mac",
		"alter table app_count drop column mac",
		"alter table wake drop column mac",
		"alter table sent drop column mac",
		"alter table notice drop column mac",
		"alter table quiet drop column mac",
		"alter table session drop column mac",
		"alter table account drop column ends",
		"alter table account drop column language",
		"alter table account drop column changed",
		"alter table team drop column changed",
		"drop index notice_address",
		"alter table notice drop column fill",
		"drop table destination",
		"drop table counted",
		"drop table raised",
		"drop table checklist",
		"drop table upstream",
		"drop table cert_key",
		"drop table participant",
		"drop table signing_key",
		"drop table oauth_grant",
		"drop table oauth_used",
		"drop table oauth_logout",
		"drop table signal_party",
		"drop table signal_position",
		"drop table external_id",
		"drop table scim_target",
		"drop table scim_entry",
		"drop table scim_worker",
		"drop table saml_metadata",
		"drop table partner",
		"drop table delegation",
		"drop index address_mail",
		"drop index audit_entry_page", // 0019 makes it in the place of this one
		"create index audit_entry_account on audit_entry (account, seq)",
		"delete from schema_version where version >= 14")
}

// What was spent before the table was put in another order is spent afterwards, and
// still only once.
func TestSpentStaysSpent(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		storetest.OpenWith(t, store.Options{DSN: dsn}, k).Close()
		spentAsBefore(t, dsn, "values (1, 't57', 5), (2, 't57', 6), (1, 't58', 7)")
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		defer db.Close()
		if n := count(t, db, "select count(*) from spent where at in (5, 6, 7)"); n != 3 {
			t.Errorf("%d rows of three are there", n)
		}
		if err := change(db, "t57"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a step that was spent before: %v", err)
		}
		if err := change(db, "t59"); err != nil {
			t.Error(err)
		}
	})
}

// What was guessed wrong before budgets had owners is counted for whom it was.
func TestGuessesHaveOwners(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		storetest.OpenWith(t, store.Options{DSN: dsn}, k).Close()
		spentAsBefore(t, dsn, "values (1, 't57', 5)")
		none := "x''"
		if strings.HasPrefix(dsn, "postgres") {
			none = "''"
		}
		intruder(t, dsn, "insert into credential (account, kind, traits, state, mac, created) values (7, 'password', '', "+none+", "+none+", 0)",
			"insert into guess (subject, count, since) values ('credential/1', 4, 1), ('credential/3', 1, 1), ('account/7', 6, 1), ('source/192.0.2.7', 2, 1)")
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
		defer db.Close()
		if n := count(t, db, "select sum(count) from guess where owner = 7"); n != 10 {
			t.Errorf("%d of ten", n)
		}
		if n := count(t, db, "select count(*) from guess where owner = 0"); n != 2 {
			t.Errorf("%d have no owner, not 2", n)
		}
	})
}

// Another server goes on spending while the table is put in another order: of what it
// was told is spent, nothing is forgotten.
func TestSpentWhileTheTableChanges(t *testing.T) {
	dsn, k := storetest.StartPostgres(t).DSN, storetest.Keys(t)
	storetest.OpenWith(t, store.Options{DSN: dsn}, k).Close()
	spentAsBefore(t, dsn, "select n, 't' || n, 0 from generate_series(1, 100000) as n")
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var stop atomic.Bool
	told := make(chan int64)
	go func() {
		var n int64
		for ; !stop.Load(); n++ {
			if _, err := conn.Exec(ctx, "insert into spent (credential, once, at) values (0, $1, 0) on conflict do nothing", key(int(n))); err != nil {
				t.Error(err)
				break
			}
		}
		told <- n
	}()
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
	defer db.Close()
	stop.Store(true)
	if want, is := <-told, count(t, db, "select count(*) from spent where credential = 0"); is != want {
		t.Errorf("%d were spent, %d are", want, is)
	}
	if n := count(t, db, "select count(*) from spent where credential > 0"); n != 100_000 {
		t.Errorf("%d of those before", n)
	}
}

func TestANewerSchema(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		k := storetest.Keys(t)
		storetest.OpenWith(t, store.Options{DSN: dsn}, k).Close()
		intruder(t, dsn, "insert into schema_version (version, at) select max(version) + 1, 0 from schema_version")
		db, err := store.Open(ctx, store.Options{DSN: dsn})
		if err != nil {
			t.Fatalf("one newer: %v", err)
		}
		db.Close()
		intruder(t, dsn, "insert into schema_version (version, at) select max(version) + 1, 0 from schema_version")
		if _, err := store.Open(ctx, store.Options{DSN: dsn}); err == nil || !strings.Contains(err.Error(), "newer release") {
			t.Errorf("two newer: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dsn := range map[string]string{
		"nothing":     "",
		"a folder":    dir,
		"no folder":   filepath.Join(dir, "no", "folder"),
		"garbage":     garbage,
		"no server":   "postgres://ada:geheim@/x?host=" + dir,
		"a wrong URL": "postgres://ada:geheim@%zz/x",
	} {
		db, err := store.Open(ctx, store.Options{DSN: dsn})
		if err == nil {
			db.Close()
			t.Errorf("%s: opened", name)
			continue
		}
		if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the password is in the error", name)
		}
		if (name == "no server" || name == "garbage") && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every table has the columns of its own kinds on both engines: a text in a
// column of numbers is refused by both.
func TestColumnsAreStrict(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if err := tx.Record(entry("x")); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "insert into guess (subject, count, since) values ('a', $1, 1)", "many")
			return err
		})
		if err == nil {
			t.Error("a text was taken for a number")
		}
		err = db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if err := tx.Record(entry("x")); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "insert into guess (subject, count, since) values (null, 1, 1)")
			return err
		})
		if err == nil {
			t.Error("a key may be null")
		}
	})
}
