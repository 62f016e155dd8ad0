// Package text escapes text from users so that it can be shown to somebody who
// decides by it: on one line, complete, and without invisible characters.
//
// It escapes line breaks, changes of direction (Unicode bidirectional controls),
// joiners and characters without a glyph. It never truncates: callers refuse text
// that is too long. It also has the one spelling by which names are compared, and reads
// lengths of time.
// Invariant: two different texts are never written alike, and a text does not change
// how its surroundings are shown.
package text

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// Longest is the length in bytes of the longest text that is shown for approval.
const Longest = 2000

// Isolates keep the text between them from changing the direction of its surroundings.
const (
	isolate = '\u2068' // first strong isolate
	release = '\u2069' // pop directional isolate
)

// OneLine writes s on one line. Characters that are invisible, or that move others,
// are escaped: \n, \t, \u{202E}, \x1B for a byte that is not UTF-8. A backslash is
// doubled and the second of two spaces is escaped, so that the result is reversible.
// Text that runs from right to left is isolated from its surroundings.
func OneLine(s string) string { return isolated(escaped(s, false)) }

// Quote is OneLine in quotation marks, for use inside a sentence. Quotation marks
// in s are escaped, so that s cannot end the quotation.
func Quote(s string) string { return isolated(`"` + escaped(s, true) + `"`) }

// Name returns s unchanged if it holds only lower-case ASCII letters, digits and
// . _ @ + - and quoted otherwise.
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

// Lines applies OneLine to each line of a document, and keeps its line breaks and
// spaces. It is for showing whole documents, never for a part of a sentence.
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

// Seen writes s for a terminal or a page: it escapes invisible characters and
// leaves all others.
func Seen(s string) string {
	if Clean(s) {
		return s
	}
	return escapedAs(s, func(r one) bool { return r.hidden })
}

// Clean reports whether a text is one line without invisible characters: nothing
// in it needs an escape except isolates around whole parts.
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

// one is one character of a text, or one byte that is not UTF-8.
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

// mostMarks is how many combining marks may follow one another: more of them
// cover the lines above and below.
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

// blanks have no glyph although Unicode counts them as letters, marks or symbols:
// fillers, joiners and variation selectors.
var blanks = &unicode.RangeTable{
	R16: []unicode.Range16{{0x034F, 0x034F, 1}, {0x115F, 0x1160, 1}, {0x17B4, 0x17B5, 1}, {0x180B, 0x180F, 1}, {0x2800, 0x2800, 1}, {0x3164, 0x3164, 1}, {0xFE00, 0xFE0F, 1}, {0xFFA0, 0xFFA0, 1}},
	R32: []unicode.Range32{{0x1D159, 0x1D159, 1}, {0xE0100, 0xE01EF, 1}},
}

func blank(r rune) bool { return r > 0xff && unicode.Is(blanks, r) }

// Blank reports whether a character has no glyph, or changes how others are shown.
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

// isolated puts isolates around a text that runs from right to left.
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

// Spelling is a name in the one spelling that all forms of it share: without spaces around it,
// and without what differs by case or by how Unicode writes a character (NFKC, case folding).
// Two spellings that are alike mean one account.
func Spelling(name string) string {
	if plain(name) {
		return strings.ToLower(name)
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name))))
}

// plain reports whether a text is printable ASCII without a space, of which all but the case of letters
// stands for itself. Most names are.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Duration reads a length of time as people write it: 90s, 15m, 8h (as time.ParseDuration
// does), or whole days, 30d, up to 65535 of them.
func Duration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}
