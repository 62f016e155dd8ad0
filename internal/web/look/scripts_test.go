package look

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// said finds the texts that a script shows: those that it has translated.
var said = regexp.MustCompile(`\bt\("((?:[^"\\]|\\.)*)"`)

// inScripts are the texts that scripts show, each once, in the order of the alphabet.
func inScripts(t *testing.T, files ...string) []string {
	t.Helper()
	var out []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllSubmatch(b, -1) {
			out = append(out, string(m[1]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// What the script of all pages shows is what is translated for it, and nothing else.
func TestTheScriptSaysWhatIsTranslated(t *testing.T) {
	if got, want := inScripts(t, filepath.Join("assets", "countersign.js")), slices.Sorted(slices.Values(scriptTexts)); !slices.Equal(got, want) {
		t.Errorf("the script shows\n%q, and translated is\n%q", got, want)
	}
}
