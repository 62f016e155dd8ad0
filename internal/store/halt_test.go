package store_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// house is a database with a server that remembers.
type house struct {
	t      *testing.T
	dsn    string
	folder string
	keys   store.AuditKeys
	db     *store.DB
	rows   int
}

// houses runs a test on both engines.
func houses(t *testing.T, f func(*house)) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		f(&house{t: t, dsn: dsn, folder: filepath.Join(t.TempDir(), "remembered"), keys: storetest.Keys(t)})
	})
}

func (h *house) options() store.Options {
	return store.Options{DSN: h.dsn, Remember: h.folder}
}

// open starts the server. From the second time on the keys are not fresh any more.
func (h *house) open() {
	h.t.Helper()
	h.db = storetest.OpenWith(h.t, h.options(), h.keys)
	h.keys.Fresh = false
}

// refuses says with what error the server does not start.
func (h *house) refuses() error {
	h.t.Helper()
	db, err := store.Open(ctx, h.options())
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	err = db.UseAuditKeys(ctx, h.keys)
	if err == nil {
		h.t.Fatal("it starts")
	}
	return err
}

// write makes changes, which are numbered when it returns.
func (h *house) write(n int) {
	h.t.Helper()
	for range n {
		h.rows++
		if err := change(h.db, key("row ", h.rows)); err != nil {
			h.t.Fatal(err)
		}
	}
	if _, err := h.db.Checkpoint(ctx); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) sql(statements ...string) { h.t.Helper(); intruder(h.t, h.dsn, statements...) }

// halts waits until every change is refused, and says why.
func (h *house) halts() error {
	h.t.Helper()
	eventually(h.t, "it halts", func() bool { return h.db.Condition().Halted() != nil })
	if err := change(h.db, "after all"); !errors.Is(err, store.ErrHalted) || !errors.Is(err, store.ErrUnavailable) {
		h.t.Errorf("a change: %v", err)
	}
	if err := h.db.Condition().Health(ctx); !errors.Is(err, store.ErrHalted) {
		h.t.Errorf("health: %v", err)
	}
	if _, err := h.db.Checkpoint(ctx); !errors.Is(err, store.ErrHalted) {
		h.t.Errorf("a checkpoint: %v", err)
	}
	if _, err := h.db.AuditLog().Entries(ctx, store.Filter{}); err != nil {
		h.t.Errorf("reading: %v", err)
	}
	return h.db.Condition().Halted()
}

const (
	keepTree = "create table old_tree as select * from audit_tree"
	backTree = "delete from audit_tree"
	oldTree  = "insert into audit_tree select * from old_tree"
)

// cuts are the ways to take the log back, or to put another in its place.
var cuts = map[string][]string{
	"all of it is gone":              {"delete from audit_entry", "delete from audit_tree", "delete from audit_checkpoint"},
	"the tree is gone":               {"delete from audit_tree"},
	"the tree is another's":          {"update audit_tree set mac = (select mac from audit_entry where seq = 0)"},
	"the tree is an older one":       {backTree, oldTree},
	"the end is cut off":             {"delete from audit_entry where seq >= 5", "delete from audit_checkpoint where size > 5", backTree, oldTree},
	"the end is cut off, not signed": {"delete from audit_entry where seq >= 5", backTree, oldTree},
}

func TestACutLogHalts(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			houses(t, func(h *house) {
				h.open()
				h.write(5)
				h.sql(keepTree)
				h.write(5)
				h.sql(cut...)
				h.halts()
				h.db.Close()
				if err := h.refuses(); !errors.Is(err, store.ErrHalted) {
					t.Errorf("a start: %v", err)
				}
			})
		})
	}
}

