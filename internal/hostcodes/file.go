package hostcodes

import (
	"bufio"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"countersign/internal/failure"
)

// used is a line of the file that a host keeps: which code was accepted last, if
// any was.
type used struct {
	login   string
	secret  []byte
	counter int // of the code; -1 for none
	code    string
	at      time.Time
}

const (
	mostLines = 1000
	fileWords = "HOTP NAME - SECRET, and behind it COUNTER CODE TIME once a code was used"
)

// readFile reads a usersfile of liboath 2.6. Blank lines and comments are passed
// over, as it does; anything else that it would not take is refused by its line.
func readFile(text string) ([]used, error) {
	var out []used
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		u, ok := readLine(words)
		if !ok || len(out) == mostLines {
			return nil, failure.At("file", failure.New(failure.Invalid, "Line %d is not of the form %s.", n, fileWords))
		}
		out = append(out, u)
	}
	if lines.Err() != nil {
		return nil, failure.At("file", failure.New(failure.Invalid, "The file has a line that is too long."))
	}
	return out, nil
}

func readLine(w []string) (u used, ok bool) {
	if len(w) != 4 && len(w) != 7 || w[0] != "HOTP" {
		return u, false
	}
	u = used{login: w[1], counter: -1}
	var err error
	if u.secret, err = hex.DecodeString(w[3]); err != nil || len(u.secret) == 0 {
		return u, false
	}
	if len(w) == 4 {
		return u, true
	}
	// The time is the host's own, with an L behind it for local.
	at, err := time.Parse("2006-01-02T15:04:05L", w[6])
	counter, err2 := strconv.ParseUint(w[4], 10, 31)
	if err != nil || err2 != nil || len(w[5]) != Digits {
		return u, false
	}
	u.counter, u.code, u.at = int(counter), w[5], at
	return u, true
}
