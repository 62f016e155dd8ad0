package password

import (
	_ "embed"
	"sort"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
)

// list holds the commonest passwords, folded, one a line, sorted. common.md says
// where it is from. It is searched where the program file has it: nothing is
// read, parsed or kept at the start.
//
//go:embed common.txt
var list string

// listed reports whether a folded password is a line of the list.
func listed(folded string) bool {
	if folded == "" || strings.Contains(folded, "\n") {
		return false
	}
	// at is the first byte of which the line around it is not before the password.
	at := sort.Search(len(list), func(i int) bool { return lineAround(i) >= folded })
	return at < len(list) && lineAround(at) == folded
}

// lineAround returns the line that byte i of the list belongs to; a line break
// belongs to the line that it ends.
func lineAround(i int) string {
	from := strings.LastIndexByte(list[:i], '\n') + 1
	to := strings.IndexByte(list[i:], '\n')
	if to < 0 {
		return list[from:]
	}
	return list[from : i+to]
}

// fold is the form in which passwords and names are compared.
func fold(s string) string { return cases.Fold().String(s) }

// stems are words too short for the list that many common passwords are made of,
// with digits and signs before or behind.
var stems = strings.Fields(`p@ssword qwerty qwertz azerty asdfgh zxcvbn letmein welcome admin login monkey dragon batman master
	shadow michael jordan secret default guest summer winter spring autumn charlie hunter killer soccer
	hockey freedom flower hello testing company corporate`)

var rows = []string{"01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujm"}

// common reports whether a folded password is one that is guessed first: one of
// the list, a repetition, a row of the keyboard, or a common word with ornaments.
func common(folded string) bool {
	for _, row := range rows {
		if strings.Contains(row, folded) {
			return true
		}
	}
	bare := unadorned(folded)
	if strings.Count(folded, folded[:1]) == len(folded) || listed(folded) || listed(bare) {
		return true
	}
	for _, s := range stems {
		if bare == s || folded == s || bare == s+s {
			return true
		}
	}
	return false
}

// unadorned is a folded password without what people put around a word to
// satisfy a rule: digits and signs before and behind.
func unadorned(folded string) string {
	return strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
}

// minInside is how long a name must be, in letters and digits, to be looked for
// inside a password: shorter ones are in too many by chance.
const minInside = 4

// made reports whether a folded password is made of a name: whatever case and
// separators it has, inside when it is long enough to be meant, else with
// ornaments alone.
func made(folded, name string) bool {
	name = plain(fold(name))
	if len([]rune(name)) >= minInside {
		return strings.Contains(plain(folded), name)
	}
	return name != "" && plain(unadorned(folded)) == name
}

// plain leaves the letters and digits.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// names are what a service is called: a name as it is, and of a host name each
// label but the last, which a country or a trade shares.
func names(service []string) []string {
	var out []string
	for _, s := range service {
		labels := strings.Split(s, ".")
		if len(labels) > 1 {
			labels = labels[:len(labels)-1]
		}
		for _, l := range labels {
			if len(plain(l)) >= minInside {
				out = append(out, l)
			}
		}
	}
	return out
}
