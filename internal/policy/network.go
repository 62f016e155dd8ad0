package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// network is a named set of addresses: spans, sorted, that neither overlap nor
// touch.
type network struct {
	name  string
	spans []span
}

type span struct{ first, last netip.Addr }

// newNetwork merges prefixes, so that looking up is a binary search and the
// ends of spans are exactly where membership changes.
func newNetwork(name string, prefixes []netip.Prefix) *network {
	all := make([]span, len(prefixes))
	for i, p := range prefixes {
		all[i] = span{p.Addr(), lastOf(p)}
	}
	slices.SortFunc(all, func(a, b span) int { return a.first.Compare(b.first) })
	n := &network{name: name}
	for _, s := range all {
		if k := len(n.spans) - 1; k >= 0 && joins(n.spans[k], s) {
			if n.spans[k].last.Less(s.last) {
				n.spans[k].last = s.last
			}
			continue
		}
		n.spans = append(n.spans, s)
	}
	return n
}

// joins reports whether b, which starts no earlier than a, overlaps or touches
// a. Families never join: all of IPv4 comes before IPv6, and nothing valid comes
// next to its last address.
func joins(a, b span) bool { return !a.last.Less(b.first) || a.last.Next() == b.first }

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// contains reports whether a is in the network. An address that is unknown is
// in none; one of IPv4 is the same however it is written.
func (n *network) contains(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	a = plain(a)
	i, found := slices.BinarySearchFunc(n.spans, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if found {
		return true
	}
	return i > 0 && !n.spans[i-1].last.Less(a)
}

// Networks returns the names of the document's networks that an address is in, in
// the alphabet's order: none for one that is unknown.
func (p *Policy) Networks(a netip.Addr) []string {
	var out []string
	for name, n := range p.networks {
		if n.contains(a) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// plain writes an address the one way that it is compared in.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// parsePrefix reads a CIDR or a single address. Its error is a sentence on how
// to mend it.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("%q is not an address; write one as in 10.20.0.0/16 or 2001:db8:20::/48", s)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not an address range; write one as in 10.20.0.0/16 or 2001:db8:20::/48", s)
	case p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is IPv4 inside of IPv6; write the IPv4 range itself", s)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits set after its prefix length; write %s", s, p.Masked())
	}
	return p, nil
}
