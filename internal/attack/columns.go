package attack

import "slices"

// Tactic is one of ATT&CK's tactics: its short name, such as "initial-access", and its title.
type Tactic struct{ Word, Title string }

// Tactics returns the tactics of all rows, in the order of ATT&CK's matrix.
func Tactics() []Tactic {
	return []Tactic{
		{"initial-access", "Initial Access"}, {"execution", "Execution"}, {"persistence", "Persistence"},
		{"privilege-escalation", "Privilege Escalation"}, {"defense-evasion", "Defense Evasion"},
		{"credential-access", "Credential Access"}, {"discovery", "Discovery"}, {"lateral-movement", "Lateral Movement"},
		{"collection", "Collection"}, {"impact", "Impact"},
	}
}

// Column is one tactic of the map. T is what a page shows of a row.
type Column[T any] struct {
	Tactic
	Families []Family[T]
}

// Family is a technique with its sub-techniques. Head is nil if only sub-techniques are
// among the rows.
type Family[T any] struct {
	Head *T
	Subs []T

	id string
}

// Columns arranges rows in the columns of the map. Each row stands once, under the first of
// its tactics; if a tactic is given, only its rows are returned, all under it. Tactics
// without rows have no column.
func Columns[T any](rows []T, row func(T) Row, tactic string) []Column[T] {
	var out []Column[T]
	for _, t := range Tactics() {
		c := Column[T]{Tactic: t}
		for _, v := range rows {
			if r := row(v); r.under(tactic) == t.Word {
				c.add(v, r)
			}
		}
		if len(c.Families) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// under is the tactic under which a map of all tactics, or of a given one, shows the row;
// empty for none.
func (r Row) under(tactic string) string {
	switch {
	case tactic == "":
		return r.Tactics[0]
	case slices.Contains(r.Tactics, tactic):
		return tactic
	}
	return ""
}

func (c *Column[T]) add(v T, r Row) {
	k := slices.IndexFunc(c.Families, func(f Family[T]) bool { return f.id == r.Parent() })
	if k < 0 {
		k = len(c.Families)
		c.Families = append(c.Families, Family[T]{id: r.Parent()})
	}
	if r.ID == r.Parent() {
		c.Families[k].Head = &v
	} else {
		c.Families[k].Subs = append(c.Families[k].Subs, v)
	}
}
