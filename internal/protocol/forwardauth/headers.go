package forwardauth

import (
	"net/http"
	"net/url"
	"strings"
)

// identity is how every header begins by which an application is told who
// somebody is. Whatever is put between its letters, some server makes the same
// variable of it: PHP folds a dot and a space to an underscore, CGI programs are
// told HTTP_REMOTE_USER of any punctuation (RFC 3875 section 4.1.18). So what
// begins like it comes from us or from nobody.
const identity = "remote"

// foreign are how other headers begin, letters alone, by which applications are told who
// somebody is. Countersign promises nothing about them: proxies drop them, as they are written
// with hyphens. In another spelling no proxy drops them surely, and some servers make the same
// variable of it.
var foreign = []string{"xremote", "xwebauth", "xauthenti", "xauthrequest", "xforwardeduser", "xforwardedemail", "xforwardedgroup", "xforwardedpreferred"}

// overriding are how headers begin by which some applications take a second
// method from a request, letters alone.
var overriding = []string{"xhttpmethod", "xmethodoverride", "httpmethodoverride", "methodoverride"}

// told is what a browser's headers say that is not for it to say.
type told struct {
	// identity is a header that an application could take for ours.
	identity bool
	// method is one that names a second method.
	method bool
	// tunnel is one that changes to a protocol whose requests nobody would ask about.
	tunnel bool
}

// look reads the names of all headers once. It allocates nothing.
func look(h http.Header) (t told) {
	t.tunnel = changes(h)
	for name := range h {
		switch name {
		case "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Uri", "X-Original-Method", "X-Original-Url":
			continue // what proxies ask with, which says none of it
		}
		switch first(name) {
		case 'r':
			t.identity = t.identity || begins(name, identity)
		case 'x':
			t.identity = t.identity || odd(name) && beginsAny(name, foreign)
			fallthrough
		case 'h', 'm':
			t.method = t.method || !strings.HasPrefix(name, "X-Forwarded-") && overrides(name)
		}
	}
	return t
}

// changes reports whether a request asks for another protocol than a WebSocket. HTTP/2
// that begins so (RFC 7540 section 3.2) carries requests of its own, to any path and by
// any name, of which neither the proxy nor we hear. Most proxies keep Upgrade from us;
// of HTTP/2 they show the settings that go with it.
func changes(h http.Header) bool {
	to := h["Upgrade"]
	return len(h["Http2-Settings"]) > 0 || len(to) > 1 || len(to) == 1 && to[0] != "" && !strings.EqualFold(strings.TrimSpace(to[0]), "websocket")
}

func overrides(name string) bool { return beginsAny(name, overriding) }

func beginsAny(name string, words []string) bool {
	for _, word := range words {
		if begins(name, word) {
			return true
		}
	}
	return false
}

// odd reports whether a name has anything but letters, digits and hyphens between them.
func odd(name string) bool {
	for i := range len(name) {
		if b := name[i]; small(b) == 0 && (b != '-' || i == 0) {
			return true
		}
	}
	return false
}

// first is the first letter or digit of a name, as a small letter.
func first(name string) byte {
	for i := range len(name) {
		if b := small(name[i]); b != 0 {
			return b
		}
	}
	return 0
}

// begins reports whether the letters and digits of a name, with whatever stands
// between and before them left out, begin with those of a word in small letters.
func begins(name, word string) bool {
	at := 0
	for i := 0; i < len(name) && at < len(word); i++ {
		switch b := small(name[i]); {
		case b == 0:
		case b != word[at]:
			return false
		default:
			at++
		}
	}
	return at == len(word)
}

// small is a letter as a small one, a digit as it is, and anything else zero.
func small(b byte) byte {
	switch {
	case b >= 'a' && b <= 'z', b >= '0' && b <= '9':
		return b
	case b >= 'A' && b <= 'Z':
		return b + 'a' - 'A'
	}
	return 0
}

// namesMethod reports whether a query names a second method, as _method or like
// one of the headers. What is in a body we are not shown.
func namesMethod(query string) bool {
	for query != "" {
		part := query
		if at := strings.IndexAny(query, "&;"); at >= 0 {
			part, query = query[:at], query[at+1:]
		} else {
			query = ""
		}
		if name, _, _ := strings.Cut(part, "="); parameterOverrides(name) {
			return true
		}
	}
	return false
}

// hidesMethod reports whether a path in some reading ends in parameters that name a second
// method, as /a%3F_method=DELETE does for a program that decodes before it cuts.
func (t target) hidesMethod() bool {
	for _, other := range t.others {
		if _, parameters, found := strings.Cut(strings.ReplaceAll(other, "?", ";"), ";"); found && namesMethod(parameters) {
			return true
		}
	}
	return false
}

func parameterOverrides(name string) bool {
	if strings.ContainsAny(name, "%+") {
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
	}
	for _, b := range []byte(name) {
		if b >= 0x80 {
			name = skeleton(name)
			break
		}
	}
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "[")
	if name == "" {
		return false
	}
	return small(name[0]) == 0 && begins(name, "method") || overrides(name)
}

// withoutOurs are the cookies that a browser sent, but ours, which are nothing to an
// application: whoever has one is let in by it.
func withoutOurs(lines []string) string {
	if len(lines) == 1 && !strings.Contains(lines[0], ownCookies) {
		return lines[0] // as most are: nothing to be taken away
	}
	var out strings.Builder
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.Trim(part, " \t") // and no other space, which may be part of a value
			if part == "" || strings.HasPrefix(strings.TrimPrefix(part, "__Host-"), ownCookies) {
				continue
			}
			if out.Len() > 0 {
				out.WriteString("; ")
			}
			out.WriteString(part)
		}
	}
	return out.String()
}

// ownCookies is how the names of all our cookies begin, after __Host-.
const ownCookies = "countersign"
