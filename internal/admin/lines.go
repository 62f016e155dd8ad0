package admin

import (
	"fmt"
	"strings"

	"countersign/internal/prompt"
	"countersign/internal/text"
)

// Lines compares two documents line by line. Each place where they differ has a row, named
// by its lines of the later document, or of the earlier one where nothing is left of it.
func Lines(before, after string) []prompt.Field {
	a, b := strings.Split(strings.TrimRight(before, "\n"), "\n"), strings.Split(strings.TrimRight(after, "\n"), "\n")
	if before == "" {
		a = nil
	}
	var out []prompt.Field
	for _, h := range hunks(a, b) {
		f := prompt.Field{Name: lineNames("", h.b), Before: text.Lines(strings.Join(a[h.a.from:h.a.to], "\n")), After: text.Lines(strings.Join(b[h.b.from:h.b.to], "\n"))}
		switch {
		case h.b.from == h.b.to:
			f.Name = lineNames(" until now", h.a)
		case h.a.from == h.a.to:
			f.Name += ", new"
		}
		f.Before, f.After = seenEmpty(f.Before, h.a), seenEmpty(f.After, h.b)
		out = append(out, f)
	}
	return out
}

// Hunk is a place at which two documents differ: the lines that it loses there, and those
// that it gains.
type Hunk struct{ Gone, Come []string }

// Hunks are the places at which two documents differ, in their order.
func Hunks(before, after []string) []Hunk {
	var out []Hunk
	for _, h := range hunks(before, after) {
		out = append(out, Hunk{before[h.a.from:h.a.to], after[h.b.from:h.b.to]})
	}
	return out
}

// seenEmpty says of lines that are all empty that they are there.
func seenEmpty(s string, r stretch) string {
	if n := r.to - r.from; n > 0 && strings.TrimSpace(s) == "" {
		return "(empty)"
	}
	return s
}

func lineNames(ending string, r stretch) string {
	if r.to == r.from+1 {
		return fmt.Sprintf("Line %d%s", r.to, ending)
	}
	return fmt.Sprintf("Lines %d to %d%s", r.from+1, r.to, ending)
}

// stretch is a range of lines, from 0, without its end.
type stretch struct{ from, to int }

// hunk is a place at which two documents differ.
type hunk struct{ a, b stretch }

// mostCells bounds how much is spent on finding lines that stay: where more would be
// needed, all between the first and the last difference is one hunk.
const mostCells = 4 << 20

// hunks finds where two documents differ: by their longest common subsequence of lines.
func hunks(a, b []string) []hunk {
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	enda, endb := len(a), len(b)
	for enda > from && endb > from && a[enda-1] == b[endb-1] {
		enda, endb = enda-1, endb-1
	}
	n, m := enda-from, endb-from
	if n+m == 0 {
		return nil
	}
	if n == 0 || m == 0 || n*m > mostCells {
		return []hunk{{stretch{from, enda}, stretch{from, endb}}}
	}
	return walked(a[from:enda], b[from:endb], from)
}

// walked goes along the longest common subsequence. Both begin at the same line.
func walked(a, b []string, at int) []hunk {
	n, m := len(a), len(b)
	best := make([]int32, (n+1)*(m+1))
	cell := func(i, j int) *int32 { return &best[i*(m+1)+j] }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if a[i] == b[j] {
				*cell(i, j) = *cell(i+1, j+1) + 1
			} else {
				*cell(i, j) = max(*cell(i+1, j), *cell(i, j+1))
			}
		}
	}
	var out []hunk
	for i, j := 0, 0; i < n || j < m; {
		if i < n && j < m && a[i] == b[j] {
			i, j = i+1, j+1
			continue
		}
		h := hunk{stretch{at + i, at + i}, stretch{at + j, at + j}}
		for i < n && (j == m || a[i] != b[j]) || j < m && (i == n || a[i] != b[j]) {
			if j == m || i < n && *cell(i+1, j) >= *cell(i, j+1) {
				i++
			} else {
				j++
			}
		}
		h.a.to, h.b.to = at+i, at+j
		out = append(out, h)
	}
	return out
}
