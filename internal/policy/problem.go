package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	// Line and Column count from 1 in the document. Column is 0 where only the
	// line is known.
	Line   int `json:"line"`
	Column int `json:"column,omitempty"`
	// Rule is the name of the rule, where the problem is in one that has one.
	Rule string `json:"rule,omitempty"`
	// Sentence says what is wrong and how to mend it.
	Sentence string `json:"sentence"`
	// Excerpt is the condition's line and below it a caret, or empty.
	Excerpt string `json:"excerpt,omitempty"`
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d: ", p.Line)
	if p.Rule != "" {
		fmt.Fprintf(&b, "rule %q: ", p.Rule)
	}
	b.WriteString(p.Sentence)
	if p.Excerpt != "" {
		b.WriteString("\n    " + strings.ReplaceAll(p.Excerpt, "\n", "\n    "))
	}
	return b.String()
}

// Problems is why a document was refused, by line. It is the error of
// [Compile], and never empty.
type Problems []Problem

func (ps Problems) Error() string {
	parts := make([]string, len(ps))
	for i, p := range ps {
		parts[i] = p.String()
	}
	return "policy: " + strings.Join(parts, "\npolicy: ")
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return ps
}

// excerptWidth is how much of a condition's line is shown, in characters.
const excerptWidth = 100

// excerpt returns the line with a caret under its column (from 0, in
// characters). A long line is cut to the neighbourhood of the caret.
func excerpt(line string, column int) string {
	chars := []rune(strings.Map(visible, line))
	column = min(max(column, 0), len(chars))
	from := 0
	if len(chars) > excerptWidth {
		from = min(max(0, column-excerptWidth/2), len(chars)-excerptWidth)
		chars = chars[from : from+excerptWidth]
	}
	return string(chars) + "\n" + strings.Repeat(" ", column-from) + "^"
}

// visible keeps what a document's author typed from moving the caret or the
// reader's terminal.
func visible(r rune) rune {
	if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
		return ' '
	}
	return r
}

// oneOf lists names for a sentence: the near ones of a long list, or all.
func oneOf(names []string) string {
	switch {
	case len(names) == 0:
		return "there are none yet"
	case len(names) > 12:
		return "use one of " + strings.Join(names[:12], ", ") + ", ..."
	case len(names) == 1:
		return "use " + names[0]
	}
	return "use one of " + strings.Join(names, ", ")
}

// mend ends a sentence about an unknown name: with the one that was probably
// meant, or with those that exist.
func mend(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return oneOf(known)
}

// nearest returns the name at the least edit distance, if that is small.
func nearest(name string, known []string) string {
	best, at := "", len(name)/3+2
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k), at); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is Levenshtein's, or limit when it is at least that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
