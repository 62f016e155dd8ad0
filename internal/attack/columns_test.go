package attack

import (
	"slices"
	"testing"
)

func self(r Row) Row { return r }

// members are the IDs of a column, techniques before their sub-techniques.
func members(c Column[Row]) []string {
	var out []string
	for _, f := range c.Families {
		if f.Head != nil {
			out = append(out, f.Head.ID)
		}
		for _, s := range f.Subs {
			out = append(out, s.ID)
		}
	}
	return out
}

// The map has every row once; a tactic's own map has every row of that tactic, also
// those that the whole map shows elsewhere.
func TestColumns(t *testing.T) {
	var all []string
	for _, c := range Columns(Rows(), self, "") {
		all = append(all, members(c)...)
	}
	slices.Sort(all)
	if want := len(Rows()); len(all) != want || len(slices.Compact(all)) != want {
		t.Errorf("%d tiles for %d rows: %v", len(all), want, all)
	}
	for _, tactic := range Tactics() {
		got := Columns(Rows(), self, tactic.Word)
		if len(got) != 1 || got[0].Tactic != tactic {
			t.Errorf("%s: %d columns", tactic.Word, len(got))
			continue
		}
		for _, r := range Rows() {
			if slices.Contains(members(got[0]), r.ID) != slices.Contains(r.Tactics, tactic.Word) {
				t.Errorf("%s: %s with tactics %v", tactic.Word, r.ID, r.Tactics)
			}
		}
	}
	if Columns(Rows(), self, "reconnaissance") != nil || Columns(nil, self, "") != nil {
		t.Error("there is a column without rows")
	}
	for _, c := range Columns(Rows(), self, "") {
		for _, f := range c.Families {
			for _, s := range f.Subs {
				if s.Parent() != f.id || f.Head != nil && f.Head.ID != f.id {
					t.Errorf("%s stands in the family of %s", s.ID, f.id)
				}
			}
		}
	}
}
