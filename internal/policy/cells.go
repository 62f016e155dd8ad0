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
	case nowHour:
		return setters(moments(atoms, a.class.Now, a.policy.zone), func(f *Facts, v time.Time) { f.Now = v })
	case requestProtocol:
		return setters(a.policy.known.list(which), func(f *Facts, v string) { f.Protocol = v })
	case requestAction:
		return setters(a.policy.known.list(which), func(f *Facts, v string) { f.Action, f.Reads = v, a.policy.known.reads[v] })
	case requestMethod:
		return setters(slices.Concat([]string{""}, methods, texts(atoms, "")), func(f *Facts, v string) { f.Method = v })
	}
	return setters(append([]string{""}, texts(atoms, "/")...), func(f *Facts, v string) { f.Path = v })
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

// moments returns one from each cell of the time from now on: between the times
// that rules name, each hour of each day of the week.
func moments(atoms []*atom, now time.Time, zone *time.Location) []time.Time {
	turns := []time.Time{now}
	clock := false
	for _, at := range atoms {
		clock = clock || at.fact != nowTime
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
