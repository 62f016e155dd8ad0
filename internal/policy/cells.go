package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// candidates returns values of one free fact, at least one from every cell that
// these atoms divide it into, the ones that people read best first.
func (a *analysis) candidates(atoms []*atom, which fact) []func(*Facts) {
	switch which {
	case requestSource:
		return setters(addresses(atoms), func(f *Facts, v netip.Addr) { f.Source = v })
	case sessionBound:
		return setters([]bool{false, true}, func(f *Facts, v bool) { f.Bound = v })
	case nowHour:
		return setters(moments(atoms, a.class.Now, a.policy.zone, a.zones), func(f *Facts, v time.Time) { f.Now = v })
	case requestProtocol:
		return setters(a.policy.known.list(which), func(f *Facts, v string) { f.Protocol = v })
	case requestAction:
		return setters(a.policy.known.list(which), func(f *Facts, v string) { f.Action, f.Reads = v, a.policy.known.reads[v] })
	case requestMethod:
		return setters(slices.Concat([]string{""}, methods, texts(atoms, "")), func(f *Facts, v string) { f.Method = v })
	}
	return setters(append([]string{""}, texts(atoms, "/")...), func(f *Facts, v string) { f.Path = v })
}

// many is how many candidates there would be at most, before one is made.
func (a *analysis) many(atoms []*atom, which fact) int {
	switch which {
	case requestSource:
		n := 5
		for _, at := range atoms {
			n += 3 * len(at.network.spans)
		}
		return n
	case sessionBound:
		return 2
	case nowHour:
		return a.manyMoments(atoms)
	case requestMethod, requestPath:
		equal, heads, tails := len(methods)+1, 1, 1
		for _, at := range atoms {
			switch at.op {
			case is:
				equal += len(at.words)
			case prefix:
				heads += len(at.words)
			case suffix:
				tails += len(at.words)
			}
		}
		return equal + heads*tails
	}
	return len(a.policy.known.byFact[which]) + 1
}

// unread gives a free fact that no rule reads a value that a request can have,
// where the class has none.
func (a *analysis) unread(which fact) dimension {
	known := first(a.policy.known.list(which))
	switch {
	case which == requestProtocol && a.class.Free&FreeProtocol != 0 && !a.policy.known.byFact[which][a.class.Protocol]:
		return dimension{func(f *Facts) { f.Protocol = known }}
	case which == requestAction && a.class.Free&FreeAction != 0 && !a.policy.known.byFact[which][a.class.Action]:
		return dimension{func(f *Facts) { f.Action, f.Reads = known, a.policy.known.reads[known] }}
	}
	return nil
}

func setters[T any](values []T, set func(*Facts, T)) []func(*Facts) {
	out := make([]func(*Facts), len(values))
	for i, v := range values {
		out[i] = func(f *Facts) { set(f, v) }
	}
	return out
}

