package policy

import (
	"strings"

	"countersign/internal/assurance"
)

// Free is a set of facts that an attacker, or an accident, can choose.
type Free uint8

// The facts that can be left free. Source is the address, and whether the session is bound to
// the device; Request is method and path together.
const (
	FreeSource Free = 1 << iota
	FreeTime        // from Class.Now on
	FreeProtocol
	FreeAction
	FreeRequest
)

// Class is a kind of request: some facts given, others free.
type Class struct {
	Facts
	Free Free
}

// Weakness is the least that a [Class] can get away with.
type Weakness struct {
	// Ways are the weakest Decisions, none of which is at least as strict as
	// another. There is always one; a denial stands alone. Nothing in the class
	// gets a weaker one.
	Ways []Way
	// Exact says that each Way is really had, by its Witness. Otherwise the Ways
	// are a floor, and the weakest in the class may be stricter, because of
	// Blurred.
	Exact bool
	// Blurred are the rules that could not be analysed, in order, when not
	// Exact: they compare free facts in a way whose cases cannot be listed
	// (contains, matches), or there were too many cases. They are taken not to
	// apply.
	Blurred []string
}

// Way is one of the weakest Decisions of a [Class].
type Way struct {
	Decision Decision
	// Witness is a request that gets it, if Exact.
	Witness Facts
}

// maxCells is how many cases are looked at one by one. A document that needs
// more gets a floor.
const maxCells = 1 << 17

// Weakest analyses what a class can get. It does not sample: it divides what is
// free into cells within which no rule can tell two requests apart, and decides
// one request of each. Free facts are taken to be independent of one another.
// Now must be set if the time is read; with FreeTime it is the earliest moment.
func (p *Policy) Weakest(c Class) Weakness {
	var w Weakness
	if !p.fits(c) {
		w.weigh(p.Decide(c.Facts), c.Facts)
		w.Exact = true
		return w
	}
	a := p.analyse(c)
	a.each(func(f *Facts) {
		for _, d := range a.decide(f) {
			w.weigh(d, *f)
		}
	})
	if w.Exact = w.had(p); !w.Exact {
		w.Blurred = a.blurred()
	}
	return w
}

// had reports whether every witness really gets what it stands for.
func (w *Weakness) had(p *Policy) bool {
	for _, way := range w.Ways {
		if d := p.Decide(way.Witness); !d.AtLeast(way.Decision) || !way.Decision.AtLeast(d) {
			return false
		}
	}
	return true
}

// fits is vet, without the facts that are free.
func (p *Policy) fits(c Class) bool {
	if p == nil {
		return false
	}
	f := c.Facts
	if c.Free&FreeProtocol != 0 {
		f.Protocol = ""
	}
	if c.Free&FreeAction != 0 {
		f.Action = first(p.known.list(requestAction))
	}
	_, ok := p.vet(&f)
	return ok
}

// weigh keeps d if nothing kept is as weak, and drops what it undercuts.
func (w *Weakness) weigh(d Decision, f Facts) {
	for _, k := range w.Ways {
		if d.AtLeast(k.Decision) {
			return
		}
	}
	kept := w.Ways[:0]
	for _, k := range w.Ways {
		if !k.Decision.AtLeast(d) {
			kept = append(kept, k)
		}
	}
	w.Ways = append(kept, Way{Decision: d, Witness: f})
}

// AtLeast reports whether everything in the class must show at least this.
func (w Weakness) AtLeast(r assurance.Requirement) bool {
	for _, way := range w.Ways {
		if !way.Decision.Requirement.Implies(r) {
			return false
		}
	}
	return len(w.Ways) > 0
}

// String writes the ways for people.
func (w Weakness) String() string {
	parts := make([]string, len(w.Ways))
	for i, way := range w.Ways {
		parts[i] = way.Decision.String()
	}
	return strings.Join(parts, " | ")
}
