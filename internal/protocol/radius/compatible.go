package radius

import (
	"encoding/json"
	"math"
	"slices"

	"countersign/internal/application"
	"countersign/internal/signin"
)

// CheckCompatible says what of an application's settings does not fit the rest of the
// installation: replies for a group that does not exist, which would fall to
// the entry after it, and a network of another application.
func CheckCompatible(app application.Application, others []application.Application, groups []string) error {
	s, err := parseSettings(app.Settings)
	if err != nil {
		return err
	}
	for _, r := range s.Replies {
		for _, g := range r.Groups {
			if !slices.Contains(groups, signin.GroupName(g)) {
				return invalid("There is no group %q to reply to; whoever is meant would get what the next entry of replies says. Create the group first.", g)
			}
		}
	}
	others = slices.DeleteFunc(slices.Clone(others), func(o application.Application) bool { return o.Protocol != Protocol })
	before := build(others).problems
	if app.ID == 0 {
		app.ID = math.MaxInt64 // who comes last
	}
	for _, p := range build(append(others, app)).problems {
		if !slices.Contains(before, p) {
			return invalid("%s", p.Why)
		}
	}
	return nil
}

// Groups are those that an application's settings name.
func Groups(raw json.RawMessage) []string {
	s, err := parseSettings(raw)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range s.Replies {
		out = append(out, r.Groups...)
	}
	return out
}

// folded are groups as the directory names them.
func folded(groups []string) []string {
	var out []string
	for _, g := range groups {
		out = append(out, signin.GroupName(g))
	}
	return out
}
