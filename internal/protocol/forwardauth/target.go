package forwardauth

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// target is what a request asks for, read in the one way that it can be read.
type target struct {
	// raw is as it was sent: path and query.
	raw string
	// path is percent-decoded, so that no spelling of it escapes a rule.
	path string
	// query is as it was sent.
	query string
	// odd says that programs may read the target in several ways: path is then decoded
	// once, and others are what programs may take it for.
	odd    bool
	others []string
}

// longest is how long a request target may be, in bytes.
const longest = 8192

// readTarget reads a request target in origin form (RFC 9112 section 3.2.1). It
// refuses what two programs could read differently: dot segments, empty
// segments, parameters, fragments, backslashes, control characters, bytes that
// ought to be escaped, and escapes of what has a meaning in a path.
func readTarget(raw string) (target, bool) {
	if len(raw) > longest || !strings.HasPrefix(raw, "/") {
		return target{}, false
	}
	for _, b := range []byte(raw) {
		if b <= 0x20 || b >= 0x7f || b == '#' || b == '\\' {
			return target{}, false
		}
	}
	sent, query, _ := strings.Cut(raw, "?")
	if strings.ContainsRune(sent, ';') {
		return target{}, false
	}
	decoded, ok := decodePath(sent)
	if !ok {
		return target{}, false
	}
	for rest, more := decoded[1:], true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "." || segment == ".." || segment == "" && more {
			return target{}, false
		}
	}
	return target{raw: raw, path: decoded, query: query}, true
}

// decodePath decodes once. An escape of a delimiter, a dot, a percent sign or a
// control character means one thing before decoding and another after it.
func decodePath(sent string) (string, bool) {
	for rest := sent; ; {
		at := strings.IndexByte(rest, '%')
		if at < 0 {
			break
		}
		if rest = rest[at:]; len(rest) < 3 {
			return "", false
		}
		b, err := url.PathUnescape(rest[:3])
		if err != nil || b[0] < 0x20 || b[0] == 0x7f || strings.Contains(`/\.%;?#`, b) {
			return "", false
		}
		rest = rest[3:]
	}
	decoded, err := url.PathUnescape(sent)
	return decoded, err == nil && utf8.ValidString(decoded)
}

// skeleton is what is left of a text when all is taken away that some program
// overlooks: case, compatibility forms, and spaces at the ends.
func skeleton(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.TrimSpace(strings.ToLower(s)) // the same, and quick
	}
	return strings.TrimSpace(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))))
}

// pathSkeleton is the skeleton of a path: also backslashes, dots and spaces at
// the ends of segments (as Windows drops them), empty and dot segments.
func pathSkeleton(p string) string {
	segments := strings.Split(strings.ReplaceAll(skeleton(p), `\`, "/"), "/")
	for i, s := range segments {
		if s != "." && s != ".." {
			segments[i] = strings.TrimRight(s, ". ")
		}
	}
	return path.Clean("/" + strings.Join(segments, "/"))
}
