// Package text writes what others have typed so that it can be shown to somebody
// who decides by it: on one line, whole, and with nothing in it that is not seen.
//
// It owns how that is written and knows what characters do to a line: end it, turn
// its direction, join it, or show nothing at all. It never cuts anything off: what
// is too long is for its caller to refuse. Its one invariant: two texts that differ
// are never written alike, and what is written stands where it was put.
package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
)

// Longest is the longest text, in bytes, that is shown to somebody who approves it.
const Longest = 2000

// Isolates keep what is between them from turning what stands around it.
const (
	isolate = '\u2068' // first strong isolate
	release = '\u2069' // pop directional isolate
)

// OneLine writes s on one line. What is not seen, or moves what is seen, is written
// as an escape: \n, \t, \u{202E}, \x1B of a byte that is no UTF-8. A backslash is
// written twice, and the second of two spaces as an escape, so that it can be read
// back. Where s runs from right to left it is isolated from what stands around it.
func OneLine(s string) string { return isolated(escaped(s, false)) }

// Quote is OneLine between quotation marks, for what stands amid a sentence: a
// quotation mark in it is escaped, so that it cannot end before its end.
func Quote(s string) string { return isolated(`"` + escaped(s, true) + `"`) }

// Name is a name as it is: without quotation marks where it holds nothing but small
// ASCII letters, digits and . _ @ + - and otherwise quoted.
func Name(s string) string {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || !strings.ContainsRune("._@+-", rune(c))) {
			return Quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// Lines is OneLine for each line of a document, which keeps its lines and its
// spaces. It is for showing a document as such, never for a part of a sentence.
func Lines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		end := strings.TrimRight(line, "\r\n")
		for _, r := range runes(end) {
			if r.hidden {
				b.WriteString(r.escape())
			} else {
				b.WriteString(end[r.at : r.at+r.size])
			}
		}
		if strings.HasSuffix(line, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Seen writes s for a terminal or a page: what is not seen as an escape, and
// everything else as it is.
func Seen(s string) string {
	if Clean(s) {
		return s
	}
	return escapedAs(s, func(r one) bool { return r.hidden })
}

// Clean reports whether a text shows all that it holds, on one line: it has nothing
// that is escaped but isolates around whole parts.
func Clean(s string) bool {
	if ascii(s) {
		return true
	}
	inside := false
	for _, r := range runes(s) {
		switch {
		case r.rune == isolate && !inside:
			inside = true
		case r.rune == release && inside:
			inside = false
		case r.hidden:
			return false
		}
	}
	return !inside
}

// ascii reports whether a text is printable ASCII, as most are.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// one is one character of a text, or one byte that is none.
type one struct {
	rune     rune
	at, size int
	byte     byte // where rune is utf8.RuneError of size 1
	hidden   bool
}

func (r one) escape() string {
	switch {
	case r.rune == utf8.RuneError && r.size == 1:
		return `\x` + strings.ToUpper(strconv.FormatInt(int64(r.byte)+256, 16)[1:])
	case r.rune == '\n':
		return `\n`
	case r.rune == '\t':
		return `\t`
	}
	return `\u{` + strings.ToUpper(strconv.FormatInt(int64(r.rune), 16)) + `}`
}

// mostMarks is how many combining marks may follow one another: more of them hide
// what is above and below.
const mostMarks = 3

func runes(s string) []one {
	out := make([]one, 0, len(s))
	marks := mostMarks // a mark at the beginning would join what stands before it
	for at := 0; at < len(s); {
		r, size := utf8.DecodeRuneInString(s[at:])
		x := one{rune: r, at: at, size: size, byte: s[at]}
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		x.hidden = r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) || blank(r) || marks > mostMarks
		out, at = append(out, x), at+size
	}
	return out
}

// blanks print nothing although they count as letters, marks or signs: fillers,
// joiners and variation selectors.
var blanks = &unicode.RangeTable{
	R16: []unicode.Range16{{0x034F, 0x034F, 1}, {0x115F, 0x1160, 1}, {0x17B4, 0x17B5, 1}, {0x180B, 0x180F, 1}, {0x2800, 0x2800, 1}, {0x3164, 0x3164, 1}, {0xFE00, 0xFE0F, 1}, {0xFFA0, 0xFFA0, 1}},
	R32: []unicode.Range32{{0x1D159, 0x1D159, 1}, {0xE0100, 0xE01EF, 1}},
}

func blank(r rune) bool { return r > 0xff && unicode.Is(blanks, r) }

// Blank reports whether a character shows nothing, or changes how others are shown.
func Blank(r rune) bool { return r != ' ' && (!unicode.IsPrint(r) || blank(r)) }

func escaped(s string, quoted bool) string {
	before := rune(' ') // a space at the beginning is escaped too
	n := len(s)
	return escapedAs(s, func(r one) bool {
		space := r.rune == ' ' && (before == ' ' || r.at+1 == n)
		before = r.rune
		return r.hidden || space || r.rune == '\\' || quoted && r.rune == '"'
	})
}

func escapedAs(s string, escape func(one) bool) string {
	var b strings.Builder
	for _, r := range runes(s) {
		switch {
		case !escape(r):
			b.WriteString(s[r.at : r.at+r.size])
		case r.rune == '\\', r.rune == '"':
			b.WriteByte('\\')
			b.WriteRune(r.rune)
		default:
			b.WriteString(r.escape())
		}
	}
	return b.String()
}

// isolated keeps a text that runs from right to left to itself.
func isolated(s string) string {
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.R, bidi.AL, bidi.AN:
			return string(isolate) + s + string(release)
		}
	}
	return s
}
