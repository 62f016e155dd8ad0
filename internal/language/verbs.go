package language

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// placeholder is what a text may have for an argument: a verb, with the argument's number
// where another than the next is meant. Flags, widths and further verbs are none, and a per cent
// sign has no number: with one, fmt would go on from there.
var placeholder = regexp.MustCompile(`%(?:%|(?:\[([1-9])\])?([sdqv]))`)

// verbs are the placeholders of a text by the number of their argument.
func verbs(text string) map[int]string {
	out, next := map[int]string{}, 1
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if m[2] == "" { // a per cent sign
			continue
		}
		if m[1] != "" {
			next, _ = strconv.Atoi(m[1])
		}
		out[next] += m[2]
		next++
	}
	return out
}

// sameVerbs compares the placeholders of a text with those of the English one: each argument is
// there, as the same verb, and no other is. Where the English text has none, a per cent sign
// is one and nothing is formatted.
func sameVerbs(english, text string) error {
	want, got := verbs(english), verbs(text)
	if len(want) == 0 && len(got) == 0 {
		return nil
	}
	if stray := strayPercent(text); stray != "" {
		return fmt.Errorf("%q is no placeholder; write %%%% for a per cent sign", stray)
	}
	for _, n := range slices.Sorted(maps.Keys(want)) {
		verb, has := want[n], got[n]
		if has == "" {
			return fmt.Errorf("the placeholder %%[%d]%s is missing", n, verb[:1])
		}
		if strings.Trim(has, verb[:1]) != "" {
			return fmt.Errorf("placeholder %d is %%%s in English, and cannot be another here", n, verb[:1])
		}
	}
	for _, n := range slices.Sorted(maps.Keys(got)) {
		if want[n] == "" {
			return fmt.Errorf("placeholder %d is too many: the English text has %d", n, len(want))
		}
	}
	return nil
}

// strayPercent is the first per cent sign in a text that begins no placeholder, with what
// stands behind it; empty where there is none.
func strayPercent(text string) string {
	rest := placeholder.ReplaceAllString(text, "")
	if i := strings.IndexByte(rest, '%'); i >= 0 {
		return rest[i:min(len(rest), i+2)]
	}
	return ""
}
