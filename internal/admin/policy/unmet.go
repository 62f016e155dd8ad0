package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/admin/survey"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Reached is what [Unmeetable] goes by.
type Reached struct {
	// Reach is what anybody can show here, Places are the applications.
	Reach     signin.Reach
	Places    []survey.Place
	Protocols protocol.List
	Now       time.Time
}

// Unmeetable says, a sentence for each, whom a document lets sign in nowhere it means to: it demands
// what nobody can show there, because the protocol cannot carry it or the document refuses the kinds
// that could. People, administrators and the members of each group that the document names are looked
// at. What it denies in words is meant so, and is not told.
func Unmeetable(p *policy.Policy, r Reached) []string {
	var out []string
	for _, place := range r.Places {
		if place.Name == signin.Self {
			continue // people recover there, and a document by which nobody administers is refused by itself
		}
		medium := place.Openings.Medium
		if medium == 0 {
			medium = r.Protocols.Plays(place.Protocol)
		}
		var people string
		for _, w := range whoSignsIn(p) {
			found := p.Weakest(policy.Class{Free: policy.FreeSource | policy.FreeTime | policy.FreeRequest, Facts: policy.Facts{Account: w.account, Protocol: place.Protocol, Action: signin.SignIn, Now: r.Now,
				Application: policy.Application{Name: place.Name, Kind: place.Kind, Tier: place.Tier, Protocol: place.Protocol}}})
			why := r.unmet(found, place, medium)
			if why == "" || why == people {
				continue // members of a group whom everybody's sentence covers
			}
			if w.name == "people" {
				people = why
			}
			out = append(out, fmt.Sprintf("%s can never sign in to %s: %s", w.name, place.Name, why))
		}
	}
	return out
}

// unmet is why none of the weakest ways can be met, or empty. A denial is meant.
func (r Reached) unmet(w policy.Weakness, place survey.Place, medium prompt.Medium) string {
	why := ""
	for _, way := range w.Ways {
		d := way.Decision
		if _, no := d.Requirement.Denied(); no {
			return ""
		}
		if d.Requirement.Met(r.Reach(place.Application, medium, d.Refuse), r.Now) {
			return ""
		}
		why = fmt.Sprintf("the rules demand %s", d.Requirement)
		if len(d.Refuse) > 0 && d.Requirement.Met(r.Reach(place.Application, medium, nil), r.Now) {
			return why + " and refuse every kind that could show it there (" + strings.Join(d.Refuse, ", ") + ")"
		}
		why += ", which nobody can show by " + place.Protocol + " there"
	}
	return why
}

// who is one sort of person.
type who struct {
	name    string
	account policy.Account
}

func whoSignsIn(p *policy.Policy) []who {
	out := []who{{"people", policy.Account{Kind: directory.Person}},
		{"administrators", policy.Account{Kind: directory.Person, Privileged: true, Groups: []string{directory.Administrators}}}}
	groups := slices.Clone(p.Mentions().Groups)
	slices.Sort(groups)
	for _, g := range groups {
		if g != directory.Administrators {
			out = append(out, who{"members of " + g, policy.Account{Kind: directory.Person, Groups: []string{g}}})
		}
	}
	return out
}
