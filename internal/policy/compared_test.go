package policy

import "context"

// Compare says which requests of a class two documents decide differently. It
// does not sample: it divides what is free into cells within which no rule of
// either document can tell two requests apart, and decides one of each by both.
// Facts that one of them was not made for it denies, as it would.
func Compare(before, after *Policy, c Class) Comparison {
	out, _ := CompareWithin(context.Background(), before, after, c, nil) // neither ends nor is bounded
	return out
}

// Diff decides each of these requests by both documents, and returns those that
// come out differently. Another reason for the same demand is no difference.
func Diff(before, after *Policy, population []Facts) []Change {
	var out []Change
	for _, f := range population {
		if c, differs := changed(f, before.Decide(f), after.Decide(f)); differs {
			out = append(out, c)
		}
	}
	return out
}
