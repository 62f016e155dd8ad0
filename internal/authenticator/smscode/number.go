package smscode

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"unicode"
)

// Number is a telephone number as ITU-T E.164 writes it, with a + before: "+4930123456".
type Number string

// ReadNumber reads one as people write and copy it: with its country, and with spaces,
// hyphens, dots, slashes or brackets between digits, also those of other alphabets, such as
// no-break spaces and full-width digits. There are 8 to 15 digits, the first not 0. ok is
// false for anything else.
//
// The 0 in "+49 (0)30" is for calls inside the country and is left out. A longer group in
// brackets that begins with 0 is refused, and so is either with Italy's code (+39, +378,
// +379), whose numbers may begin with 0.
func ReadNumber(text string) (n Number, ok bool) {
	text = strings.TrimSpace(strings.Map(plainly, text))
	rest, plus := strings.CutPrefix(text, "+")
	if !plus || len(text) > 40 {
		return "", false
	}
	rest, ok = withoutTrunk(rest)
	if !ok {
		return "", false
	}
	digits := make([]byte, 0, 15)
	for i := range len(rest) {
		switch c := rest[i]; {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case strings.IndexByte(" -./()", c) < 0:
			return "", false
		}
	}
	if len(digits) < 8 || len(digits) > 15 || digits[0] == '0' {
		return "", false
	}
	return Number("+" + string(digits)), true
}

// plainly is a character as ASCII has it: what keyboards of other languages and word
// processors put in its place, and nothing for marks that show nothing.
func plainly(r rune) rune {
	switch {
	case r >= '\uff01' && r <= '\uff5e': // full-width forms
		return r - '\uff01' + '!'
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '\u2212': // dashes, minus
		return '-'
	case r == '\u200e', r == '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\ufeff': // directions, as copied from address books
		return -1
	}
	return r
}

var (
	zeroFirst = regexp.MustCompile(`\(\s*0[\s\d./-]*\)`)
	trunk     = regexp.MustCompile(`^([1-9][\d\s.-]{0,4})\(\s*0\s*\)`)
	italian   = regexp.MustCompile(`^3\s*(9|7\s*[89])`)
)

// withoutTrunk takes "(0)" out from behind the code of a country.
func withoutTrunk(rest string) (string, bool) {
	if !zeroFirst.MatchString(rest) {
		return rest, true
	}
	if italian.MatchString(rest) {
		return "", false
	}
	rest = trunk.ReplaceAllString(rest, "$1")
	return rest, !zeroFirst.MatchString(rest)
}

// Masked is enough of it for its owner to know it by: "+49 … 56".
func (n Number) Masked() string {
	if len(n) < 9 {
		return "…"
	}
	return string(n[:3]) + " … " + string(n[len(n)-2:])
}

// state is what is kept of a number. It is sealed with its row.
type state struct {
	Version int    `json:"v"`
	Number  Number `json:"n"`
}

func (s state) encode() ([]byte, error) {
	s.Version = 1
	return json.Marshal(s)
}

func decodeState(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != 1 {
		return state{}, errors.New("smscode: a stored number cannot be read")
	}
	if n, ok := ReadNumber(string(s.Number)); !ok || n != s.Number {
		return state{}, errors.New("smscode: a stored number is none")
	}
	return s, nil
}
