package webpush

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// errInside is an endpoint that leads to where a push service cannot be.
var errInside = errors.New("webpush: the push service's address is not on the public internet")

// special are the networks that netip's own questions leave out: shared address
// space, protocol assignments, documentation, benchmarks, reserved, and the
// IPv6 forms that carry an IPv4 address inside (RFC 6890).
var special = func() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// public reports whether an address can be a push service's.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// control is asked after the name was resolved and before the connection is
// made, for each address that is tried: a name that changes its address between
// a check and its use has nothing to gain.
func (o Options) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errInside
	}
	if slices.ContainsFunc(o.Inside, func(p netip.Prefix) bool { return p.Contains(to.Addr().Unmap()) }) {
		return nil
	}
	if !public(to.Addr()) || to.Port() != 443 {
		return errInside
	}
	return nil
}

// CheckEndpoint parses a push service's address: https, a host, no user information, at
// most 1024 bytes.
func CheckEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || len(endpoint) > 1024 || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" ||
		strings.ContainsAny(endpoint, " \t\r\n") {
		return nil, errors.New("webpush: invalid address of a push service")
	}
	return u, nil
}
