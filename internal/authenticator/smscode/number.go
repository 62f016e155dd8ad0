package smscode

import (
	"encoding/json"
	"errors"
	"strings"
)

// Number is a telephone number as ITU-T E.164 writes it, with a + before: "+4930123456".
type Number string

// ReadNumber reads one as people write it: with its country, and with spaces,
// hyphens, dots, slashes or brackets between digits. There are 8 to 15 digits, the
// first not 0. ok is false for anything else.
func ReadNumber(text string) (n Number, ok bool) {
	text = strings.TrimSpace(text)
	rest, plus := strings.CutPrefix(text, "+")
	if !plus || len(text) > 40 {
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
