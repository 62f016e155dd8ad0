package testbed_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// A component outlives the thread on which a test asked for it.
func TestAComponentOutlivesAThread(t *testing.T) {
	var log *testbed.Log
	thread := make(chan int)
	var ask func()
	ask = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the function
		if syscall.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread()
			go ask() // the first thread never ends: on another one
			<-t.Context().Done()
			return
		}
		log = testbed.Start(t, testbed.Process{Path: "/bin/sh", Dir: t.TempDir(),
			Args: []string{"-c", `trap "echo ended; exit" TERM; while :; do echo tick; sleep 0.02; done`}})
		thread <- syscall.Gettid()
	}
	go ask()
	task := fmt.Sprintf("/proc/self/task/%d", <-thread)
	wait := func(what string, ready func() bool) {
		for deadline := time.Now().Add(30 * time.Second); !ready(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) || strings.Contains(log.String(), "ended") {
				t.Fatalf("%s: %s", what, log)
			}
		}
	}
	wait("the thread stays", func() bool { _, err := os.Stat(task); return os.IsNotExist(err) })
	ticks := strings.Count(log.String(), "tick")
	wait("the component ended", func() bool { return strings.Count(log.String(), "tick") > ticks+3 })
}
