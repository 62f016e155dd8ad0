package rooms_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/store/storetest"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(path.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// commands returns the commands of a page: its indented lines, without their remarks.
func commands(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "    "); ok && command[0] != ' ' {
			command, _, _ = strings.Cut(command, "#")
			out = append(out, strings.Fields(command))
		}
	}
	return out
}

// TestContributingsCommands runs what CONTRIBUTING.md says, as far as it can be run
// without its work: make says what it would do, and go test which tests it would run.
func TestContributingsCommands(t *testing.T) {
	storetest.Long(t, "builds the tests of other packages")
	all := commands(page(t, "CONTRIBUTING.md"))
	if len(all) < 10 {
		t.Fatalf("only %d commands: the test has lost its way", len(all))
	}
	for _, c := range all {
		name := strings.Join(c, " ")
		if strings.Contains(c[0], "=") {
			c = c[1:]
		}
		switch {
		case c[0] == "make":
			c = append([]string{"make", "-n"}, c[1:]...)
		case c[0] == "go" && c[1] == "test":
			c = listing(c)
		case c[0] == "go" && c[1] == "run":
			c = []string{"go", "list", c[2]}
		default:
			t.Errorf("%s: nobody tries it", name)
			continue
		}
		out, err := inRoot(c)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if c[1] == "test" && !strings.Contains("\n"+out, "\nTest") {
			t.Errorf("%s runs no test: %s", name, out)
		}
	}
}

// listing has go test list what it would run.
func listing(c []string) []string {
	out, pattern := []string{"go", "test"}, "."
	for i := 2; i < len(c); i++ {
		if c[i] == "-run" {
			i++
			pattern = c[i]
			continue
		}
		out = append(out, c[i])
	}
	return append(out, "-list", pattern)
}

func inRoot(c []string) (string, error) {
	cmd := exec.Command(c[0], c[1:]...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Za-z0-9_]+)`")
	// promisedBy finds tests without backquotes.
	promisedBy = regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)`)
	testHead   = regexp.MustCompile(`(?m)^func (\w+)\(`)
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestContributingsNames finds every test that CONTRIBUTING.md names as an example.
func TestContributingsNames(t *testing.T) { findTests(t, "CONTRIBUTING.md", testName, 5) }

// TestThreatsNames finds every test that THREATS.md names for a promise.
func TestThreatsNames(t *testing.T) { findTests(t, "THREATS.md", promisedBy, 300) }

// findTests demands that each test that a page names is somewhere, and that it names so many.
func findTests(t *testing.T, from string, name *regexp.Regexp, atLeast int) {
	t.Helper()
	names := map[string]bool{}
	for _, m := range name.FindAllStringSubmatch(page(t, from), -1) {
		names[m[1]] = true
	}
	if len(names) < atLeast {
		t.Fatalf("only %d names: the test has lost its way", len(names))
	}
	for _, top := range []string{"internal", "cmd", "test"} {
		err := fs.WalkDir(os.DirFS(root), top, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			for _, m := range testHead.FindAllStringSubmatch(page(t, name), -1) {
				delete(names, m[1])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range names {
		t.Errorf("%s names %s, which is nowhere", from, n)
	}
}

// TestLinks follows every link of a page to another file, and to a heading in it.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md"} {
		names, err := fs.Glob(os.DirFS(root), pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, names...)
	}
	if len(pages) < 40 {
		t.Fatalf("only %d pages: the test has lost its way", len(pages))
	}
	for _, from := range pages {
		for _, m := range link.FindAllStringSubmatch(page(t, from), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, ":") {
				continue // elsewhere
			}
			target := from
			if to != "" {
				target = path.Join(path.Dir(from), to)
			}
			if _, err := os.Stat(path.Join(root, target)); err != nil {
				t.Errorf("%s: %s is not there", from, m[1])
			} else if anchor != "" && !headings(page(t, target))[anchor] {
				t.Errorf("%s: no heading of %s is %q", from, target, anchor)
			}
		}
	}
}

// headings are the anchors of a page, as GitHub makes them.
func headings(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		out[strings.ReplaceAll(strings.ToLower(notSlug.ReplaceAllString(m[1], "")), " ", "-")] = true
	}
	return out
}
