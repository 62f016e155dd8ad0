package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// imported measures an import of 100,000 tokens from the command line against one of
// a tenth, and by how much the server's memory grows meanwhile: it is in this
// process, with everything else that a benchmark holds.
func (c *costs) imported() {
	tenth, _ := c.importOf(10_000)
	whole, grown := c.importOf(100_000)
	c.row("import of 100,000 tokens, from a file on the command line", "SQLite", short(whole), "ten times 10,000 "+short(10*tenth), fmt.Sprintf("%.2f", whole.Seconds()/(10*tenth).Seconds()),
		"", "seconds, memory flat")
	c.row("the server's memory meanwhile", "SQLite", fmt.Sprintf("%.0f MiB more", grown), "", "", "", "memory flat")
}

// importOf imports so many tokens, and returns how long that took and what it added
// to the most memory that this process ever had, in MiB.
func (c *costs) importOf(n int) (took time.Duration, grown float64) {
	w := servertest.NewWorld(c.b)
	desk := servertest.TokenDesk(w)
	path := filepath.Join(c.b.TempDir(), "tokens.csv")
	writeTokens(c.b, path, n)
	before, begun := highWater(c.b), time.Now()
	if out, err := desk.Command("token", "import", path, "--format", "oath-csv", "--commit").CombinedOutput(); err != nil {
		c.b.Fatalf("%s%v", out, err)
	}
	took = time.Since(begun)
	if got := importTokens(w, c.b); got != n {
		c.b.Fatalf("%d tokens", got)
	}
	return took, highWater(c.b) - before
}

func importTokens(w *servertest.World, b *testing.B) (n int) {
	if err := w.DB.QueryRow(b.Context(), `select count(*) from token`).Scan(&n); err != nil {
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
