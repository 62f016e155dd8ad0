package assurance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Forever is the age limit of a trait that may have been shown at any time
// within its session. It is longer than any session may live.
const Forever = 365 * 24 * time.Hour

// way is one sufficient combination: every trait in need, each no older than
// its age. Ages of traits outside need are zero and mean nothing.
type way struct {
	need Trait
	age  [traitCount]time.Duration
}

// Requirement is what must be shown: any one of its ways, or nothing at all
// when it denies. The zero Requirement has no way and is never met. It is a
// value: methods return new ones and never change their receiver.
type Requirement struct {
	ways   []way
	denied string
}

// Need returns a Requirement with one way: all of these traits, shown at any
// time in the session.
func Need(t Trait) Requirement {
	w := way{need: t}
	t.each(func(i int, _ Trait) { w.age[i] = Forever })
	return Requirement{ways: []way{w}}
}

// Deny returns a Requirement that nothing meets, with its reason. An empty
// reason becomes "denied".
func Deny(reason string) Requirement {
	if reason == "" {
		reason = "denied"
	}
	return Requirement{denied: reason}
}

// Denied reports whether no evidence can meet r, and why.
func (r Requirement) Denied() (string, bool) {
	if r.denied != "" {
		return r.denied, true
	}
	return "no way", len(r.ways) == 0
}

// Or returns a Requirement met by either. A denial yields to the other, so this
// is for writing one requirement, never for combining two rules: see [And].
func (r Requirement) Or(o Requirement) Requirement {
	switch {
	case r.denied != "":
		return o
	case o.denied != "":
		return r
	}
	return Requirement{ways: minimal(append(slices.Clone(r.ways), o.ways...))}
}

// And returns a Requirement at least as strict as both: a denial wins, and
// otherwise evidence meets it only if it meets each. It is how rules combine
// and how a client's wish is added; it can only raise.
func And(a, b Requirement) Requirement {
	if why, no := a.Denied(); no {
		return Deny(why)
	}
	if why, no := b.Denied(); no {
		return Deny(why)
	}
	ways := make([]way, 0, len(a.ways)*len(b.ways))
	for _, x := range a.ways {
		for _, y := range b.ways {
			ways = append(ways, x.and(y))
		}
	}
	return Requirement{ways: minimal(ways)}
}

// Within returns r with every trait at most this old. It never lengthens an
// age, and a duration of zero or less denies: nothing can be that fresh.
func (r Requirement) Within(d time.Duration) Requirement {
	if _, no := r.Denied(); no {
		return r
	}
	if d <= 0 {
		return Deny("an age limit of zero")
	}
	ways := slices.Clone(r.ways)
	for i := range ways {
		ways[i].need.each(func(t int, _ Trait) { ways[i].age[t] = min(ways[i].age[t], d) })
	}
	return Requirement{ways: minimal(ways)}
}

// and merges two ways into one that is at least as strict as each.
func (w way) and(o way) way {
	out := way{need: w.need | o.need}
	out.need.each(func(i int, one Trait) {
		switch {
		case !w.need.Has(one):
			out.age[i] = o.age[i]
		case !o.need.Has(one):
			out.age[i] = w.age[i]
		default:
			out.age[i] = min(w.age[i], o.age[i])
		}
	})
	return out
}

// implies reports whether whatever meets w also meets o.
func (w way) implies(o way) bool {
	if !w.need.Has(o.need) {
		return false
	}
	ok := true
	o.need.each(func(i int, _ Trait) { ok = ok && w.age[i] <= o.age[i] })
	return ok
}

// minimal drops ways that another, easier way makes superfluous, so that
// products of products stay small. The order of what stays is kept.
func minimal(ways []way) []way {
	var out []way
	for i, w := range ways {
		superfluous := false
		for j, o := range ways {
			if i != j && w.implies(o) && (!o.implies(w) || j < i) {
				superfluous = true
				break
			}
		}
		if !superfluous {
			out = append(out, w)
		}
	}
	return out
}

// Implies reports whether whatever meets r also meets o: r is at least as
// strict. A denial implies everything.
func (r Requirement) Implies(o Requirement) bool {
	if _, no := r.Denied(); no {
		return true
	}
	if _, no := o.Denied(); no {
		return false
	}
	for _, w := range r.ways {
		if !slices.ContainsFunc(o.ways, w.implies) {
			return false
		}
	}
	return true
}

// Missing is what one way still wants.
type Missing struct {
	// Absent traits were never shown; Stale ones were, too long ago. The two do
	// not overlap, and both empty means that the way is met.
	Absent, Stale Trait
}

// Met reports whether this way wants nothing more.
func (m Missing) Met() bool { return m.Absent|m.Stale == 0 }

