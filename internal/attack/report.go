package attack

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Report is the coverage of one installation at one moment, ready to be shown
// as a table, JSON, a page or a layer of the ATT&CK Navigator.
type Report struct {
	Name string
	Time time.Time
	Rows []RowState
	// Exceptions are all, those that end first at the top, then those without
	// an end, and at last those that are over.
	Exceptions []Exception
	// People are the accounts that fall short, and Caveats what is weak and
	// leaves the second factor in place.
	People  []Person
	Caveats []string
	// Keys are the automation keys that open rows, those that end first at the top.
	Keys []Key
}

// NewReport computes the coverage of every row.
func NewReport(in Input) Report {
	r := Report{Name: in.Name, Time: in.Now, Rows: Coverage(in), Exceptions: slices.Clone(in.Exceptions), People: slices.Clone(in.People), Keys: openingKeys(in.Keys)}
	for _, a := range in.Applications {
		for _, c := range a.Caveats {
			r.Caveats = append(r.Caveats, a.Name+": "+c)
		}
	}
	slices.SortStableFunc(r.Exceptions, func(a, b Exception) int {
		return cmp.Or(cmp.Compare(rank(a, in.Now), rank(b, in.Now)), a.Expires.Compare(b.Expires))
	})
	return r
}

func rank(e Exception, now time.Time) int {
	switch {
	case e.Over(now):
		return 2
	case e.Expires.IsZero():
		return 1
	}
	return 0
}

// Tally counts rows by state, over the founding rows alone or over all.
func (r Report) Tally(foundingOnly bool) map[State]int {
	t := map[State]int{}
	for _, s := range r.Rows {
		if s.Row.Founding || !foundingOnly {
			t[s.State]++
		}
	}
	return t
}

// Cause is one gap and all rows that it keeps from being enforced.
type Cause struct {
	Gap  Gap
	Rows []string
}

// Causes lists each gap once, those that hold up most rows first.
func (r Report) Causes() []Cause {
	var out []Cause
	at := map[Gap]int{}
	for _, s := range r.Rows {
		for _, g := range s.Gaps {
			i, ok := at[g]
			if !ok {
				i = len(out)
				at[g] = i
				out = append(out, Cause{Gap: g})
			}
			if rows := out[i].Rows; len(rows) == 0 || rows[len(rows)-1] != s.Row.ID {
				out[i].Rows = append(rows, s.Row.ID)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Cause) int { return cmp.Compare(len(b.Rows), len(a.Rows)) })
	return out
}

// Limits are what multi-factor authentication does not do, whatever a row says.
// They are printed beside every report.
func Limits() []string {
	return []string{
		"Whoever controls a person's own machine while that person is signed in can act as them. Approvals that name the action narrow this; they do not end it.",
		"Whoever is root on a host can change what that host checks. Only proofs that the service itself demands, and comparing its log with ours, show it.",
		"Whoever owns a whole domain controller or identity provider can issue what they like. A second verifier and comparing logs find it; nothing here prevents it.",
		"Rows about equipment and clouds that were not at hand are proved on the wire and on stand-ins.",
		"Passkeys do not stop a person from approving a stranger's device code. Keep that grant off.",
	}
}

// clean keeps names that others chose from moving a terminal's cursor.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c >= 0x200b && c <= 0x200f || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0xfeff {
			return '�'
		}
		return c
	}, s)
}
