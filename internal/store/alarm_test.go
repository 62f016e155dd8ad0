package store_test

import (
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

func (h *house) told(row string) int {
	h.t.Helper()
	all, err := h.db.AuditLog().Entries(ctx, store.Filter{Event: store.TamperedEvent, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Detail["row"] == row {
			n++
		}
	}
	return n
}

func (h *house) see() int {
	h.t.Helper()
	var n int
	err := h.db.Change(ctx, storetest.Actor, func(tx *store.Tx) (err error) {
		if n, err = h.db.Alarms().See(ctx, tx, tx.Now()); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: store.SeenEvent, Outcome: audit.OK})
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// A finding is an alarm once, for all servers and over restarts, until somebody has seen
// it; and once more when it was well in between.
func TestAnAlarmIsRaisedOnce(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		f := store.Finding{Table: "team", Row: "4", Wrong: store.Older, Account: 7}
		tells := func(n int) {
			t.Helper()
			eventually(t, "the log says it", func() bool { return h.told("4") == n })
		}
		for range 3 {
			h.db.Report(f)
		}
		h.finds("team 4 older")
		tells(1)
		all, _ := h.db.Alarms().Unseen(ctx)
		if len(all) != 1 || all[0].Finding != f || all[0].At.IsZero() {
			t.Errorf("%+v", all)
		}
		h.db.Close()
		h.open()
		h.finds("team 4 older")
		h.db.Report(f)
		h.db.Report(store.Finding{Table: "team", Row: "5", Wrong: store.Older})
		h.finds("team 5 older")
		tells(1)
		if n := h.see(); n != 2 {
			t.Errorf("%d seen", n)
		}
		calm := func() {
			t.Helper()
			eventually(t, "calm", func() bool { return len(h.findings()) == 0 })
		}
		calm()
		h.db.Report(f) // it is as wrong as before
		calm()
		h.db.Close()
		h.open()
		h.db.Report(f)
		eventually(t, "it was looked up", func() bool { return store.Recorded(h.db, f) })
		calm()
		began := time.Now()
		h.db.Report(f)
		h.db.Alarms().Swept(began)
		h.db.Report(f)
		calm()
		tells(1)
		h.db.Alarms().Swept(time.Now()) // and now it was well
		h.db.Report(f)
		h.finds("team 4 older")
		tells(2)
	})
}

// What another server has been told is seen, is seen here.
func TestAnAlarmIsSeenElsewhere(t *testing.T) {
	dsn, k := storetest.Postgres(t), storetest.Keys(t)
	here := &house{t: t, db: storetest.OpenWith(t, store.Options{DSN: dsn}, k)}
	there := &house{t: t, db: storetest.OpenWith(t, store.Options{DSN: dsn}, k)}
	f := store.Finding{Table: "team", Row: "4", Wrong: store.Missing}
	here.db.Report(f)
	there.db.Report(f)
	eventually(t, "both have it", func() bool { return store.Recorded(here.db, f) && store.Recorded(there.db, f) })
	there.see()
	eventually(t, "calm", func() bool { return len(here.findings())+len(there.findings()) == 0 })
	if n := here.told("4"); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// Whoever writes to the table of alarms neither hides one nor makes one up.
func TestTheTableOfAlarms(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		f := store.Finding{Table: "team", Row: "4", Wrong: store.Missing}
		h.db.Report(f)
		h.finds("team 4 missing")
		eventually(t, "it is recorded", func() bool { return store.Recorded(h.db, f) })
		h.sql("create table old_alarm as select * from alarm")
		for _, s := range []string{"update alarm set seen = 1", "update alarm set row_key = '5'", "update alarm set wrong = 'older'", "update alarm set tbl = 'account'", "update alarm set at = 1",
			"update alarm set account = 1", "update alarm set name = 'x'", "delete from alarm"} {
			h.sql(s)
			if got := h.findings(); len(got) != 1 || !got["team 4 missing"] {
				t.Errorf("%s: %v", s, got)
			}
			h.sql("delete from alarm", "insert into alarm select * from old_alarm")
		}
		if n := h.see(); n != 1 {
			t.Errorf("%d seen", n)
		}
		h.sql("create table seen_alarm as select * from alarm")
		h.db.Alarms().Swept(time.Now())
		h.db.Report(f)
		h.finds("team 4 missing")
		eventually(t, "it is recorded", func() bool { return store.Recorded(h.db, f) })
		h.db.Close()
		h.open()
		h.sql("delete from alarm", "insert into alarm select * from seen_alarm") // it was seen before it was found once more
		h.db.Report(f)
		h.finds("team 4 missing")
		eventually(t, "it is recorded", func() bool { return store.Recorded(h.db, f) })
		if n := h.told("4"); n != 3 {
			t.Errorf("%d entries", n)
		}
	})
}

// Whoever alters more rows than are kept in mind has an alarm for each up to there, and
// one for the rest.
func TestVeryManyAlarms(t *testing.T) {
	db := storetest.Open(t)
	for i := range store.FindingsMost + 100 {
		store.Find(db, store.Finding{Table: "guess", Row: key(i), Wrong: store.Altered})
	}
	all, err := db.Alarms().Unseen(ctx)
	if err != nil || len(all) != store.FindingsMost+1 {
		t.Fatal(len(all), err)
	}
	n := 0
	for _, a := range all {
		if a.Row == store.Rest {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d stand for the rest", n)
	}
}

// A doubt about a row keeps that one from being reported for a moment, and no other.
func TestADoubtIsNoAlarm(t *testing.T) {
	db := storetest.Open(t)
	db.View().Doubt("team", 4)
	db.View().Doubt("session", store.NumberOf("abc"))
	for _, c := range []struct {
		f     store.Finding
		alarm bool
	}{
		{store.Finding{Table: "team", Row: "4", Wrong: store.Older}, false},
		{store.Finding{Table: "session", Row: "abc", Wrong: store.Older}, false},
		{store.Finding{Table: "team", Row: "4", Wrong: store.Altered}, true},
		{store.Finding{Table: "team", Row: "5", Wrong: store.Older}, true},
		{store.Finding{Table: "account", Row: "4", Wrong: store.Older}, true},
	} {
		db.Report(c.f)
		all, err := db.Alarms().Unseen(ctx)
		if err != nil {
			t.Fatal(err)
		}
		is := false
		for _, a := range all {
			is = is || a.Finding == c.f
		}
		if is != c.alarm {
			t.Errorf("%+v: %v", c.f, is)
		}
	}
}

// A transaction in which there was a doubt runs once more.
func TestADoubtRunsAgain(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
		runs := 0
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			if runs++; runs == 1 {
				db.View().Doubt("team", 4)
			}
			return put(tx, key("run ", runs))
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{true: 2, false: 1}[len(dsn) > 8 && dsn[:8] == "postgres"]
		if runs != want || len(spent(t, db)) != 1 {
			t.Errorf("%d runs, %v", runs, spent(t, db))
		}
	})
}
