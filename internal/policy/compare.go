package policy

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
)

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

// Budget bounds how much is looked at, over several comparisons: one unit is one rule,
// or one comparison in a rule, looked at once. A nil Budget bounds nothing.
type Budget struct{ Left int }

// ErrTooMuch is a comparison that would take more than its budget. Nothing of it was
// begun.
var ErrTooMuch = errors.New("policy: the two documents distinguish too many requests")

func (b *Budget) spend(n int) error {
	if b == nil {
		return nil
	}
	if n < 0 || n > b.Left {
		return ErrTooMuch
	}
	b.Left -= n
	return nil
}

// mostChanges is how many are told of one class.
const mostChanges = 200

// CompareWithin says which requests of a class two documents decide differently. It
// does not sample: it divides what is free into cells within which no rule of
// either document can tell two requests apart, and decides one of each by both.
// Facts that one of them was not made for it denies, as it would. It ends with its
// context, and where its budget does not reach.
func CompareWithin(ctx context.Context, before, after *Policy, c Class, b *Budget) (Comparison, error) {
	var parts []*analysis
	for _, p := range []*Policy{before, after} {
		if p.fits(c) {
			parts = append(parts, p.opened(c))
		}
	}
	out := Comparison{Exact: true}
	if err := b.spend(len(before.Rules()) + len(after.Rules())); err != nil {
		return out, err
	}
	dimensions, coarse, err := divide(ctx, c, b, parts...)
	if err != nil {
		return out, err
	}
	cells := len(before.Rules()) + len(after.Rules()) + 1
	for _, d := range dimensions {
		cells *= len(d)
	}
	if err := b.spend(cells); err != nil {
		return out, err
	}
	for _, a := range parts {
		out.Blurred = union(out.Blurred, a.unsure(coarse))
	}
	out.Exact = !coarse && len(out.Blurred) == 0
	seen, seed := map[uint64]bool{}, maphash.MakeSeed()
	err = each(ctx, c.Facts, dimensions, func(f *Facts) {
		b, a := before.decide(*f), after.decide(*f) // not remembered: nobody asks again
		k := maphash.String(seed, b.String()+"\x00"+a.String())
		if seen[k] {
			return
		}
		seen[k] = true
		change, differs := changed(*f, b, a)
		switch {
		case !differs:
		case len(out.Changes) == mostChanges:
			out.Exact = false
		default:
			out.Changes = append(out.Changes, change)
		}
	})
	return out, err
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
