package signin

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

// countingStrangers opens a database with a Strangers whose clock the test moves.
func countingStrangers(t *testing.T) (*Strangers, *store.DB, *time.Time) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "strangers.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := keyring.Open(t.Context(), db, keyring.NewRoot()); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	return newStrangers(db, func() time.Time { return now }), db, &now
}

func entriesOf(t *testing.T, db *store.DB, event string) []audit.Entry {
	t.Helper()
	all, err := db.AuditLog().Entries(t.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Nonsense is one entry a minute for each reason and neighbourhood, which says how
// often it was, and from when until when.
func TestNonsenseIsSummedUp(t *testing.T) {
	s, db, now := countingStrangers(t)
	for i := range 1000 {
		s.Count(audit.Entry{Event: "signin.refused", Reason: "unknown-ticket", Source: fmt.Sprintf("2001:db8:0:7::%x", i)})
		if i == 499 {
			if err := s.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			*now = now.Add(30 * time.Second)
		}
	}
	s.Count(audit.Entry{Event: "signin.refused", Reason: "late-ticket", Source: "203.0.113.7"})
	if n := len(entriesOf(t, db, "signin")); n != 0 {
		t.Errorf("%d entries within the minute", n)
	}
	*now = now.Add(31 * time.Second)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := entriesOf(t, db, "signin")
	if len(all) != 2 {
		t.Fatalf("%d entries: %v", len(all), all)
	}
	e := all[1]
	if e.Reason != "unknown-ticket" || e.Source != "2001:db8:0:7::/64" || e.Outcome != audit.Refused || e.Detail["count"] != "1000" ||
		e.Detail["first"] != "2026-11-29T12:00:00Z" || e.Detail["last"] != "2026-11-29T12:00:30Z" {
		t.Errorf("it says %+v", e)
	}
	if err := s.SumUp(t.Context()); err != nil || len(entriesOf(t, db, "signin")) != 2 {
		t.Error("it was summed up twice", err)
	}
}

// However many reasons, names and addresses strangers come with, their entries are as
// many a minute as is said, and none of what they did is missing.
func TestStrangersEntriesAreBounded(t *testing.T) {
	s, db, now := countingStrangers(t)
	const many = 20_000
	own := 0
	for i := range many {
		*now = now.Add(time.Millisecond)
		en := audit.Entry{Event: "answer.refused", Outcome: audit.Refused, Reason: fmt.Sprintf("reason-%d", i%3), Source: fmt.Sprintf("198.51.%d.%d", i/250%250, i%250), AccountName: fmt.Sprintf("name-%d", i)}
		if i%2 == 0 {
			en.Account, en.AccountName = int64(i%1000+1), "somebody"
		}
		err := db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error { return s.record(tx, en) })
		if err != nil {
			t.Fatal(err)
		}
	}
	own = len(entriesOf(t, db, "answer"))
	if own != toldOfNobody+toldOfPeople {
		t.Errorf("%d entries of their own", own)
	}
	if err := s.SumUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, total, of := entriesOf(t, db, "answer"), 0, 0
	for _, e := range all {
		n, err := strconv.Atoi(e.Detail["count"])
		if err != nil {
			n = 1
		}
		if total += n; e.Account != 0 {
			of++
		}
	}
	if total != many {
		t.Errorf("%d of %d are in the log", total, many)
	}
	if len(all) > own+sumsOfAll+3 {
		t.Errorf("%d entries", len(all))
	}
	if of < toldOfPeople {
		t.Errorf("%d of them name an account", of)
	}
}

// One neighbourhood does not take the entries of all.
func TestEntriesOfOneSource(t *testing.T) {
	s, _, now := countingStrangers(t)
	en := audit.Entry{Event: "answer.refused", Source: "203.0.113.7", Account: 7}
	n := 0
	for range 1000 {
		if s.tells(en) {
			n++
		}
	}
	if n != toldOfSource {
		t.Errorf("%d entries of one source", n)
	}
	en.Source = "203.0.113.8"
	if !s.tells(en) {
		t.Error("another source has none")
	}
	*now = now.Add(time.Minute)
	en.Source = "203.0.113.7"
	if !s.tells(en) {
		t.Error("a minute later there is none")
	}
}

// What cannot be written stays counted, and a change that does more than chores is
// nothing without its entry.
func TestCountsOutliveABreakdown(t *testing.T) {
	s, db, now := countingStrangers(t)
	s.Count(audit.Entry{Event: "app.refused", Reason: "unknown-app", Source: "203.0.113.7"})
	db.Close()
	if err := s.SumUp(t.Context()); err == nil {
		t.Fatal("a closed database took an entry")
	}
	*now = now.Add(time.Second)
	s.Count(audit.Entry{Event: "app.refused", Reason: "unknown-app", Source: "203.0.113.7"})
	if len(s.sums) != 1 {
		t.Fatalf("%d sums", len(s.sums))
	}
	for _, c := range s.sums {
		if c.count != 2 || !c.first.Before(c.last) {
			t.Errorf("%d from %s until %s", c.count, c.first, c.last)
		}
	}
}

// Only chores go without an entry.
func TestUnrecordedIsForChores(t *testing.T) {
	_, db, _ := countingStrangers(t)
	write := func(statement string) error {
		return db.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			tx.Unrecorded()
			_, err := tx.Exec(t.Context(), statement)
			return err
		})
	}
	if err := write(`insert into guess (subject, count, since) values ('name/x', 1, 1)`); err != nil {
		t.Error("a budget: ", err)
	}
	if err := write(`insert into team (name, display, privileged, created, mac) values ('x', '', 1, 1, x'00')`); err == nil {
		t.Error("a group was made without an entry")
	}
}
