// Package testbed starts the real components that tests talk to: nginx, Caddy,
// HAProxy, Traefik, a Chromium with a virtual authenticator, and a small page
// to protect.
//
// Their configuration comes from deploy/examples, the files that administrators copy.
// It is for tests on Linux only, and does not start Countersign itself: the stories in
// test/ do. Invariant: a component listens on 127.0.0.1 and ends with the
// test, and its log is shown if the test failed.
package testbed

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Addr returns a loopback address with a port that was just free.
func Addr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Port returns a TCP port that was just free on 127.0.0.1.
func Port(t testing.TB) int {
	t.Helper()
	_, port, _ := net.SplitHostPort(Addr(t))
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Root is the folder of go.mod: the nearest above the test's working directory, which go test
// sets to the package's own. It asks no compiler, so that tests built with -trimpath find it, too.
func Root(t testing.TB) string {
	t.Helper()
	at, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(at, "go.mod")); missing == nil {
			return at
		}
		up := filepath.Dir(at)
		if up == at {
			break
		}
		at = up
	}
	t.Fatalf("no folder above the test's own holds go.mod: %v", err)
	return ""
}

// Example reads a file of deploy/examples and replaces, in pairs, the addresses that are
// only for the example. A text that is not in the file fails the test, so that examples
// and tests cannot differ. A file in the folder that TESTBED_EXAMPLES names stands in the place
// of the example: one of whose guards was taken out (test/drill/mutants).
func Example(t testing.TB, path string, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(os.Getenv("TESTBED_EXAMPLES"), path))
	if os.Getenv("TESTBED_EXAMPLES") == "" || errors.Is(err, fs.ErrNotExist) {
		b, err = os.ReadFile(filepath.Join(Root(t), "deploy", "examples", path))
	}
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s does not hold %q", path, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(text)
}

// Document is the text of a page of docs, for tests that do what it says.
func Document(t testing.TB, page string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Root(t), "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// write puts a file into dir and returns its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
