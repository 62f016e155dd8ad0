package directory

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// maxName is the longest name in code points, before and after folding.
const maxName = 128

// Canonical returns the one spelling under which a typed name is looked up and
// counted: compatibility-composed, case-folded, without outer white space. All
// entry points use it, so that no spelling of a name has a guess budget of its
// own. A name that cannot be canonical (empty, too long, with control or
// invisible characters) is Invalid.
func Canonical(typed string) (string, error) {
	bad := failure.New(failure.Invalid, "Write a name of 1 to %d letters, digits and other characters, without spaces.", maxName)
	if len(typed) > 4*maxName || !utf8.ValidString(typed) {
		return "", bad
	}
	s := text.Spelling(typed)
	if n := utf8.RuneCountInString(s); n == 0 || n > maxName {
		return "", bad
	}
	for _, r := range s {
		if r > ' ' && r <= '~' {
			continue
		}
		if text.Blank(r) || unicode.IsControl(r) || unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs) || r == unicode.ReplacementChar {
			return "", bad
		}
	}
	return s, nil
}

// Candidates returns the canonical spellings that a typed name may be meant as,
// the most literal first: itself, and for a down-level name (CORP\ada) the part
// behind the backslash. Which of them exists is for the alias table to say.
func Candidates(typed string) []string {
	c, err := Canonical(typed)
	if err != nil {
		return nil
	}
	out := []string{c}
	if i := strings.LastIndexByte(c, '\\'); i >= 0 && i+1 < len(c) {
		out = append(out, c[i+1:])
	}
	return out
}

// scripts that hold letters which look like Latin ones.
var lookalike = []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Cherokee, unicode.Armenian}

// CheckNew says whether a canonical name may be given to a new account: no
// mixture of scripts whose letters look alike, and none of the signs that
// protocols and shells read as something else.
func CheckNew(canonical string) error {
	mixed := 0
	for _, table := range lookalike {
		if strings.ContainsFunc(canonical, func(r rune) bool { return unicode.Is(table, r) }) {
			mixed++
		}
	}
	if mixed > 1 {
		return failure.New(failure.Invalid, "The name mixes letters of several scripts that look alike; use one script.")
	}
	if strings.ContainsAny(canonical, "\\/\"'`<>|&;$(){}[]*?!#%,:=^~") {
		return failure.New(failure.Invalid, "The name may have letters, digits, and . _ - + @ only.")
	}
	if strings.HasPrefix(canonical, "-") || strings.HasPrefix(canonical, ".") || strings.Count(canonical, "@") > 1 {
		return failure.New(failure.Invalid, "The name may not begin with - or . and may have one @ at most.")
	}
	return nil
}
