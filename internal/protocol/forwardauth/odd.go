package forwardauth

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// mostDecodings is how often an odd path may be decoded until nothing of it changes.
const mostDecodings = 4

// readOdd reads a request target that [readTarget] refuses although it is legal: escapes of
// delimiters and percent signs (RFC 3986 section 2.2) and parameters in the path, a backslash
// in the query, which browsers send as it is (URL Standard, "query state"). It finds what
// programs may take its path for. What walks out of a folder in any of these readings, a
// control character and what is not UTF-8 stay refused.
func readOdd(raw string) (target, bool) {
	sent, query, _ := strings.Cut(raw, "?")
	if len(raw) > longest || !strings.HasPrefix(sent, "/") || strings.Contains(sent, "//") || !printable(raw) || strings.ContainsRune(sent, '\\') {
		return target{}, false
	}
	if !escapesWhole(sent) {
		return target{}, false
	}
	t := target{raw: raw, query: query, odd: true}
	for range mostDecodings + 1 {
		if !tame(sent) {
			return target{}, false
		}
		t.others = append(t.others, variants(sent)...)
		decoded := lenient(sent)
		if t.path == "" {
			t.path = decoded
		}
		if decoded == sent {
			slices.Sort(t.others)
			t.others = slices.Compact(t.others)
			return t, true
		}
		sent = decoded
	}
	return target{}, false
}

// printable reports whether all bytes may stand in a target as they are.
func printable(raw string) bool {
	return !strings.ContainsFunc(raw, func(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '#' })
}

// escapesWhole reports whether each percent sign begins an escape (RFC 3986 section 2.1).
func escapesWhole(sent string) bool {
	for at := range len(sent) {
		if sent[at] == '%' && !escape(sent[at:]) {
			return false
		}
	}
	return true
}

func escape(s string) bool {
	return len(s) >= 3 && strings.IndexByte(hexDigits, s[1]) >= 0 && strings.IndexByte(hexDigits, s[2]) >= 0
}

const hexDigits = "0123456789abcdefABCDEF"

// lenient decodes once, and leaves a percent sign that begins no escape, as PHP does.
func lenient(s string) string {
	var out strings.Builder
	for at := 0; at < len(s); at++ {
		if s[at] == '%' && escape(s[at:]) {
			out.WriteByte(nibble(s[at+1])<<4 | nibble(s[at+2]))
			at += 2
			continue
		}
		out.WriteByte(s[at])
	}
	return out.String()
}

// nibble is the value of a hexadecimal digit.
func nibble(digit byte) byte {
	if digit <= '9' {
		return digit - '0'
	}
	return digit&^0x20 - 'A' + 10
}

// tame reports whether no program leaves the folder by a path: it has no dot segment, whether
// a backslash or what follows a delimiter counts or not.
func tame(p string) bool {
	if !utf8.ValidString(p) || strings.ContainsFunc(p, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return false
	}
	for segment := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
		for _, s := range []string{segment, cutAt(segment, ";?#")} {
			if s = strings.TrimSpace(s); s == "." || s == ".." {
				return false
			}
		}
	}
	return true
}

// variants are what programs may make of a path without decoding it: parameters left out, cut
// at a delimiter, a backslash as a slash.
func variants(p string) []string {
	cut := cutAt(p, "?#")
	out := []string{p, cut, withoutParameters(p), withoutParameters(cut)}
	for _, v := range slices.Clone(out) {
		out = append(out, path.Clean("/"+strings.ReplaceAll(v, `\`, "/")))
	}
	return out
}

func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		segments[i] = cutAt(segment, ";")
	}
	return strings.Join(segments, "/")
}

// cutAt is what stands before the first of some delimiters.
func cutAt(s, delimiters string) string {
	if at := strings.IndexAny(s, delimiters); at >= 0 {
		return s[:at]
	}
	return s
}
