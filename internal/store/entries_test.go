package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// history writes twelve entries, an hour apart.
func history(t *testing.T, db *store.DB) {
	t.Helper()
	for i := range 12 {
		e := audit.Entry{At: noon.Add(time.Duration(i) * time.Hour), Event: "signin.granted", Outcome: audit.OK,
			Account: int64(i%3 + 1), AccountName: fmt.Sprintf("Person-%d", i), Application: "vpn"}
		if i%4 == 3 {
			e.Event, e.Outcome, e.Application = "signin.refused", audit.Refused, "mail"
		}
		err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error { return tx.Record(e) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEntriesFilter(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		history(t, db)
		for _, c := range []struct {
			name string
			f    store.Filter
			want string
		}{
			{"all", store.Filter{}, "0 1 2 3 4 5 6 7 8 9 10 11"},
			{"newest", store.Filter{Newest: true, Limit: 3}, "11 10 9"},
			{"next page", store.Filter{Newest: true, Limit: 3, Before: 9}, "8 7 6"},
			{"from", store.Filter{From: 4, Limit: 3}, "4 5 6"},
			{"account", store.Filter{Account: 2}, "1 4 7 10"},
			{"account, newest", store.Filter{Account: 2, Newest: true, Limit: 2}, "10 7"},
			{"event", store.Filter{Event: "signin.refused"}, "3 7 11"},
			{"beginning of an event", store.Filter{Event: "signin", Limit: 2}, "0 1"},
			{"no such event", store.Filter{Event: "refused"}, ""},
			{"application", store.Filter{Application: "mail"}, "3 7 11"},
			{"outcome", store.Filter{Outcome: audit.Refused, Account: 1}, "3"},
			{"since", store.Filter{Since: noon.Add(9 * time.Hour)}, "9 10 11"},
			{"until", store.Filter{Until: noon.Add(2 * time.Hour)}, "0 1"},
			{"between", store.Filter{Since: noon.Add(time.Hour), Until: noon.Add(3 * time.Hour), Newest: true}, "2 1"},
			{"long ago", store.Filter{Until: noon.Add(-time.Hour)}, ""},
			{"in the future", store.Filter{Since: noon.Add(100 * time.Hour)}, ""},
			{"text", store.Filter{Text: "pERSON-7"}, "7"},
		} {
			got, err := db.AuditLog().Entries(ctx, c.f)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			var seqs []string
			for _, e := range got {
				seqs = append(seqs, fmt.Sprint(e.Seq))
			}
			if s := strings.Join(seqs, " "); s != c.want {
				t.Errorf("%s: %s, want %s", c.name, s, c.want)
			}
		}
	})
}

// An entry is found as soon as its change is done, numbered or not.
func TestEntriesShowsWhatWaits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		history(t, db)
		if err := change(db, "fresh"); err != nil {
			t.Fatal(err)
		}
		got, err := db.AuditLog().Entries(ctx, store.Filter{Newest: true, Limit: 1})
		if err != nil || len(got) != 1 || got[0].AccountName != "fresh" || got[0].Actor != storetest.Actor || got[0].At.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
		got, err = db.AuditLog().Entries(ctx, store.Filter{Event: "test"})
		if err != nil || len(got) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		eventually(t, "it is numbered", func() bool {
			got, err := db.AuditLog().Entries(ctx, store.Filter{Newest: true, Limit: 1})
			return err == nil && len(got) == 1 && got[0].Seq == 12
		})
	})
}

// An entry that is numbered while the log is read is found once: neither twice,
// nor not at all.
func TestEntriesWhileTheyAreNumbered(t *testing.T) {
	storetest.Long(t, "writes 300 entries while they are read")
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		done := make(chan struct{})
		var numbering sync.WaitGroup
		defer numbering.Wait()
		defer close(done)
		numbering.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if _, err := db.Checkpoint(ctx); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		for i := range 300 {
			name := key("person-", i, "-")
			if err := change(db, name); err != nil {
				t.Fatal(err)
			}
			for n, f := range []store.Filter{{Text: name}, {Text: name, Newest: true}, {Text: name, Until: time.Now().Add(time.Hour)}} {
				got, err := db.AuditLog().Entries(ctx, f)
				if err != nil || len(got) != 1 {
					t.Fatalf("entry %d was found %d times by filter %d: %v", i, len(got), n, err)
				}
			}
		}
	})
}

// More than one page, and the search does not stop at a page's end.
func TestEntriesAcrossPages(t *testing.T) {
	db := storetest.Open(t)
	const n = 12_345
	err := db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
		for i := range n {
			e := entry(key(i))
			if i%6000 == 0 {
				e.Event = "test.rare"
			}
			if err := tx.Record(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, newest := range []bool{false, true} {
		got, err := db.AuditLog().Entries(ctx, store.Filter{Event: "test.rare", Newest: newest})
		if err != nil || len(got) != 3 {
			t.Errorf("%d, %v", len(got), err)
		}
	}
	seen := 0
	err = db.AuditLog().EachEntry(ctx, 5, func(l audit.Leaf) error {
		if l.Seq != int64(seen+5) {
			t.Fatalf("entry %d after %d", l.Seq, seen+4)
		}
		seen++
		return nil
	})
	if err != nil || seen != n-5 {
		t.Errorf("%d, %v", seen, err)
	}
	if r, err := db.AuditLog().Verify(ctx); err != nil || !r.OK() || r.Entries != n {
		t.Error(r, err)
	}
}

func TestSpoiledEntriesAreShown(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
		history(t, db)
		intruder(t, dsn, "update audit_entry set body = mac where seq = 4")
		got, err := db.AuditLog().Entries(ctx, store.Filter{From: 4, Limit: 1})
		if err != nil || len(got) != 1 || got[0].Seq != 4 || got[0].Event != "audit.unreadable" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
