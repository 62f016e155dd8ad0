package policy

import (
	"encoding/binary"
	"slices"
	"time"
)

// readSet is what the rules of a document read.
type readSet struct {
	facts    [factCount]bool
	groups   []string   // named by rules, sorted
	networks []*network // named by rules
	times    []time.Time
}

func (s *readSet) time() bool { return s.facts[nowHour] || s.facts[nowWeekday] || s.facts[nowTime] }

func (p *Policy) readSet() readSet {
	var s readSet
	for _, r := range p.rules {
		r.shape.atoms(func(a *atom) {
			s.facts[a.fact] = true
			switch {
			case a.network != nil && !slices.Contains(s.networks, a.network):
				s.networks = append(s.networks, a.network)
			case a.fact == accountGroups:
				s.groups = append(s.groups, a.words...)
			}
			s.times = append(s.times, a.times...)
		})
	}
	slices.Sort(s.groups)
	s.groups = slices.Compact(s.groups)
	slices.SortFunc(s.times, time.Time.Compare)
	return s
}

// Reads lists the facts that the rules read, as a document writes them.
func (p *Policy) Reads() []string {
	var out []string
	if p == nil {
		return out
	}
	for f, read := range p.reads.facts {
		if read {
			out = append(out, fact(f).String())
		}
	}
	return out
}

// Mentions are the names that a document rests on: as long as it is in force,
// these groups and applications must not be deleted, or it no longer compiles.
type Mentions struct{ Groups, Applications []string }

// Mentions returns the names that rules and tests compare with.
func (p *Policy) Mentions() Mentions {
	var m Mentions
	if p == nil {
		return m
	}
	for _, r := range p.rules {
		r.shape.atoms(func(a *atom) {
			switch {
			case a.fact == accountGroups:
				m.Groups = append(m.Groups, a.words...)
			case a.fact == applicationName && a.op == is:
				m.Applications = append(m.Applications, a.words...)
			}
		})
	}
	for _, t := range p.tests {
		m.Groups = append(m.Groups, t.facts.Account.Groups...)
		if t.facts.Application.Name != "" {
			m.Applications = append(m.Applications, t.facts.Application.Name)
		}
	}
	m.Groups, m.Applications = union(m.Groups, nil), union(m.Applications, nil)
	return m
}

// TellsApart reports whether a rule compares the name of an account with something that is
// true of one of two names only, so that the account would be another one to the policy.
func (p *Policy) TellsApart(a, b string) bool {
	apart := false
	if p == nil {
		return apart
	}
	for _, r := range p.rules {
		r.shape.atoms(func(at *atom) {
			apart = apart || at.fact == accountName && at.spells(a) != at.spells(b)
		})
	}
	return apart
}

// Key returns a key under which the Decision for these facts may be remembered,
// and until when. Two requests with one key get one Decision from this Policy;
// another Policy has its own keys. The zero time means that it holds for good.
// ok is false for facts that are not to be remembered (they are denied).
//
// The key holds what the rules read and nothing else: whether the source is in
// a network that a rule names, not the address itself.
func (p *Policy) Key(f Facts) (key string, until time.Time, ok bool) {
	if key, ok = p.KeyAlone(&f); !ok {
		return "", time.Time{}, false
	}
	return key, p.until(f.Now), true
}

// KeyAlone is [Policy.Key] for whoever looks for what was remembered.
func (p *Policy) KeyAlone(f *Facts) (key string, ok bool) {
	if _, fine := p.vet(f); !fine {
		return "", false
	}
	b := make([]byte, 0, 96)
	for which, read := range p.reads.facts {
		if !read {
			continue
		}
		switch factTable[which].sort {
		case yesNo:
			b = append(b, bit(f.flagOf(fact(which))))
		case text:
			s := f.textOf(fact(which), p.zone)
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		case number:
			b = append(b, byte(f.Now.In(p.zone).Hour()))
		case moment:
			at, found := slices.BinarySearchFunc(p.reads.times, f.Now, time.Time.Compare)
			b = append(binary.AppendUvarint(b, uint64(at)), bit(found))
		case groupSet:
			for _, g := range p.reads.groups {
				b = append(b, bit(slices.Contains(f.Account.Groups, g)))
			}
		case address:
			for _, n := range p.reads.networks {
				b = append(b, bit(n.contains(f.Source)))
			}
		}
	}
	return string(b), true
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// until returns when a fact about the time may next change: the top of the
// hour in the document's zone, or a time that a rule names.
func (p *Policy) until(now time.Time) time.Time {
	var end time.Time
	if p.reads.facts[nowHour] || p.reads.facts[nowWeekday] {
		end = nextHour(now, p.zone)
	}
	for _, t := range p.reads.times {
		if t.After(now) && (end.IsZero() || t.Before(end)) {
			return t
		}
		if t.Equal(now) {
			return now // equal for this instant only
		}
	}
	return end
}

// nextHour returns when a clock in the zone next shows another hour: a full
// hour from now, or an earlier shift of the zone.
func nextHour(now time.Time, zone *time.Location) time.Time {
	local := now.In(zone)
	into := time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	end := now.Add(time.Hour - into)
	if _, shift := local.ZoneBounds(); !shift.IsZero() && shift.Before(end) {
		return shift
	}
	return end
}
