package forwardauth

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"countersign/internal/failure"
)

// ports are the schemes' own, which are left out of a host.
var ports = map[string]string{"http": "80", "https": "443"}

// plainHost returns the one spelling of a host that a request names: small
// letters, no final dot, no port where it is the scheme's own. Anything but a
// DNS name in ASCII or a canonical IP address is no host.
func plainHost(scheme, host string) (string, bool) {
	name, port, ok := splitHost(host)
	if !ok {
		return "", false
	}
	if name, ok = plainName(name); !ok {
		return "", false
	}
	if port == "" || port == ports[scheme] {
		return name, true
	}
	return name + ":" + port, true
}

// splitHost cuts a port off. Brackets stay on an IPv6 address.
func splitHost(host string) (name, port string, ok bool) {
	end := strings.LastIndexByte(host, ']')
	at := strings.IndexByte(host[end+1:], ':')
	if at < 0 {
		return host, "", true
	}
	name, port = host[:end+1+at], host[end+1+at+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	return name, port, err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

func plainName(name string) (string, bool) {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return "[" + a.String() + "]", err == nil && a.Is6() && a.Zone() == "" && strings.HasSuffix(name, "]")
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if len(name) == 0 || len(name) > 253 {
		return "", false
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if !plainLabel(label) {
			return "", false
		}
		last = label
	}
	// What ends in a number is an IPv4 address to browsers, in many spellings
	// (URL Standard, "ends in a number checker"): only the usual one is taken.
	if last[0] >= '0' && last[0] <= '9' && (strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")) {
		a, err := netip.ParseAddr(name)
		return name, err == nil && a.Is4()
	}
	return name, true
}

// plainLabel allows letters, digits, hyphens, and the underscores that some
// inner networks have in names.
func plainLabel(label string) bool {
	if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, b := range []byte(label) {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return true
}

// settingsHost returns the spelling under which the cache keeps a host of the
// settings, or says what is wrong with it. It may be written in any script and
// case, with a port, and may begin with *. for exactly one label.
func settingsHost(host string) (string, error) {
	bad := failure.New(failure.Invalid, "%q is not a host such as wiki.example.org, *.apps.example.org or localhost:8081.", host)
	rest, wild := strings.CutPrefix(host, "*.")
	for _, b := range []byte(rest) {
		if b >= 0x80 {
			// A name beyond ASCII is what browsers make of it (RFC 5891, UTS #46).
			name, port, found := strings.Cut(rest, ":")
			ascii, err := idna.Lookup.ToASCII(name)
			if err != nil {
				return "", bad
			}
			if rest = ascii; found {
				rest += ":" + port
			}
			break
		}
	}
	plain, ok := plainHost("", rest)
	if !ok {
		return "", bad
	}
	name, port, _ := splitHost(plain)
	if port == "80" || port == "443" {
		return "", failure.New(failure.Invalid, "Leave the port out of %q: it is the scheme's own.", host)
	}
	if !wild {
		return plain, nil
	}
	// Whoever may register names under a public suffix would be handed sessions.
	// What no list knows counts as one when it is a single label, such as *.test.
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "", bad
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return "", failure.New(failure.Invalid, "%q is too wide: anybody can have a name under %s.", host, name)
	}
	return "*." + plain, nil
}

// wildcard returns the name of the wildcard that a host falls under, if any:
// the first label is replaced, so that it stands for exactly one.
func wildcard(host string) string {
	_, parent, ok := strings.Cut(host, ".")
	if !ok {
		return ""
	}
	return "*." + parent
}