// Missing answers way by way what the evidence still lacks at this moment. It
// is empty for a Requirement that denies. Evidence from the future (a clock
// that was set back) counts as stale.
func (r Requirement) Missing(evidence []Evidence, now time.Time) []Missing {
	if r.denied != "" {
		return nil
	}
	out := make([]Missing, len(r.ways))
	for k, w := range r.ways {
		w.need.each(func(i int, one Trait) {
			switch ageOf(evidence, one, now, w.age[i]) {
			case absent:
				out[k].Absent |= one
			case stale:
				out[k].Stale |= one
			}
		})
	}
	return out
}

// Met reports whether the evidence is enough at this moment.
func (r Requirement) Met(evidence []Evidence, now time.Time) bool {
	for _, m := range r.Missing(evidence, now) {
		if m.Met() {
			return true
		}
	}
	return false
}

// Lapses returns when evidence that meets r now will first cease to, so that a
// caller may remember the answer until then. It is now when r is not met.
func (r Requirement) Lapses(evidence []Evidence, now time.Time) time.Time {
	best := now
	for _, w := range r.ways {
		until := now.Add(Forever)
		w.need.each(func(i int, one Trait) {
			if t := lapses(evidence, one, now, w.age[i]); t.Before(until) {
				until = t
			}
		})
		if until.After(best) {
			best = until
		}
	}
	return best
}

// Oldest returns how old what is shown may be on the easiest way: [Forever] when
// some trait of it may be of any time in the session, zero when r denies.
func (r Requirement) Oldest() time.Duration {
	if _, no := r.Denied(); no {
		return 0
	}
	var oldest time.Duration
	for _, w := range r.ways {
		w.need.each(func(i int, _ Trait) { oldest = max(oldest, w.age[i]) })
	}
	return oldest
}

type freshness int

const (
	absent freshness = iota
	stale
	fresh
)

func ageOf(evidence []Evidence, one Trait, now time.Time, limit time.Duration) freshness {
	f := absent
	for _, e := range evidence {
		if !e.Traits.Has(one) {
			continue
		}
		if age := now.Sub(e.Time); age >= -skew && age <= limit && !e.lapsed(now) {
			return fresh
		}
		f = stale
	}
	return f
}

// lapses returns until when the evidence shows this trait young enough, and the
// year one if it never did.
func lapses(evidence []Evidence, one Trait, now time.Time, limit time.Duration) time.Time {
	var t time.Time
	for _, e := range evidence {
		if !e.Traits.Has(one) || now.Sub(e.Time) < -skew {
			continue
		}
		end := e.Time.Add(limit)
		if !e.Until.IsZero() && e.Until.Before(end) {
			end = e.Until
		}
		if end.After(t) {
			t = end
		}
	}
	return t
}

func (e Evidence) lapsed(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// skew is how far two nodes' clocks may stand apart before evidence that one
// wrote looks to the other as if it came from the future. It lengthens nobody's
// evidence by more than that, and the store warns of clocks that are further apart.
const skew = 30 * time.Second

// wireWay is how a way is written down: trait word to age in seconds.
type wireWay map[string]int64

type wireRequirement struct {
	Ways []wireWay `json:"ways,omitempty"`
	Deny string    `json:"deny,omitempty"`
}

// MarshalJSON writes r for a stored attempt.
func (r Requirement) MarshalJSON() ([]byte, error) {
	out := wireRequirement{Deny: r.denied}
	for _, w := range r.ways {
		ww := wireWay{}
		w.need.each(func(i int, one Trait) { ww[one.String()] = int64(w.age[i] / time.Second) })
		out.Ways = append(out.Ways, ww)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes; an unknown trait is an error.
func (r *Requirement) UnmarshalJSON(b []byte) error {
	var in wireRequirement
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	out := Requirement{denied: in.Deny}
	for _, ww := range in.Ways {
		var w way
		for word, seconds := range ww {
			t, err := ParseTrait(word)
			if err != nil {
				return err
			}
			w.need |= t
			t.each(func(i int, _ Trait) { w.age[i] = time.Duration(seconds) * time.Second })
		}
		if w.need == 0 {
			return fmt.Errorf("assurance: a way that wants nothing")
		}
		out.ways = append(out.ways, w)
	}
	*r = out
	return nil
}

// String writes r for people and logs, as in
// "known+held, or held+user-verified (within 15m)".
func (r Requirement) String() string {
	if why, no := r.Denied(); no {
		return "deny: " + why
	}
	parts := make([]string, len(r.ways))
	for k, w := range r.ways {
		parts[k] = w.need.String()
		limit := Forever
		w.need.each(func(i int, _ Trait) { limit = min(limit, w.age[i]) })
		if limit < Forever {
			parts[k] += " (within " + shortDuration(limit) + ")"
		}
	}
	return strings.Join(parts, ", or ")
}

func shortDuration(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if s == "" {
		return d.String()
	}
	return s
}
