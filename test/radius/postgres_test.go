package radius

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"countersign/internal/servertest"
	"countersign/internal/signin"
)

// The promises hold on PostgreSQL with two servers: what one accepted the other
// does not, and what one ended the other refuses.
func TestTwoServersOnPostgreSQL(t *testing.T) {
	w, other, ada, _ := servertest.TwoNodes(t)

	code := ada.Code()
	var granted atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		engine := []*servertest.World{w, other}[i%2].Engine
		all.Go(func() {
			s, err := engine.Begin(context.Background(), servertest.Line("ada", servertest.Passphrase, code))
			if err == nil && s.State == signin.Granted {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	if n := granted.Load(); n != 1 {
		t.Errorf("one code was accepted %d times on two servers", n)
	}
	report, err := w.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}
