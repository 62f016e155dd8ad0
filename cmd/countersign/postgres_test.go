package main

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

// The promises hold on PostgreSQL with two servers: what one accepted the other
// does not, and what one ended the other refuses.
func TestTwoServersOnPostgreSQL(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	w := newWorldOn(t, dsn)
	ada := w.enrollCodes("ada")
	if err := w.plantApplications(context.Background(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	root, err := rootKey(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	other := newWorldOn(t, dsn)
	other.skew.Store(w.skew.Load())

	code := ada.code()
	var granted atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		engine := []*world{w, other}[i%2].engine
		all.Go(func() {
			s, err := engine.Begin(context.Background(), line("ada", passphrase, code))
			if err == nil && s.State == signin.Granted {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	if n := granted.Load(); n != 1 {
		t.Errorf("one code was accepted %d times on two servers", n)
	}
	report, err := w.db.Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}
