package fault

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

// tries signs ada in by one line of password and code, and reports whether that
// was granted. It waits no longer than a gateway does.
func tries(h *servertest.House, code string) (granted bool, err error) {
	return triesFor(h, 2*time.Second, code)
}

// triesFor is tries by somebody who is owed an answer and waits for it.
func triesFor(h *servertest.House, wait time.Duration, code string) (granted bool, err error) {
	ctx, stop := context.WithTimeout(context.Background(), wait)
	defer stop()
	s, err := h.Engine.Begin(ctx, servertest.Line("ada", servertest.Passphrase, code))
	return err == nil && s.State == signin.Granted, err
}

// ready asks the server as a load balancer does.
func ready(h *servertest.House) bool {
	h.T.Helper()
	r, err := http.Get(h.Base + "/readyz")
	if err != nil {
		h.T.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// outage plays one: while it lasts nobody is let in and nothing is used up, and
// when it is over all goes on without a restart.
func outage(h *servertest.House, breaks, mends func()) {
	h.T.Helper()
	h.Later(time.Minute)
	code := h.Ada.Code()
	was := takeLedger(h)
	breaks()
	for range 3 {
		if granted, err := tries(h, code); granted || err == nil {
			h.T.Errorf("during the outage: granted %v, %v", granted, err)
		}
	}
	if ready(h) {
		h.T.Error("ready during the outage")
	}
	mends()
	h.Until("the honest code is accepted", func() bool {
		granted, err := triesFor(h, time.Minute, code)
		if err == nil && !granted {
			h.T.Fatal("the code was used up during the outage")
		}
		return granted
	})
	h.Until("ready", func() bool { return ready(h) })
	if granted, _ := tries(h, code); granted {
		h.T.Error("a code was accepted twice")
	}
	balanced(h, "after the outage", was, takeLedger(h), 1)
	report, err := h.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		h.T.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// smallDisk is a folder on a file system of its own with 24 MiB, if we may mount
// one, and what fills and frees it.
func smallDisk(t *testing.T) (folder string, fill, free func()) {
	t.Helper()
	folder = t.TempDir()
	if err := syscall.Mount("countersign-test", folder, "tmpfs", 0, "size=24m,mode=0700"); err != nil {
		return folder, nil, nil
	}
	t.Cleanup(func() { syscall.Unmount(folder, syscall.MNT_DETACH) })
	ballast := filepath.Join(folder, "ballast")
	fill = func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for size := 1 << 20; size > 0; {
			if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
				size /= 2
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	return folder, fill, func() { os.Remove(ballast) }
}

// The promise: with a full disk, and on one that became read-only, nobody is let
// in and no code is used up; with room again all goes on by itself.
func TestFullAndReadOnlyDisk(t *testing.T) {
	t.Parallel()
	folder, fill, free := smallDisk(t)
	h := newHouseIn(t, "", folder)
	if fill == nil {
		t.Log("no file system may be mounted here: SQLite is told that its disk is full")
		fill, free = func() { h.Pragma("max_page_count=1") }, func() { h.Pragma("max_page_count=1000000") }
	}
	outage(h, func() {
		fill()
		// What was written and is not used any more may still have room.
		h.Until("the disk is full", func() bool {
			_, err := h.Engine.Begin(context.Background(), servertest.Line("nobody", "wrong", ""))
			return err != nil
		})
	}, free)
	outage(h, func() { h.Pragma("query_only=1") }, func() { h.Pragma("query_only=0") })
}

// The promise: while PostgreSQL is gone nobody is let in, standing sessions are
// not believed, and all goes on by itself when it is back.
func TestPostgreSQLGoneAndBack(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	h := newHouse(t, server.DSN)
	p := h.Visitor("ada", h.Ada)
	outside := func() {
		h.Until("memory is not believed", func() bool { return !h.DB.Feed().Fresh() })
		if p.Get("/account"); strings.Contains(p.Page, "Where you are signed in") {
			t.Error("a session was believed while nobody could have ended it")
		}
	}
	outage(h, func() { server.Kill(); outside() }, func() { server.Restart(t) })
	h.Until("the session is good again", p.Inside)
}

// The promise: the same while PostgreSQL is frozen.
func TestPostgreSQLFrozen(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	frozen(newHouse(t, server.DSN), server, 0)
}

// frozen has the database stand still for at least so long.
func frozen(h *servertest.House, server *storetest.Server, least time.Duration) {
	var resume func()
	outage(h, func() {
		resume = server.Pause(h.T)
		h.Until("memory is not believed", func() bool { return !h.DB.Feed().Fresh() })
		time.Sleep(least)
	}, func() { resume() })
}

// The promise: whatever the clock does, no code is accepted twice and no budget
// is refilled by setting it back; when it is right again all is well.
func TestClockBackAndForward(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	var used []string
	use := func(want bool) {
		t.Helper()
		code := h.Ada.Code()
		granted, err := triesFor(h, time.Minute, code)
		if err != nil || want && !granted {
			t.Errorf("a fresh code: granted %v, %v", granted, err)
		}
		if granted {
			used = append(used, code)
		}
	}
	replay := func() {
		t.Helper()
		for _, code := range used {
			if granted, _ := tries(h, code); granted {
				t.Error("a code was accepted twice")
			}
		}
	}
	use(true)
	h.Later(time.Hour)
	use(true)
	h.Later(-time.Hour)
	replay()
	h.Later(time.Hour + time.Minute)
	use(true)

	mallory := func() string {
		s := h.Begin(servertest.Line("root", "not the password", ""))
		return s.Reason
	}
	for range 5 {
		mallory()
	}
	if r := mallory(); r != "delayed" {
		t.Fatalf("after five wrong answers: %q", r)
	}
	h.Later(-time.Hour)
	if r := mallory(); r != "delayed" {
		t.Errorf("the clock was set back, and the budget is as new: %q", r)
	}
	h.Later(time.Hour + 10*time.Minute)
	if s := h.Begin(servertest.Line("root", servertest.Passphrase, h.Root.Code())); s.State != signin.Granted {
		t.Errorf("with the right time again: %v", s.Reason)
	}
}
