// Package outside tells addresses on the public internet from those inside a network.
//
// It owns the list of special networks and the check of an address right before the
// connection is made. It connects to nothing and knows no names. Its neighbours are webpush
// and events, which send to addresses that somebody else chose. Its one invariant: an address
// that is neither public nor listed is refused, whatever name led to it.
package outside

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// ErrInside is an address that leads to where nobody listed one.
var ErrInside = errors.New("the address is inside the network, and is not listed")

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

// Public reports whether an address is on the public internet.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Listed are the destinations inside the network that an administrator allows.
type Listed struct {
	networks []netip.Prefix
	names    []string
}

// List reads networks (10.1.0.0/16), addresses and host names. A name allows private and
// loopback addresses behind it, and no link-local one: there the metadata services of clouds
// are, which only an explicit address opens. A text that is none of them is an error.
func List(texts []string) (Listed, error) {
	var l Listed
	for _, s := range texts {
		if p, err := netip.ParsePrefix(s); err == nil {
			l.networks = append(l.networks, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(s); err == nil {
			l.networks = append(l.networks, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		if s == "" || strings.ContainsAny(s, "/:@ \t\r\n*") {
			return Listed{}, errors.New("it must be a network, an address or a host's name")
		}
		l.names = append(l.names, plain(s))
	}
	return l, nil
}

func plain(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// Allows reports whether a connection may be made to an address that this host name led to.
func (l Listed) Allows(host string, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if Public(a) || slices.ContainsFunc(l.networks, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	return slices.Contains(l.names, plain(host)) && (a.IsPrivate() || a.IsLoopback())
}

// Control returns a function for [net.Dialer.Control]. It is asked after the name was
// resolved and before the connection is made, for each address that is tried, so that a name
// that changes its address between a check and its use gains nothing.
func (l Listed) Control(host string) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !l.Allows(host, to.Addr()) {
			return ErrInside
		}
		return nil
	}
}
