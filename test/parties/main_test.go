//go:build parties

// Package parties has the stories of programs that take long to build: they are no part of make
// test, and make test-parties builds and plays them.
package parties

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/cli"
	"countersign/internal/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, cli.Main) }

// program builds a program of a module, in the version that was tried, and keeps it in the user's
// cache: the next run has it.
func program(t *testing.T, module, version, main string, more ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "countersign-parties", filepath.Base(module)+"-"+version)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	out, err := exec.Command("go", "mod", "download", module+"@"+version).CombinedOutput()
	if err != nil {
		t.Fatalf("%s cannot be had: %v\n%s", module, err, out)
	}
	root, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", path + ".new"}, more...), main)...)
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), module+"@"+version)
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", module, err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}