// The same across a restart: what the folder holds says how long the log was.
func TestACutLogIsRefusedAtStart(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			houses(t, func(h *house) {
				h.open()
				h.write(5)
				h.sql(keepTree)
				h.write(5)
				h.db.Close()
				h.sql(cut...)
				err := h.refuses()
				if !errors.Is(err, store.ErrHalted) || !strings.Contains(err.Error(), "countersign rollback-recovery") || !strings.Contains(err.Error(), "countersign audit accept") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Where either file is lost, the other says it.
func TestOneFileIsEnough(t *testing.T) {
	for _, lost := range []string{"log-head", "versions"} {
		t.Run(lost, func(t *testing.T) {
			houses(t, func(h *house) {
				h.open()
				h.write(5)
				h.sql(keepTree)
				h.write(5)
				h.db.Close()
				if err := os.Remove(filepath.Join(h.folder, lost)); err != nil {
					t.Fatal(err)
				}
				h.sql(cuts["the end is cut off"]...)
				h.refuses()
			})
		})
	}
}

// With keys that were used there was a log.
func TestAnEmptiedLogIsNoNewOne(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		h.write(3)
		h.db.Close()
		if err := store.Forget(h.folder); err != nil {
			t.Fatal(err)
		}
		h.sql(cuts["all of it is gone"]...)
		if err := h.refuses(); !errors.Is(err, store.ErrHalted) {
			t.Error(err)
		}
		h.keys.Fresh = true
		h.open()
		h.write(1)
	})
}

// A log that was written elsewhere with the same keys is another one, however long.
func TestAnotherLogHalts(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		h.write(5)
		h.sql(keepTree, "create table old_entry as select * from audit_entry")
		h.write(5)
		h.sql("create table new_tree as select * from audit_tree", "create table new_entry as select * from audit_entry")
		back := func(which string) {
			h.sql("delete from audit_tree", "delete from audit_entry", "delete from audit_checkpoint",
				"insert into audit_tree select * from "+which+"_tree", "insert into audit_entry select * from "+which+"_entry")
		}
		h.db.Close()
		back("old")
		other := storetest.OpenWith(t, store.Options{DSN: h.dsn}, h.keys)
		for i := range 9 {
			if err := change(other, key("elsewhere ", i)); err != nil {
				t.Fatal(err)
			}
		}
		other.Close()
		h.sql("create table their_tree as select * from audit_tree", "create table their_entry as select * from audit_entry")
		h.refuses()
		back("new")
		h.open()
		h.write(1)
		back("their")
		h.halts()
	})
}

// An entry that was altered before this server has read it is not learnt from.
func TestAnEntryAlteredUnread(t *testing.T) {
	for name, alter := range map[string]string{
		"altered": "update audit_entry set body = (select body from audit_entry where seq = 1) where seq = 3",
		"removed": "delete from audit_entry where seq = 3",
	} {
		t.Run(name, func(t *testing.T) {
			houses(t, func(h *house) {
				h.open()
				h.write(6)
				h.db.Close()
				store.Forget(h.folder)
				h.sql(alter)
				h.open()
				if err := h.halts(); !strings.Contains(err.Error(), "entry 3") {
					t.Error(err)
				}
			})
		})
	}
}

// finding is what an alarm says, on one line.
func (h *house) findings() map[string]bool {
	h.t.Helper()
	all, err := h.db.Alarms().Unseen(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, a := range all {
		out[a.Table+" "+a.Row+" "+a.Wrong] = true
	}
	return out
}

func (h *house) finds(what string) {
	h.t.Helper()
	eventually(h.t, what, func() bool { return h.findings()[what] })
}

// Old entries are read again and again: the one that is not as it was is an alarm, and
// the log goes on.
func TestOldEntriesAreReadAgain(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		h.write(12)
		eventually(t, "the log is read", func() bool { return store.ReadTo(h.db) == 12 })
		h.sql("update audit_entry set body = (select body from audit_entry where seq = 1) where seq = 3",
			"delete from audit_entry where seq in (5, 6)",
			"update audit_entry set seq = -7 where seq = 7",
			"update audit_entry set at = 0 where seq = 8",
			"update audit_entry set account = 7 where seq = 9")
		for _, what := range []string{"audit_entry 3 altered", "audit_entry 5 missing", "audit_entry 6 missing", "audit_entry 7 missing", "audit_entry 8 altered", "audit_entry 9 altered"} {
			h.finds(what)
		}
		if err := change(h.db, "it goes on"); err != nil {
			t.Error(err)
		}
		if n := count(t, h.db, "select count(*) from audit_entry where seq in (8, 9) and (at = 0 or account <> 0)"); n != 0 {
			t.Errorf("%d are still filed under something else", n)
		}
		eventually(t, "entries say it, once each", func() bool {
			all, err := h.db.AuditLog().Entries(ctx, store.Filter{Event: store.TamperedEvent})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for _, e := range all {
				seen[e.Detail["row"]+e.Reason]++
			}
			for row, n := range seen {
				if n != 1 {
					t.Fatalf("%s: %d times", row, n)
				}
			}
			return len(seen) == 6
		})
	})
}

