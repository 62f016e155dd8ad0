package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkImport imports 10,000 and 100,000 tokens from the command line, and
// says how much memory the command line and the server came to at most. The
// server is in this process, with everything else that a test holds.
func BenchmarkImport(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			desk := w.tokenDesk()
			path := filepath.Join(b.TempDir(), "tokens.csv")
			writeTokens(b, path, n)
			for range 1 {
				before := highWater(b)
				cmd := desk.command("token", "import", path, "--format", "oath-csv", "--commit")
				begun := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%s%v", out, err)
				}
				b.ReportMetric(float64(n)/time.Since(begun).Seconds(), "tokens/s")
				b.ReportMetric(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "client-MiB")
				b.ReportMetric(highWater(b)-before, "server-growth-MiB")
			}
			if w.tokens(b) != n {
				b.Fatalf("%d tokens", w.tokens(b))
			}
		})
	}
}

func (w *world) tokens(b *testing.B) (n int) {
	if err := w.db.QueryRow(b.Context(), `select count(*) from token`).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

func writeTokens(b *testing.B, path string, n int) {
	var text strings.Builder
	for i := range n {
		secret := sha256.Sum256([]byte(strconv.Itoa(i)))
		fmt.Fprintf(&text, "26%010d,%s,totp,6,30\n", i, hex.EncodeToString(secret[:20]))
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
}

var vmHWM = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// highWater is the most memory that this process ever had, in MiB.
func highWater(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseFloat(string(vmHWM.FindSubmatch(status)[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n / 1024
}
