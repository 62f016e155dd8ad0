package policy

import "strings"

// Comparison is what two documents do differently to a [Class].
type Comparison struct {
	// Changes are those that differ from one another in what is demanded before
	// or after, each with the first request found that gets it.
	Changes []Change
	// Exact says that every request of the class was looked at: none is decided
	// differently in a way that is not among Changes. Otherwise Blurred are the
	// rules of either that could not be analysed; see [Weakness].
	Exact   bool
	Blurred []string
}

// Compare says which requests of a class two documents decide differently. It
// does not sample: it divides what is free into cells within which no rule of
// either document can tell two requests apart, and decides one of each by both.
// Facts that one of them was not made for it denies, as it would.
func Compare(before, after *Policy, c Class) Comparison {
	var parts []*analysis
	for _, p := range []*Policy{before, after} {
		if p.fits(c) {
			parts = append(parts, p.opened(c))
		}
	}
	dimensions, coarse := divide(c, parts...)
	out := Comparison{Exact: true}
	for _, a := range parts {
		out.Blurred = union(out.Blurred, a.unsure(coarse))
	}
	out.Exact = !coarse && len(out.Blurred) == 0
	seen := map[string]bool{}
	each(c.Facts, dimensions, func(f *Facts) {
		b, a := before.Decide(*f), after.Decide(*f)
		k := b.String() + "\x00" + a.String()
		if seen[k] {
			return
		}
		seen[k] = true
		if change, differs := changed(*f, b, a); differs {
			out.Changes = append(out.Changes, change)
		}
	})
	return out
}

// unsure are the rules whose cases were not all listed.
func (a *analysis) unsure(coarse bool) []string {
	var names []string
	for _, r := range a.rules {
		if r.blurry || coarse && !r.always {
			names = append(names, r.name)
		}
	}
	return names
}

// String writes a Decision for people.
func (d Decision) String() string {
	s := d.Requirement.String()
	if len(d.Refuse) > 0 {
		s += " without " + strings.Join(d.Refuse, ", ")
	}
	return s
}
