package policy

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// formula is the shape of a condition: what it reads and how that combines. It
// is made from the same tree that CEL evaluates, and is for saying things about
// all requests at once; one request is decided by CEL alone.
type formula struct {
	op    connective
	value bool       // of literal
	kids  []*formula // of and, or, not
	atom  *atom
}

type connective uint8

const (
	literal connective = iota
	and
	or
	not
	leaf
)

// atom is one comparison of one fact with literals.
type atom struct {
	fact fact
	op   comparison
	// One of these is set, by the fact's sort: words (is, prefix, suffix, part,
	// match, member), network, numbers, times. Equality with any of several is
	// one atom; ordering has one literal.
	words   []string
	network *network
	numbers []int64
	times   []time.Time
	pattern *regexp.Regexp // of match
}

type comparison uint8

const (
	isTrue comparison = iota // a yesNo fact itself
	is                       // equal to any of the literals
	prefix
	suffix
	part
	match
	member // a group among account.groups
	within // source in a network
	less
	lessOrIs
	more
	moreOrIs
)

// holds says whether the comparison is true of these facts.
func (a *atom) holds(f *Facts, zone *time.Location) bool {
	switch factTable[a.fact].sort {
	case yesNo:
		return f.flagOf(a.fact)
	case address:
		return a.network.contains(f.Source)
	case groupSet:
		return slices.Contains(f.Account.Groups, a.words[0])
	case number:
		return ordered(a.op, a.numbers, func(n int64) int { return f.Now.In(zone).Hour() - int(n) })
	case moment:
		return ordered(a.op, a.times, f.Now.Compare)
	}
	return a.spells(f.textOf(a.fact, zone))
}

// spells is holds for a fact of text.
func (a *atom) spells(s string) bool {
	switch a.op {
	case is:
		return slices.Contains(a.words, s)
	case prefix:
		return strings.HasPrefix(s, a.words[0])
	case suffix:
		return strings.HasSuffix(s, a.words[0])
	case part:
		return strings.Contains(s, a.words[0])
	case match:
		return a.pattern.MatchString(s)
	}
	return false
}

// ordered compares by how the fact stands to a literal: below, at or above 0.
func ordered[T any](op comparison, literals []T, stands func(T) int) bool {
	switch op {
	case is:
		return slices.ContainsFunc(literals, func(l T) bool { return stands(l) == 0 })
	case less:
		return stands(literals[0]) < 0
	case lessOrIs:
		return stands(literals[0]) <= 0
	case more:
		return stands(literals[0]) > 0
	case moreOrIs:
		return stands(literals[0]) >= 0
	}
	return false
}

// truth is what is known of a formula when some of its facts are not.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// settle evaluates with what open reports left out: an atom that is open is
// unknown. What it says of the rest holds whatever those turn out to be.
func (m *formula) settle(f *Facts, zone *time.Location, open func(*atom) bool) truth {
	switch m.op {
	case literal:
		return truthOf(m.value)
	case leaf:
		if open(m.atom) {
			return unknown
		}
		return truthOf(m.atom.holds(f, zone))
	case not:
		switch m.kids[0].settle(f, zone, open) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	}
	decisive, result := no, yes // and
	if m.op == or {
		decisive, result = yes, no
	}
	for _, kid := range m.kids {
		switch kid.settle(f, zone, open) {
		case decisive:
			return decisive
		case unknown:
			result = unknown
		}
	}
	return result
}

// atoms calls f for each atom.
func (m *formula) atoms(f func(*atom)) {
	if m == nil {
		return
	}
	if m.op == leaf {
		f(m.atom)
	}
	for _, kid := range m.kids {
		kid.atoms(f)
	}
}
