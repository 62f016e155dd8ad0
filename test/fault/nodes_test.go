package fault

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: what one server ended another refuses a moment later, although it
// remembered the session.
func TestRevocationReachesTheOtherServer(t *testing.T) {
	a, b, ada, _ := servertest.TwoNodes(t)
	secret := a.SignedIn(ada)
	b.Skew.Store(a.Skew.Load())
	for range 3 { // so that it is remembered
		if s := b.Check(secret, signin.SignIn, ""); s.State != signin.Granted {
			t.Fatalf("the other server does not know the session: %v %s", s.State, s.Reason)
		}
	}
	d, err := a.Accounts.Find(t.Context(), a.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	err = a.DB.Change(t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if _, err := a.Endings.EndAllTx(t.Context(), tx, d.ID, ""); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.ended", Outcome: audit.OK})
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	// A second is promised, and a machine under test may be slow: what is remembered
	// wrongly lasts for thirty.
	for end := time.Now().Add(20 * time.Second); !ended && time.Now().Before(end); {
		if s := b.Check(secret, signin.SignIn, ""); s.State != signin.Granted {
			ended = true
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !ended {
		t.Error("the other server still lets the ended session in")
	}
}

// The promise: a server that cannot hear of revocations trusts nothing that it
// remembers, and comes back by itself.
func TestCutOffServerRefuses(t *testing.T) {
	a, b, ada, _ := servertest.TwoNodes(t)
	secret := a.SignedIn(ada)
	b.Skew.Store(a.Skew.Load())
	if s := b.Check(secret, signin.SignIn, ""); s.State != signin.Granted {
		t.Fatal(s.State, s.Reason)
	}
	pids := postgresOf(t)
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	wake := sync.OnceFunc(func() {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGCONT)
		}
	})
	t.Cleanup(wake)
	refused := false
	for range 100 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		s, err := b.Engine.Check(ctx, signin.Request{Application: signin.Self, Session: secret, Protocol: "browser", Medium: prompt.Browser})
		cancel()
		if err != nil || s.State != signin.Granted {
			refused = true
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !refused {
		t.Error("a server without its database went on from memory")
	}
	wake()
	b.Until("it comes back by itself", func() bool {
		s, err := b.Engine.Check(context.Background(), signin.Request{Application: signin.Self, Session: secret, Protocol: "browser", Medium: prompt.Browser})
		return err == nil && s.State == signin.Granted
	})
}

// postgresOf finds the processes of the servers that this test started.
func postgresOf(t *testing.T) []int {
	t.Helper()
	out, err := exec.Command("pgrep", "-f", "countersign-pg-|postgres:").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, line := range strings.Fields(string(out)) {
		pid, _ := strconv.Atoi(line)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		parent, _ := strconv.Atoi(strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[1])
		if ours := parent == os.Getpid() || parentOf(parent) == os.Getpid(); ours {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatal("no PostgreSQL process of ours")
	}
	return pids
}

func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	parent, _ := strconv.Atoi(strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[1])
	return parent
}

// The promise: guesses at once on two servers, under every spelling of a name,
// draw on one budget.
func TestOneBudgetOnTwoServers(t *testing.T) {
	a, b, ada, _ := servertest.TwoNodes(t)
	var checked atomic.Int32
	var all sync.WaitGroup
	for i := range 64 {
		w := []*servertest.World{a, b}[i%2]
		name := []string{"ada", "ADA", " Ada", "\uff41\uff44\uff41"}[i%4]
		all.Go(func() {
			r := servertest.Line(name, servertest.Passphrase, fmt.Sprintf("%06d", i))
			r.Source = netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
			s, err := w.Engine.Begin(context.Background(), r)
			if err != nil {
				if failure.ClassOf(err) != failure.Unavailable && failure.ClassOf(err) != failure.Conflict {
					t.Errorf("guess %d: %v", i, err)
				}
				return
			}
			if s.Reason == "wrong" {
				checked.Add(1)
			}
		})
	}
	all.Wait()
	if n := checked.Load(); n == 0 || n > 10 {
		t.Errorf("%d guesses were compared; five before it must wait, and some whose server read the budget before", n)
	}
	if s := a.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State == signin.Granted {
		t.Error("the right one need not wait")
	}
}

// The promise: what was closed at one server is opened by whoever shows two factors
// without it at another.
func TestClosedOnOneServerOpenedOnAnother(t *testing.T) {
	a, b, ada, _ := servertest.TwoNodes(t)
	if s := a.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	key := servertest.GetsPasskey(ada)
	for i := range 20 {
		a.Later(2 * time.Hour)
		if s := a.Begin(servertest.Line("ada", fmt.Sprint("guess ", i), "")); s.Reason != "wrong" {
			t.Fatalf("guess %d: %s", i, s.Reason)
		}
	}
	a.Later(2 * time.Hour)
	b.Skew.Store(a.Skew.Load())
	if s := b.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.Reason != "closed" {
		t.Fatalf("at the other server: %v %s", s.State, s.Reason)
	}
	b.Until("the other server has heard of it", func() bool { // two factors at b, as soon as it knows
		p := b.Person()
		p.Get("/sign-in")
		answer, err := key.Get(b.Base, p.PasskeyOptions())
		if err != nil {
			t.Fatal(err)
		}
		p.Post("/sign-in", "authenticator", "passkey", "data", string(answer))
		return b.Events("credential.opened") > 0
	})
	a.Later(time.Minute)
	if s := a.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("after a passkey at the other server: %s", s.Reason)
	}
}
