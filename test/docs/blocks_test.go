package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the top of the sources.
const root = "../.."

// block is a fenced block of a page.
type block struct {
	page, lang, text string
	line             int
	// only is why the block is read and not run; empty where it is run.
	only string
}

// pasted is a remark before a block that the reader of the page does not see:
//
//	<!-- paste: parse: a card reader is needed -->
//
// The commands of such a block are read by the command line's own parser, and not run.
var pasted = regexp.MustCompile(`^\s*<!-- paste: parse: (.+) -->\s*$`)

// pages are all documents that show commands.
func pages(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(names) < 25 {
		t.Fatalf("%d pages, %v: the test has lost its way", len(names), err)
	}
	out := []string{"README.md"}
	for _, n := range names {
		out = append(out, "docs/"+filepath.Base(n))
	}
	return out
}

// blocksOf reads the blocks of a page, in order.
func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var open *block
	var indent, only string
	for i, line := range strings.Split(string(b), "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			indent = line[:len(line)-len(trimmed)]
			open = &block{page: page, lang: strings.TrimPrefix(trimmed, "```"), line: i + 1, only: only}
		case open != nil && trimmed == "```":
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
			continue
		}
		if m := pasted.FindStringSubmatch(line); m != nil {
			only = m[1]
		} else if trimmed != "" {
			only = ""
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block does not end", page, open.line)
	}
	return out
}

// turn is a command of a block with what the page shows that it prints.
type turn struct{ command, shows string }

// turns are what is pasted of a block: all of it, or one after the other the commands of a
// conversation, which begin with a prompt.
func (b block) turns() []turn {
	if b.lang != "console" {
		return []turn{{command: b.text}}
	}
	var out []turn
	more := false
	for line := range strings.Lines(b.text) {
		command, begins := strings.CutPrefix(line, "$ ")
		switch {
		case begins:
			out = append(out, turn{command: command})
		case len(out) == 0:
			continue
		case more:
			out[len(out)-1].command += line
		default:
			out[len(out)-1].shows += line
		}
		more = (begins || more) && strings.HasSuffix(strings.TrimRight(line, "\n"), `\`)
	}
	return out
}

// fails reports whether the page shows a complaint.
func (t turn) fails() bool { return strings.Contains("\n"+t.shows, "\ncountersign: ") }

// missing are the lines that the page shows and that were not printed, whatever the numbers in
// them. What a page leaves out by three dots is not looked for.
func (t turn) missing(printed string) []string {
	said := map[string]bool{}
	for line := range strings.Lines(printed) {
		said[skeleton(line)] = true
	}
	var out []string
	for line := range strings.Lines(t.shows) {
		if s := skeleton(line); s != "" && !said[s] && !strings.Contains(line, "...") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

var numbered = regexp.MustCompile(`\S*\d\S*`)

func skeleton(line string) string {
	return strings.Join(strings.Fields(numbered.ReplaceAllString(line, "#")), " ")
}
