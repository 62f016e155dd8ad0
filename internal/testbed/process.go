package testbed

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a component may take to answer. It only bounds a
// failure: a component that is ready is used at once.
const patience = 30 * time.Second

// Process is one component as an ordinary process.
type Process struct {
	Path string
	Args []string
	Dir  string
	// Env is added to an otherwise almost empty environment.
	Env []string
	// Ready is the TCP address that is to accept connections, or empty to go on
	// at once.
	Ready string
	// Stop is the signal that asks it to end: zero is SIGTERM. What is left of
	// its process group two seconds later is killed.
	Stop syscall.Signal
	// User runs it as another user, or is nil.
	User *syscall.Credential
}

// Log is what a process has written so far.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Start runs a process until the test ends, and waits until it is ready. One
// that ends before fails the test.
func Start(t testing.TB, p Process) *Log {
	t.Helper()
	log, _ := begin(t, p)
	return log
}

// StartUntil is Start for a process that the test ends itself, or that ends with the test.
func StartUntil(t testing.TB, p Process) (end func()) {
	t.Helper()
	_, end = begin(t, p)
	return end
}

func begin(t testing.TB, p Process) (*Log, func()) {
	t.Helper()
	log := &Log{}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, log, log
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + p.Dir}, p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: p.User}
	cmd.WaitDelay = time.Second
	done, err := launch(cmd)
	if err != nil {
		t.Fatalf("%v; deploy/test-packages.sh installs what tests need", err)
	}
	end := sync.OnceFunc(func() { stop(cmd.Process.Pid, p.Stop, done) })
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.Path, log)
		}
	})
	if p.Ready != "" {
		awaitListener(t, p, done)
	}
	return log, end
}

// launch starts a process on a thread that stays until the process has ended:
// the kernel sends the signal of Pdeathsig when the thread that started it ends,
// and any other thread may (golang.org/issue/27505). done is closed at its end.
func launch(cmd *exec.Cmd) (done <-chan struct{}, err error) {
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(ended)
	}()
	return ended, <-started
}

func stop(pid int, signal syscall.Signal, done <-chan struct{}) {
	if signal == 0 {
		signal = syscall.SIGTERM
	}
	syscall.Kill(pid, signal)
	select {
	case <-done:
	case <-time.After(2 * time.Second):
	}
	syscall.Kill(-pid, syscall.SIGKILL)
	<-done
}

func awaitListener(t testing.TB, p Process, done <-chan struct{}) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c, err := net.DialTimeout("tcp", p.Ready, time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-done:
			t.Fatalf("%s ended before it was ready", p.Path)
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s did not listen on %s", p.Path, p.Ready)
}

// Program finds an executable that tests need, or fails. With -short it skips
// the test instead, so that the fast loop needs nothing but Go.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	var errs []error
	for _, name := range names {
		for _, at := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
			path, err := exec.LookPath(at)
			if err == nil {
				return path
			}
			errs = append(errs, err)
		}
	}
	if testing.Short() {
		t.Skipf("-short: none of %s is installed", strings.Join(names, ", "))
	}
	t.Fatalf("none of %s is installed; deploy/test-packages.sh installs what tests need: %v", strings.Join(names, ", "), errors.Join(errs...))
	return ""
}