// What is lost with the folder is learnt again from the log.
func TestTheFolderIsLost(t *testing.T) {
	for _, lost := range []string{"", "versions", "account", "others"} {
		t.Run("lost "+lost, func(t *testing.T) {
			houses(t, func(h *house) {
				h.open()
				anchor := func(kind string, n, version int64) {
					t.Helper()
					err := h.db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
						tx.Anchor(kind, n, version)
						return tx.Record(entry("anchor"))
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				anchor("account", 7, 3)
				anchor("account", 70_000, 300)
				anchor("team", 4, store.Gone)
				h.db.Close()
				path := filepath.Join(h.folder, lost)
				switch lost {
				case "":
					store.Forget(h.folder)
				case "others": // whatever is there is altered
					for _, name := range []string{"account", "versions", "log-head"} {
						path := filepath.Join(h.folder, name)
						b, err := os.ReadFile(path)
						if err != nil {
							t.Fatal(err)
						}
						b[len(b)/2] ^= 1
						os.WriteFile(path, b, 0o600)
					}
				default:
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				}
				h.open()
				eventually(t, "the log is read", h.db.View().CaughtUp)
				for _, c := range []struct {
					kind       string
					n, version int64
				}{{"account", 7, 3}, {"account", 70_000, 300}, {"account", 8, 0}, {"team", 4, store.Gone}} {
					if v := h.db.Newest(c.kind, c.n); v != c.version {
						t.Errorf("%s %d is at %d", c.kind, c.n, v)
					}
				}
			})
		})
	}
}

// accept opens the database to be mended.
func (h *house) accept(because string) store.Accepted {
	h.t.Helper()
	o := h.options()
	o.Broken = true
	db := storetest.OpenWith(h.t, o, h.keys)
	defer db.Close()
	done, err := db.Accept(ctx, audit.Actor{Name: "operator root"}, because)
	if err != nil {
		h.t.Fatal(err)
	}
	db.Close()
	if err := store.Forget(h.folder); err != nil {
		h.t.Fatal(err)
	}
	return done
}

// A database that is opened to be examined leaves what the server remembers as it is, also
// where that is damaged.
func TestExaminingChangesNoMemory(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		err := h.db.Change(ctx, storetest.Actor, func(tx *store.Tx) error {
			tx.Anchor("account", 7, 3)
			return tx.Record(entry("examined"))
		})
		if err != nil {
			t.Fatal(err)
		}
		h.db.Close()
		if err := os.WriteFile(filepath.Join(h.folder, "versions"), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := files(t, h.folder)
		if before["account"] == "" {
			t.Fatalf("the folder holds %d files, and no page of accounts", len(before))
		}
		o := h.options()
		o.Broken = true
		storetest.OpenWith(t, o, h.keys).Close()
		if !maps.Equal(files(t, h.folder), before) {
			t.Error("what the server remembers was changed")
		}
	})
}

