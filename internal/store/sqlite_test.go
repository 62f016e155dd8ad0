package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// faulty opens an SQLite database that can be broken.
func faulty(t *testing.T) (*store.DB, *storetest.Faults, string) {
	t.Helper()
	dsn := filepath.Join(t.TempDir(), "test.db")
	f := storetest.NewFaults(t, dsn)
	return storetest.OpenWith(t, store.Options{DSN: dsn, Driver: f.Driver}, storetest.Keys(t)), f, dsn
}

// A disk that is full or read-only: nothing is written, reading goes on, health
// tells, and all is well when it is mended.
func TestADiskThatTakesNothing(t *testing.T) {
	for name, c := range map[string]struct{ spoil, mend string }{
		"full":      {"max_page_count=1", "max_page_count=1000000"},
		"read-only": {"query_only=1", "query_only=0"},
	} {
		t.Run(name, func(t *testing.T) {
			db, f, _ := faulty(t)
			if err := change(db, "before"); err != nil {
				t.Fatal(err)
			}
			f.Pragma(c.spoil)
			var failed []string
			for i := 0; len(failed) < 5 && i < 5000; i++ { // what is free in the file takes some
				row := key(i, strings.Repeat("x", 200))
				if err := change(db, row); errors.Is(err, store.ErrUnavailable) {
					failed = append(failed, row)
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if len(failed) < 5 {
				t.Fatal("the disk took everything")
			}
			if err := db.Condition().Health(ctx); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("health: %v", err)
			}
			// A transaction that writes nothing commits on a full disk: no cure.
			err := db.Housekeep(ctx, "", func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, "delete from feed where at < 0")
				return err
			})
			if err == nil && db.Condition().Health(ctx) == nil {
				t.Error("healthy after an empty commit")
			}
			rows := spent(t, db)
			for _, row := range failed {
				if rows[row] {
					t.Error("refused and there")
				}
			}
			f.Pragma(c.mend)
			store.Probe(db)
			if err := db.Condition().Health(ctx); err != nil {
				t.Errorf("mended: %v", err)
			}
			if err := change(db, "after"); err != nil {
				t.Error(err)
			}
			verify(t, db)
		})
	}
}

// What is written to a file that lost its name is lost: so nothing is.
func TestTheFileIsGone(t *testing.T) {
	for name, remove := range map[string]func(string) error{
		"removed":  os.Remove,
		"replaced": func(p string) error { return errors.Join(os.Remove(p), os.WriteFile(p, nil, 0o600)) },
		"renamed":  func(p string) error { return os.Rename(p, p+".away") },
	} {
		db, _, dsn := faulty(t)
		if err := change(db, "before"); err != nil {
			t.Fatal(err)
		}
		if err := remove(dsn); err != nil {
			t.Fatal(err)
		}
		if err := change(db, "after"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: change: %v", name, err)
		}
		if err := db.Condition().Health(ctx); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: health: %v", name, err)
		}
	}
}

// Two processes on one file, a server and a command: the log stays one.
func TestTwoOnOneFile(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "test.db")
	k := storetest.Keys(t)
	dbs := []*store.DB{storetest.OpenWith(t, store.Options{DSN: dsn}, k), storetest.OpenWith(t, store.Options{DSN: dsn}, k)}
	var wg sync.WaitGroup
	for c, db := range dbs {
		for g := range 4 {
			wg.Go(func() {
				for i := range 20 {
					if err := change(db, key(c, "/", g, "/", i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	verify(t, dbs[0])
}

func TestBackup(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "test.db")
	k := storetest.Keys(t)
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, k)
	var wg sync.WaitGroup
	stop := make(chan bool)
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := change(db, key(i)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	path := filepath.Join(t.TempDir(), "copy.db")
	err := db.Backup(ctx, path)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if err := db.Backup(ctx, path); err == nil {
		t.Error("overwrote a file")
	}
	if err := db.Backup(ctx, filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("backed up to nowhere")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".backup-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	again := storetest.OpenWith(t, store.Options{DSN: path}, k)
	verify(t, again)
	if err := change(again, "goes on"); err != nil {
		t.Error(err)
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	_, _, dsn := faulty(t)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(dsn + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", suffix, info.Mode(), err)
		}
	}
}

// A path is a path, whatever characters are in it.
func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b.db", "50%.db", "q?x=1.db", "h#h.db", "ü.db", "a&_pragma=synchronous(0).db"} {
		dsn := filepath.Join(t.TempDir(), name)
		db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
		if err := change(db, "a"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(dsn); err != nil || info.Size() == 0 {
			t.Errorf("%s: not where it should be: %v", name, err)
		}
		db.Close()
	}
}

// A commit that returns is on disk, and references hold.
func TestConnectionsAreSetUp(t *testing.T) {
	db := storetest.Open(t)
	for name, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1",
		"busy_timeout": "10000", "trusted_schema": "0", "mmap_size": "0"} {
		got, err := store.Pragma(db, name)
		if err != nil || got != want && !(name == "mmap_size" && got == "") {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
}
