package audit

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

func appendActor(b []byte, a Actor) []byte {
	b = append(b, '{')
	if a.Account != 0 {
		b = append(b, `"account":`...)
		b = strconv.AppendInt(b, a.Account, 10)
		b = append(b, ',')
	}
	b = append(b, `"name":`...)
	b = appendString(b, a.Name, MaxText)
	b = appendField(b, "via", a.Via, MaxText)
	return append(b, '}')
}

func appendField(b []byte, name, value string, limit int) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value, limit)
}

func appendNumber(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendInt(b, n, 10)
}

func appendDetail(b []byte, detail map[string]string) []byte {
	if len(detail) == 0 {
		return b
	}
	b = append(b, `,"detail":{`...)
	for i, k := range slices.Sorted(maps.Keys(detail)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, k...)
		b = append(b, '"', ':')
		b = appendString(b, detail[k], MaxValue)
	}
	return append(b, '}')
}

// appendString appends a JSON string. After clean only two characters need an
// escape, so the form is the same whoever writes it.
func appendString(b []byte, s string, limit int) []byte {
	s = clean(s, limit)
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

const (
	mark     = '\uFFFD' // stands for what does not print or is not UTF-8
	ellipsis = "…"      // stands for what was cut
)

// clean returns s in at most limit bytes of printable UTF-8. Control, format
// and direction characters become U+FFFD: they could rewrite a terminal or make
// one name look like another. It is idempotent.
func clean(s string, limit int) string {
	if len(s) <= limit && plain(s) {
		return s
	}
	var out strings.Builder
	keep := 0 // length of out up to which the ellipsis still fits
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = mark
		}
		if out.Len()+utf8.RuneLen(r) > limit {
			return out.String()[:keep] + ellipsis
		}
		out.WriteRune(r)
		if out.Len() <= limit-len(ellipsis) {
			keep = out.Len()
		}
	}
	return out.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// validKey reports whether k may name a detail: a word of the program, so that
// it needs neither cutting nor escaping.
func validKey(k string) bool {
	return k != "" && len(k) <= MaxKey && plain(k) && !strings.ContainsAny(k, `"\`)
}
