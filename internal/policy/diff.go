package policy

// Change is one request that two documents decide differently.
type Change struct {
	Facts         Facts
	Before, After Decision
	Direction     Direction
}

// Direction says what a change does to one request.
type Direction string

// The directions. Mixed is easier in one way and harder in another: a typed
// code no longer counts, and a passkey need not be as fresh.
const (
	Looser   Direction = "looser"
	Stricter Direction = "stricter"
	Mixed    Direction = "mixed"
)

// Opens reports whether the change lets in what was denied whatever was shown.
func (c Change) Opens() bool { return denies(c.Before) && !denies(c.After) }

// Closes reports whether the change denies what could be met before.
func (c Change) Closes() bool { return !denies(c.Before) && denies(c.After) }

func denies(d Decision) bool {
	_, no := d.Requirement.Denied()
	return no
}

// changed compares two Decisions about one request.
func changed(f Facts, before, after Decision) (Change, bool) {
	c := Change{Facts: f, Before: before, After: after, Direction: Mixed}
	harder, easier := after.AtLeast(before), before.AtLeast(after)
	switch {
	case harder && easier:
		return c, false
	case harder:
		c.Direction = Stricter
	case easier:
		c.Direction = Looser
	}
	return c, true
}
