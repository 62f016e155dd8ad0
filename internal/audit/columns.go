package audit

import (
	"bytes"
	"strconv"
	"time"
)

// ColumnsOf returns the time and the account of an encoded entry, of which a store keeps
// copies in columns, without decoding all of it. The body must come from
// [Entry.Encode]: its MAC was checked.
func ColumnsOf(body []byte) (at time.Time, account int64) {
	const begins = `{"at":"`
	if len(body) < len(begins)+len(timeForm) {
		return time.Time{}, 0
	}
	at, _ = time.Parse(timeForm, string(body[len(begins):len(begins)+len(timeForm)]))
	// Quotes inside a text are escaped, and the actor's account is the first in its
	// braces, so this is found in the entry itself only. What details say are texts.
	_, rest, ok := bytes.Cut(body, []byte(`,"account":`))
	if !ok || len(rest) == 0 || rest[0] == '"' {
		return at, 0
	}
	digits := 0
	for digits < len(rest) && (rest[digits] == '-' || rest[digits] >= '0' && rest[digits] <= '9') {
		digits++
	}
	account, _ = strconv.ParseInt(string(rest[:digits]), 10, 64)
	return at, account
}

// VersionsIn returns the Versions of an encoded entry without decoding all of it. The
// body must come from [Entry.Encode]. Versions hold no character that needs an escape;
// the result ends before the first one.
func VersionsIn(body []byte) string {
	before, _, _ := bytes.Cut(body, []byte(`,"detail":{`)) // a detail may have any name
	_, rest, ok := bytes.Cut(before, []byte(`,"versions":"`))
	if !ok {
		return ""
	}
	text, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(text)
}
