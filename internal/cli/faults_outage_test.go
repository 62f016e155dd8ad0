package cli

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

	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

// tries signs ada in by one line of password and code, and reports whether that
// was granted. It waits no longer than a gateway does.
func (h *house) tries(code string) (granted bool, err error) {
	return h.triesFor(2*time.Second, code)
}

// triesFor is tries by somebody who is owed an answer and waits for it.
func (h *house) triesFor(wait time.Duration, code string) (granted bool, err error) {
	ctx, stop := context.WithTimeout(context.Background(), wait)
	defer stop()
	s, err := h.Engine.Begin(ctx, line("ada", passphrase, code))
	return err == nil && s.State == signin.Granted, err
}

// ready asks the server as a load balancer does.
func (h *house) ready() bool {
	h.t.Helper()
	r, err := http.Get(h.base + "/readyz")
	if err != nil {
		h.t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// outage plays one: while it lasts nobody is let in and nothing is used up, and
// when it is over all goes on without a restart.
func (h *house) outage(breaks, mends func()) {
	h.t.Helper()
	h.later(time.Minute)
	code := h.ada.code()
	was := h.ledger()
	breaks()
	for range 3 {
		if granted, err := h.tries(code); granted || err == nil {
			h.t.Errorf("during the outage: granted %v, %v", granted, err)
		}
	}
	if h.ready() {
		h.t.Error("ready during the outage")
	}
	mends()
	h.until("the honest code is accepted", func() bool {
		granted, err := h.triesFor(time.Minute, code)
		if err == nil && !granted {
			h.t.Fatal("the code was used up during the outage")
		}
		return granted
	})
	h.until("ready", h.ready)
	if granted, _ := h.tries(code); granted {
		h.t.Error("a code was accepted twice")
	}
	h.balanced("after the outage", was, h.ledger(), 1)
	report, err := h.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		h.t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// until waits until something holds; a test that waits in vain ends by the
// whole run's deadline, and says for what.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for n := 0; !holds(); n++ {
		if n == 200 {
			w.t.Logf("still waiting: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
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
	h.outage(func() {
		fill()
		// What was written and is not used any more may still have room.
		h.until("the disk is full", func() bool {
			_, err := h.Engine.Begin(context.Background(), line("nobody", "wrong", ""))
			return err != nil
		})
	}, free)
	h.outage(func() { h.Pragma("query_only=1") }, func() { h.Pragma("query_only=0") })
}

// The promise: while PostgreSQL is gone nobody is let in, standing sessions are
// not believed, and all goes on by itself when it is back.
func TestPostgreSQLGoneAndBack(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	h := newHouse(t, server.DSN)
	p := h.visitor("ada", h.ada)
	outside := func() {
		h.until("memory is not believed", func() bool { return !h.DB.Feed().Fresh() })
		if p.get("/account"); strings.Contains(p.page, "Where you are signed in") {
			t.Error("a session was believed while nobody could have ended it")
		}
	}
	h.outage(func() { server.Kill(); outside() }, func() { server.Restart(t) })
	h.until("the session is good again", p.inside)
}

// The promise: the same while PostgreSQL is frozen.
func TestPostgreSQLFrozen(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	newHouse(t, server.DSN).frozen(server, 0)
}

// frozen has the database stand still for at least so long.
func (h *house) frozen(server *storetest.Server, least time.Duration) {
	var resume func()
	h.outage(func() {
		resume = server.Pause(h.t)
		h.until("memory is not believed", func() bool { return !h.DB.Feed().Fresh() })
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
		code := h.ada.code()
		granted, err := h.triesFor(time.Minute, code)
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
			if granted, _ := h.tries(code); granted {
				t.Error("a code was accepted twice")
			}
		}
	}
	use(true)
	h.later(time.Hour)
	use(true)
	h.later(-time.Hour)
	replay()
	h.later(time.Hour + time.Minute)
	use(true)

	mallory := func() string {
		s := h.begin(line("root", "not the password", ""))
		return s.Reason
	}
	for range 5 {
		mallory()
	}
	if r := mallory(); r != "delayed" {
		t.Fatalf("after five wrong answers: %q", r)
	}
	h.later(-time.Hour)
	if r := mallory(); r != "delayed" {
		t.Errorf("the clock was set back, and the budget is as new: %q", r)
	}
	h.later(time.Hour + 10*time.Minute)
	if s := h.begin(line("root", passphrase, h.root.code())); s.State != signin.Granted {
		t.Errorf("with the right time again: %v", s.Reason)
	}
}
