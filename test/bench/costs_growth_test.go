package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// size is how much the grown database holds; BENCHSIZE=full is the design's, and a number is
// that of accounts, with ten entries each.
func size() (accounts, entries int) {
	if os.Getenv("BENCHSIZE") == "full" {
		return 1_000_000, 10_000_000
	}
	if n, err := strconv.Atoi(os.Getenv("BENCHSIZE")); err == nil && n >= 1000 {
		return n, 10 * n
	}
	return 50_000, 500_000
}

// growth compares sign-ins by code with many accounts and entries with those of
// a thousand.
func (c *costs) growth() {
	accounts, entries := size()
	small, large := servertest.NewWorld(c.b), servertest.NewWorld(c.b)
	few := populate(c.b, small, 1000, inFlight)
	start := time.Now()
	many := populate(c.b, large, accounts, inFlight)
	fillLog(c.b, large, entries)
	c.b.Logf("%d accounts and %d entries in %s", accounts, entries, time.Since(start).Round(time.Second))
	ask := func(w *servertest.World, holders []*holder) func(int) error {
		askers := make([]*asker, inFlight)
		for i := range askers {
			askers[i] = newAsker(c.b, w.Radius, servertest.DrillSecret)
		}
		return func(i int) error {
			return holders[i].signIn(askers[i])
		}
	}
	a, l := c.turns(inFlight, ask(large, many), ask(small, few))
	c.dearer(fmt.Sprintf("the same with %d accounts, %d entries", accounts, entries), "SQLite", a, l, "with 1,000", "at most 1.20")
	c.overview(small, large, fmt.Sprintf("the console's overview with %d accounts, %d entries", accounts, entries))
	c.start(large)
}

// overview compares the console's first page of a grown database with that of a small one, each
// opened by an administrator one at a time.
func (c *costs) overview(small, large *servertest.World, path string) {
	open := func(w *servertest.World) func(int) error {
		root := w.Person()
		root.Comes("root", w.Administrator("root").Secret)
		return func(int) error {
			if root.Get("/console"); root.Status != http.StatusOK {
				return fmt.Errorf("the overview answers %d", root.Status)
			}
			return nil
		}
	}
	a, l := c.turns(1, open(large), open(small))
	c.dearer(path, "SQLite", a, l, "with 1,000", "measured")
}

// fillLog writes entries, a few hundred a change.
func fillLog(b *testing.B, w *servertest.World, entries int) {
	b.Helper()
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(entries))
	for range 16 {
		all.Go(func() {
			for left.Add(-200) >= -200 {
				err := w.DB.Change(context.Background(), audit.System("bench"), func(tx *store.Tx) error {
					for i := range 200 {
						if err := tx.Record(audit.Entry{Event: "bench.entry", Outcome: audit.OK, AccountName: strconv.Itoa(i), Application: "vpn", Protocol: "radius", Source: "203.0.113.9"}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// start is how long the program takes until it is ready on a grown database, and
// what it then holds in memory.
func (c *costs) start(w *servertest.World) {
	folder := w.Folder
	w.Stop()
	program := filepath.Join(c.b.TempDir(), "countersign")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "countersign/cmd/countersign").CombinedOutput(); err != nil {
		c.b.Fatalf("%v\n%s", err, out)
	}
	var took []float64
	var resident, file float64
	for range rounds {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.b.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		cmd := exec.Command(program, "serve", "--data", folder, "--listen", addr)
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			c.b.Fatal(err)
		}
		for {
			if resp, err := http.Get("http://" + addr + "/readyz"); err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(begin) > 30*time.Second {
				c.b.Fatal("it does not start")
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, float64(time.Since(begin).Milliseconds()))
		time.Sleep(2 * time.Second)
		resident, file = memoryOf(c.b, cmd.Process.Pid, "VmRSS"), memoryOf(c.b, cmd.Process.Pid, "RssFile")
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}
	slices.Sort(took)
	c.row("start on that database", "SQLite", fmt.Sprintf("%.0f ms", took[rounds/2]), "", "", "", "under 150 ms")
	c.row("idle on it, resident", "SQLite", fmt.Sprintf("%.0f MB", resident), fmt.Sprintf("pages of the program's file %.0f MB", file), "", "", "under 40 MB")
}

// memoryOf is the resident memory of a process in MB: all of it, VmRSS, or what is mapped from
// files, RssFile (proc(5)).
func memoryOf(b *testing.B, pid int, which string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, which+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1000
		}
	}
	return 0
}
