package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/testbed"
)

// The promise: the health check is 0 when the server takes reads and writes, and 1 with a
// sentence when none runs.
func TestReady(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds the program")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "countersign")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/countersign")
	build.Dir = testbed.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, listen := filepath.Join(dir, "data"), testbed.Addr(t)
	file := filepath.Join(dir, "countersign.yaml")
	if err := os.WriteFile(file, []byte("listen: "+listen+"\npublic_url: http://localhost\ndata: "+data+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ready := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), program, "ready")
		cmd.Env = []string{"HOME=" + dir, "COUNTERSIGN_SERVER=" + data}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := ready(); err == nil || !strings.HasPrefix(out, "countersign: ") {
		t.Errorf("no server runs: %q %v", out, err)
	}
	stop := testbed.StartUntil(t, testbed.Process{Path: program, Args: []string{"serve", "--config", file}, Dir: dir, Ready: listen})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := ready()
		if err == nil && out == "The server is ready.\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%q %v", out, err)
		}
	}
	stop()
	if out, err := ready(); err == nil {
		t.Errorf("the server has stopped: %q", out)
	}
}
