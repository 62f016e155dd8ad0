package oidc

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// redirectFault says what is wrong with a redirect URI that is to be saved, within a sentence
// that began with the URI; empty is nothing. What two programs could read differently is
// refused: a name before the host, backslashes, dot segments, anything that is not printable
// ASCII, a fragment (RFC 6749 section 3.1.2).
func redirectFault(uri string, native bool) string {
	u, err := url.Parse(uri)
	switch {
	case len(uri) > 500:
		return "is longer than 500 characters"
	case err != nil || !u.IsAbs():
		return "is not an absolute address such as https://wiki.example.org/callback"
	case strings.ContainsFunc(uri, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '\\' || r == '*' || r == '<' || r == '>' || r == '"'
	}):
		return "has characters that do not belong in it; write it out, without wildcards"
	case strings.Contains(uri, "#"):
		return "has a fragment"
	case u.User != nil:
		return "has a user name in it"
	}
	switch u.Scheme {
	case "https", "http":
		return webFault(u, native)
	}
	switch {
	case !native:
		return "is not an https address; only programs on people's own machines (native) have schemes of their own"
	case !strings.Contains(u.Scheme, "."):
		return "has a scheme without a dot; use a domain of yours backwards, such as org.example.app (RFC 8252 section 7.1)"
	}
	return ""
}

// hostForm is a host in the one way that everybody reads: a name or an address, with its port.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$`)

func webFault(u *url.URL, native bool) string {
	switch {
	case !hostForm.MatchString(u.Host):
		return "names no host, or one that is not written plainly"
	case u.Hostname() == "" || strings.HasSuffix(u.Hostname(), ".") || u.Opaque != "":
		return "names no host"
	case u.Host != strings.ToLower(u.Host):
		return "has capital letters in its host"
	case u.Path == "" && strings.Contains(u.String(), "?"): // some products and programs have no path at all
		return "has a query without a path; put a / before the ? where it is the front page"
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == "." || s == ".." || strings.ContainsAny(s, ";\\") }):
		return "has dot segments or parameters in its path"
	case u.Scheme == "http" && !native && !private(u.Hostname()):
		return "is not https"
	case u.Scheme == "http" && native && !loopback(u.String()):
		return "is neither https nor on the loopback interface"
	}
	return ""
}

// private reports whether a host is this machine, where no network is between.
func private(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.IsLoopback()
}

// loopback reports whether a URI is on the loopback interface by its address, as programs on
// people's own machines listen (RFC 8252 section 7.3).
func loopback(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && a.IsLoopback() && a.Zone() == ""
}

// redirects reports whether an answer may go to a URI: one that is listed, byte by byte; of a
// native client's loopback addresses the port may be another one, and nothing else.
func (s Settings) redirects(uri string) bool {
	if uri == "" || len(uri) > 600 {
		return false
	}
	if slices.Contains(s.Redirects, uri) {
		return true
	}
	return s.native() && loopback(uri) && redirectFault(uri, true) == "" && slices.ContainsFunc(s.Redirects, func(listed string) bool {
		return loopback(listed) && withoutPort(listed) == withoutPort(uri)
	})
}

// withoutPort is a loopback address with its port cut out, or empty where it cannot be: the text
// is compared otherwise as it stands.
func withoutPort(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	rest, ok := strings.CutPrefix(uri, "http://"+u.Host)
	if !ok {
		return ""
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "http://" + host + rest
}
