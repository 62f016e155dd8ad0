package rooms_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// mustBe are folders that are missed by name, so that nobody takes one away and its line in
// the tree with it.
var mustBe = []string{"internal/throttle", "internal/approval", "internal/outbox", "internal/incident", "internal/token", "internal/server", "internal/servertest", "test"}

// TestTree compares the tree of ARCHITECTURE.md with the folders.
func TestTree(t *testing.T) {
	there, err := folders(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	drawn := tree(page(t, "ARCHITECTURE.md"))
	if len(drawn) < 40 || len(there) < 40 {
		t.Fatalf("%d folders are drawn and %d are there: the test has lost its way", len(drawn), len(there))
	}
	for _, wrong := range wrongTree(drawn, there, func(folder string) bool {
		info, err := os.Stat(path.Join(root, folder))
		return err == nil && info.IsDir()
	}) {
		t.Error(wrong)
	}
	for _, folder := range mustBe {
		if _, ok := drawn[folder]; !ok || !slices.Contains(there, folder) {
			t.Errorf("%s must be in the tree and among the sources", folder)
		}
	}
}

// foreach is what the tree says of a folder of which it does not draw what is inside.
const foreach = "a folder for each"

// wrongTree says which folders are drawn and not there, or there and not drawn.
func wrongTree(drawn map[string]string, there []string, is func(folder string) bool) (wrong []string) {
	for _, folder := range slices.Sorted(maps.Keys(drawn)) {
		if !is(folder) {
			wrong = append(wrong, folder+" is in the tree of ARCHITECTURE.md and not among the sources")
		}
	}
	for _, folder := range there {
		_, ok := drawn[folder]
		parent, isDrawn := drawn[path.Dir(folder)]
		if !ok && (!isDrawn || !strings.Contains(parent, foreach)) {
			wrong = append(wrong, folder+" is not in the tree of ARCHITECTURE.md")
		}
	}
	return wrong
}

// folders are those that hold Go files: test/, and those under internal/ down to the second
// level. What is deeper counts for the folder above it.
func folders(root fs.FS) ([]string, error) {
	found := map[string]bool{}
	for _, top := range []string{"internal", "test"} {
		err := fs.WalkDir(root, top, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if !d.IsDir() && strings.HasSuffix(name, ".go") {
				parts := strings.Split(path.Dir(name), "/")
				if top == "test" {
					parts = parts[:1]
				}
				for n := 1; n <= min(len(parts), 3); n++ {
					found[strings.Join(parts[:n], "/")] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	delete(found, "internal")
	return slices.Sorted(maps.Keys(found)), nil
}

// tree are the folders that the page draws, each with what is said of it. A line without a
// folder is a heading of those beneath it, and is none in their paths.
func tree(page string) map[string]string {
	_, page, _ = strings.Cut(page, "\n## Where things are\n")
	_, page, _ = strings.Cut(page, "```\n")
	page, _, _ = strings.Cut(page, "```")
	out := map[string]string{}
	type level struct {
		indent int
		path   string
	}
	var above []level
	for line := range strings.Lines(page) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		for len(above) > 0 && above[len(above)-1].indent >= indent {
			above = above[:len(above)-1]
		}
		here := ""
		if len(above) > 0 {
			here = above[len(above)-1].path
		}
		drawn, said := here, strings.Fields(line)
		for len(said) > 0 && strings.HasSuffix(said[0], "/") || len(said) == 1 && said[0] == "" {
			drawn = path.Join(here, said[0])
			out[drawn] = ""
			said = said[1:]
		}
		if drawn != here {
			out[drawn] = strings.Join(said, " ")
		}
		if strings.TrimSpace(line) != "" {
			above = append(above, level{indent, drawn})
		}
	}
	return out
}
