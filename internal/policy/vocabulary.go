package policy

import (
	"maps"
	"slices"
	"strconv"
)

// vocabulary is [Known] by fact, as sets.
type vocabulary struct {
	byFact [factCount]map[string]bool
	kinds  map[string]bool // of authenticators
	reads  map[string]bool // actions that only look
	// tolerant takes names that nobody has, and notes them in gone.
	tolerant bool
	gone     []string
}

// lacks reports whether a name is to be refused, because nobody has it.
func (v *vocabulary) lacks(names map[string]bool, noun, name string) bool {
	if names[name] {
		return false
	}
	if v.tolerant {
		v.gone = union(v.gone, []string{noun + " " + strconv.Quote(name)})
	}
	return !v.tolerant
}

// methods are the HTTP methods of RFC 9110 section 9, RFC 5789 and RFC 4918.
// A condition may name others: they only have to be written in capitals.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK"}

func newVocabulary(k Known) vocabulary {
	v := vocabulary{kinds: setOf(k.Kinds), reads: setOf(k.Reading)}
	v.byFact[accountGroups] = setOf(k.Groups)
	v.byFact[accountKind] = setOf(k.AccountKinds)
	v.byFact[applicationName] = setOf(k.Applications)
	v.byFact[applicationKind] = setOf(k.ApplicationKinds)
	v.byFact[applicationTier] = setOf(k.Tiers)
	v.byFact[applicationProtocol] = setOf(k.Protocols)
	v.byFact[requestProtocol] = setOf(k.Protocols)
	v.byFact[requestAction] = setOf(k.Actions)
	v.byFact[nowWeekday] = setOf(weekdays)
	return v
}

// closed are the facts whose values are all known when a document is compiled,
// so that a request with another one is a mistake somewhere, and denied.
var closed = [...]fact{requestAction, requestProtocol, accountKind, applicationKind, applicationTier, applicationProtocol}

// strange names the first closed fact of f with a value that nobody knows. An
// empty value, other than an action's, is merely not said.
func (v *vocabulary) strange(f *Facts) (fact, bool) {
	for _, which := range closed {
		s := f.textOf(which, nil)
		if s == "" && which != requestAction {
			continue
		}
		if !v.byFact[which][s] {
			return which, true
		}
	}
	return 0, false
}

// list returns the known values of a fact, sorted.
func (v *vocabulary) list(which fact) []string {
	return slices.Sorted(maps.Keys(v.byFact[which]))
}

// first returns the first name, or "" when there is none.
func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func setOf(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
