package app

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// What the scripts of the app show is what is translated for them, and nothing else.
func TestTheScriptsSayWhatIsTranslated(t *testing.T) {
	said := regexp.MustCompile(`\bt\("((?:[^"\\]|\\.)*)"`)
	var got []string
	for _, name := range []string{"app.js", "key.js", "worker.js"} {
		b, err := os.ReadFile(filepath.Join("files", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllSubmatch(b, -1) {
			got = append(got, string(m[1]))
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(scriptTexts)); !slices.Equal(slices.Compact(got), want) {
		t.Errorf("the scripts show\n%q, and translated is\n%q", got, want)
	}
}
