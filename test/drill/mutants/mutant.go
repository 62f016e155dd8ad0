package main

import (
	"fmt"
	"slices"
	"strings"
)

// mutant is one guard of the server, and how it is taken out.
type mutant struct {
	// Guard says in words what is missing when it is out.
	Guard string
	// File is where, from the folder of the module.
	File string
	// Old occurs once in the file, and New stands there instead. What results compiles.
	Old, New string
	// Rows are the rows that fail without the guard, with spaces between them: these, and no
	// other.
	Rows string
	// Also are changes without which it would be no guard less, or the second of two guards
	// that hold the same.
	Also []edit
	// Outages has the outages of T1556.006 played, which take most of a drill's time.
	Outages bool
}

// edit is one change of a file: what stands once in it, and what instead.
type edit struct{ File, Old, New string }

// edits are all changes.
func (m mutant) edits() []edit { return append([]edit{{m.File, m.Old, m.New}}, m.Also...) }

// rows are the rows that are to fail, sorted.
func (m mutant) rows() []string {
	rows := strings.Fields(m.Rows)
	slices.Sort(rows)
	return rows
}

// apply makes the changes. It returns the changed sources by their files, of which read
// returns the original.
func (m mutant) apply(read func(file string) (string, error)) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits() {
		source, ok := changed[e.File]
		if !ok {
			var err error
			if source, err = read(e.File); err != nil {
				return nil, err
			}
		}
		if n := strings.Count(source, e.Old); n != 1 || e.Old == e.New {
			return nil, fmt.Errorf("%s: %s: the text to replace occurs %d times, and must occur once and change: %q", m.Guard, e.File, n, e.Old)
		}
		changed[e.File] = strings.Replace(source, e.Old, e.New, 1)
	}
	return changed, nil
}

// mutants are all guards that are taken out, by what they protect.
func mutants() []mutant {
	return slices.Concat(guesses(), accounts(), radiusGuards(), pages(), approvals(), keys(), sites(), programs(), mail(), pairs(), code(), hybrid())
}

// unproved are the rows that have a drill and that no guard can be taken out of, with the
// reason.
var unproved = map[string]string{}