// files are the contents of a folder's files, by name.
func files(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		b, readErr := os.ReadFile(filepath.Join(folder, e.Name()))
		err, all[e.Name()] = errors.Join(err, readErr), string(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestACutLogIsAccepted(t *testing.T) {
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			houses(t, func(h *house) {
				h.open()
				h.write(5)
				h.sql(keepTree)
				h.write(5)
				h.db.Close()
				h.sql(cut...)
				done := h.accept("mallory was here")
				if done.Known.Entries != 10 || done.Next.Entries != 10 || done.Next.Root != done.Known.Root {
					t.Errorf("%+v", done)
				}
				h.open()
				h.write(5)
				eventually(t, "the log is read", h.db.View().CaughtUp)
				if err := h.db.Condition().Halted(); err != nil {
					t.Fatal(err)
				}
				got, err := h.db.AuditLog().Entries(ctx, store.Filter{Event: store.AcceptedEvent})
				if err != nil || len(got) != 1 || got[0].Detail["because"] != "mallory was here" || got[0].Seq != 10 {
					t.Errorf("%+v, %v", got, err)
				}
				r, err := h.db.AuditLog().Verify(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if gone := strings.Contains(name, "cut off") || strings.Contains(name, "all of it"); gone == r.OK() {
					t.Errorf("it says %v", r.Faults)
				}
				h.db.Close()
				h.open()
				h.write(1)
			})
		})
	}
}

// Where nothing outside the database tells, it goes on from what is still ours.
func TestAcceptedWithoutAnyTree(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		h.write(10)
		h.db.Close()
		store.Forget(h.folder)
		h.sql("delete from audit_tree", "delete from audit_entry where seq = 4", "update audit_entry set seq = 1000 where seq = 6", "update audit_entry set body = mac where seq = 7")
		done := h.accept("a disk was lost")
		if done.Next.Entries != 10 || done.Strays != 1 || done.Known.Entries != -1 || done.Stored.Entries != -1 {
			t.Errorf("%+v", done)
		}
		h.open()
		h.write(3)
		eventually(t, "the log is read", h.db.View().CaughtUp)
		h.write(1)
		r, err := h.db.AuditLog().Verify(ctx)
		if err != nil || !strings.Contains(faults(r), "removed 4-4") {
			t.Errorf("%s, %v", faults(r), err)
		}
		for _, what := range []string{"audit_entry 4 missing", "audit_entry 6 missing", "audit_entry 7 altered"} {
			h.finds(what)
		}
	})
}

// An older copy that was put back is gone on from, and a server of another machine that
// has heard of more takes that from the log. A copy of before is refused ever after.
func TestAnOlderCopyIsAccepted(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		h.write(5)
		h.sql(keepTree)
		h.write(5)
		h.db.Close()
		h.sql(cuts["the end is cut off"]...)
		elsewhere := filepath.Join(t.TempDir(), "elsewhere")
		if err := os.CopyFS(elsewhere, os.DirFS(h.folder)); err != nil {
			t.Fatal(err)
		}
		o := h.options()
		o.Broken = true
		db := storetest.OpenWith(t, o, h.keys)
		done, err := db.AcceptRollback(ctx, audit.Actor{Name: "operator root"})
		if err != nil || done.Next.Entries != 5 || done.Known.Entries != 10 {
			t.Fatalf("%+v, %v", done, err)
		}
		db.Close()
		store.Forget(h.folder)
		h.open()
		h.write(2)
		r, err := h.db.AuditLog().Verify(ctx)
		if err != nil || !r.OK() {
			t.Errorf("%v, %v", r.Faults, err)
		}
		h.db.Close()
		h.folder = elsewhere
		h.open()
		eventually(t, "the log is read", h.db.View().CaughtUp)
		h.write(1)
		if err := h.db.Condition().Halted(); err != nil {
			t.Fatal(err)
		}
		h.db.Close()
		h.sql("delete from audit_entry where seq >= 6", "delete from audit_checkpoint where size > 6", backTree, oldTree)
		h.refuses()
	})
}

func TestNothingIsAcceptedWhereNothingIsWrong(t *testing.T) {
	houses(t, func(h *house) {
		h.open()
		h.write(3)
		if _, err := h.db.Accept(ctx, storetest.Actor, "why not"); err == nil {
			t.Error("accepted while it runs")
		}
		h.db.Close()
		o := h.options()
		o.Broken = true
		db := storetest.OpenWith(t, o, h.keys)
		defer db.Close()
		for range 2 {
			if _, err := db.Accept(ctx, storetest.Actor, "why not"); !errors.Is(err, store.ErrNothingWrong) {
				t.Error(err)
			}
			if _, err := db.AcceptRollback(ctx, storetest.Actor); !errors.Is(err, store.ErrNothingWrong) {
				t.Error(err)
			}
		}
	})
}