// addresses returns one from each cell of the address space. Membership changes
// at the first address of a span and behind its last, and nowhere else, so that
// these and the beginnings of both families are enough. The unknown address is
// in no network. What comes first is what a witness shows: an address from the
// ranges kept for documentation (RFC 5737, RFC 3849).
func addresses(atoms []*atom) []netip.Addr {
	out := []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8:ffff::9"),
		netip.IPv4Unspecified(), netip.IPv6Unspecified(), {}}
	for _, at := range atoms {
		for _, s := range at.network.spans {
			for _, v := range []netip.Addr{s.first.Next(), s.first, s.last.Next()} {
				if v.IsValid() {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// span of moments looked at behind each turning point: three weeks have every
// hour of every day, also where a shift of the clock leaves one out.
const momentSpan = 22 * 24 * time.Hour

// momentYear is how long behind each turning point two clocks are watched: from then
// on they stand to each other as in the year before.
const momentYear = 400 * 24 * time.Hour

// readsClock reports whether an hour or a day of the week is read.
func readsClock(atoms []*atom) bool {
	return slices.ContainsFunc(atoms, func(at *atom) bool { return at.fact != nowTime })
}

// shifts returns when clocks that differ come to differ otherwise: at every turn to
// and from summer time of any of them.
func shifts(zones []*time.Location, from, to time.Time) []time.Time {
	if len(zones) < 2 {
		return nil
	}
	var out []time.Time
	for _, z := range zones {
		for t := from; ; {
			_, end := t.In(z).ZoneBounds()
			if end.IsZero() || !end.Before(to) {
				break
			}
			out, t = append(out, end), end
		}
	}
	return out
}

// turning returns the points behind which something may be decided otherwise than
// before: the times that rules name, and the shifts of clocks in the year behind each.
func turning(atoms []*atom, now time.Time, zones []*time.Location) []time.Time {
	turns := []time.Time{now}
	for _, at := range atoms {
		for _, t := range at.times {
			if t.After(now) {
				turns = append(turns, t)
			}
			if after := t.Add(time.Nanosecond); after.After(now) {
				turns = append(turns, after)
			}
		}
	}
	slices.SortFunc(turns, time.Time.Compare)
	if !readsClock(atoms) {
		return turns
	}
	for i, t := range slices.Clone(turns) {
		end := t.Add(momentYear)
		if i+1 < len(turns) && turns[i+1].Before(end) {
			end = turns[i+1]
		}
		turns = append(turns, shifts(zones, t, end)...)
	}
	slices.SortFunc(turns, time.Time.Compare)
	return turns
}

// moments returns one from each cell of the time from now on: between the turning
// points, each hour of each day of the week.
func moments(atoms []*atom, now time.Time, zone *time.Location, zones []*time.Location) []time.Time {
	clock, turns := readsClock(atoms), turning(atoms, now, zones)
	var out []time.Time
	for i, t := range turns {
		end := t.Add(momentSpan)
		if i+1 < len(turns) && turns[i+1].Before(end) {
			end = turns[i+1]
		}
		out = append(out, t)
		for h := nextHour(t, zone); clock && h.Before(end); h = nextHour(h, zone) {
			out = append(out, h)
		}
	}
	return out
}

// manyMoments is how many moments there are at most. Where rules name no times, as in
// most documents, the turning points are few enough to be counted; else each time is
// taken to bring all that it may.
func (a *analysis) manyMoments(atoms []*atom) int {
	times := 0
	for _, at := range atoms {
		times += len(at.times)
	}
	if times == 0 {
		return behind(turning(atoms, a.class.Now, a.zones), readsClock(atoms))
	}
	n := 3 + 2*times
	if readsClock(atoms) {
		n *= int(momentSpan/time.Hour) + 1
		if len(a.zones) > 1 {
			n *= 1 + 2*len(a.zones)
		}
	}
	return n
}

// behind is how many moments there are at most behind these turning points.
func behind(turns []time.Time, clock bool) int {
	n := len(turns)
	for i := range turns {
		span := momentSpan
		if i+1 < len(turns) {
			span = min(span, turns[i+1].Sub(turns[i]))
		}
		if clock {
			n += int(span/time.Hour) + 1
		}
	}
	return n
}

// texts returns one text from each cell that equality, prefixes and suffixes
// make. The prefixes that a text has are all prefixes of the longest among them,
// and suffixes alike; so a text that begins with the one, ends with the other
// and has in its middle a character that no literal has, stands for all that are
// not equal to a literal. Every text has the prefix first.
func texts(atoms []*atom, first string) []string {
	var equal []string
	heads, tails := []string{first}, []string{""}
	var all strings.Builder
	for _, at := range atoms {
		for _, w := range at.words {
			all.WriteString(w)
			switch {
			case at.op == is:
				equal = append(equal, w)
			case at.op == prefix && strings.HasPrefix(w, first):
				heads = append(heads, w)
			case at.op == suffix:
				tails = append(tails, w)
			}
		}
	}
	middle := foreign(all.String())
	var out []string
	for _, h := range heads {
		for _, t := range tails {
			out = append(out, h+middle+t)
		}
	}
	return append(out, equal...)
}

// foreign returns a character that does not occur in s.
func foreign(s string) string {
	for _, c := range "xzqXZQ~" {
		if !strings.ContainsRune(s, c) {
			return string(c)
		}
	}
	c := 'Ā'
	for strings.ContainsRune(s, c) {
		c++
	}
	return string(c)
}
