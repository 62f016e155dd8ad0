package rooms_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testNamed   = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	testWritten = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w+)\(`)
)

// Every test that a promise names is there: a promise whose test was renamed or removed is
// kept by nothing.
func TestThreatsNameTests(t *testing.T) {
	written := testsOf(t, os.DirFS(root))
	named := testNamed.FindAllString(page(t, "THREATS.md"), -1)
	if len(named) < 400 || len(written) < 1000 {
		t.Fatalf("%d tests are named and %d are there: the test has lost its way", len(named), len(written))
	}
	for _, wrong := range unwritten(named, written) {
		t.Errorf("THREATS.md names %s, and no test is called that", wrong)
	}
	if got := unwritten([]string{"TestThreatsNameTests", "TestOfNothing"}, written); len(got) != 1 {
		t.Errorf("a test that is not there is not missed: %v", got)
	}
}

// Every test that the page of conformance names is there: so is the one demand that it shows.
func TestConformanceNamesTests(t *testing.T) {
	written := testsOf(t, os.DirFS(root))
	named := testNamed.FindAllString(page(t, "docs/conformance.md"), -1)
	if len(named) < 400 {
		t.Fatalf("%d tests are named: the test has lost its way", len(named))
	}
	for _, wrong := range unwritten(named, written) {
		t.Errorf("docs/conformance.md names %s, and no test is called that", wrong)
	}
}

func unwritten(named []string, written map[string]bool) []string {
	out := slices.DeleteFunc(slices.Clone(named), func(name string) bool { return written[name] })
	slices.Sort(out)
	return slices.Compact(out)
}

// testsOf are the names of all tests below a folder.
func testsOf(t *testing.T, from fs.FS) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path.Base(name), "_test.go") {
			return err
		}
		b, err := fs.ReadFile(from, name)
		for _, m := range testWritten.FindAllStringSubmatch(string(b), -1) {
			out[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
