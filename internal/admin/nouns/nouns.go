// Package nouns puts together every command that administrators have.
//
// It owns the one list, in the order in which people read it, and gives each noun the
// handles that its commands work on. What a command does is its noun's, a folder of
// countersign/internal/admin; what all have in common is admin's. Its one invariant: each
// command of the list is done at exactly one desk.
package nouns

import (
	"slices"

	"countersign/internal/admin"
	"countersign/internal/admin/group"
)

// Commands lists every command.
func Commands() admin.List {
	here := admin.Here()
	return slices.Concat(here[:until(here, "application")], group.Commands(), here[until(here, "application"):])
}

func until(here []admin.Spec, noun string) int {
	return slices.IndexFunc(here, func(s admin.Spec) bool { return s.Action == noun+".list" })
}

// Parts are what all commands work on.
type Parts = admin.Parts

// New makes what does them.
func New(p Parts) *admin.Admin {
	p.List, p.Desks = Commands(), desks(p)
	return admin.New(p)
}

func desks(p Parts) []admin.Desk {
	return []admin.Desk{
		group.Desk(group.Parts{DB: p.DB, Directory: p.Directory, Groups: p.Groups, Engine: p.Engine, Applications: p.Applications, Protocols: p.Protocols}),
	}
}
