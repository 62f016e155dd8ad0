package radius

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"countersign/internal/protocol/radius/packet"
)

func checkClients(clients []Client) error {
	seen := map[netip.Prefix][]Client{}
	names := map[string]bool{}
	for _, c := range clients {
		if err := c.check(); err != nil {
			return err
		}
		if names[c.Name] {
			return invalid("Two clients are called %q.", c.Name)
		}
		names[c.Name] = true
		for _, text := range c.Networks {
			network, _ := parseNetwork(text)
			for _, other := range seen[network] {
				if !distinct(c.NASIdentifiers, other.NASIdentifiers) {
					return invalid("The clients %q and %q both claim %s; tell them apart by nas_identifiers.", other.Name, c.Name, network)
				}
			}
			seen[network] = append(seen[network], c)
		}
	}
	return nil
}

// distinct reports whether a request's NAS-Identifier says which of two entries
// of one network is meant. Of two, one may have none: it takes what is left.
func distinct(a, b []string) bool {
	if len(a) == 0 && len(b) == 0 {
		return false
	}
	return !slices.ContainsFunc(a, func(id string) bool { return slices.Contains(b, id) })
}

func (c Client) check() error {
	if c.Name == "" || len(c.Name) > 64 || strings.ContainsFunc(c.Name, unprintable) {
		return invalid("Every client needs a name of 1 to 64 printable characters.")
	}
	if len(c.Networks) == 0 {
		return invalid("The client %q needs at least one network.", c.Name)
	}
	for _, text := range c.Networks {
		network, err := parseNetwork(text)
		if err != nil {
			return err
		}
		if c.Exception != nil && !network.Addr().IsLoopback() && !network.IsSingleIP() {
			return invalid("The exception of the client %q is for single addresses, and %s is a network; list each device that cannot send Message-Authenticator.", c.Name, network)
		}
	}
	for _, id := range c.NASIdentifiers {
		if id == "" || len(id) > 253 {
			return invalid("A NAS identifier of the client %q is empty or longer than 253 bytes.", c.Name)
		}
	}
	return c.checkSecret()
}

// parseNetwork reads an address or a network. The widest are refused: a whole
// internet of clients is nobody's intention.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, invalid("%q is not an address or a network such as 10.0.0.0/24.", text)
	case p.Addr().Is4In6():
		return p, invalid("Write the network %s in its IPv4 form.", text)
	case p != p.Masked():
		return p, invalid("The network %s has bits set after its length; write %s.", text, p.Masked())
	case p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 32:
		return p, invalid("The network %s is too wide; list the equipment's networks.", text)
	}
	return p, nil
}

// known are secrets from manuals, and words that make a secret guessable
// together with little else.
var known = []string{
	"testing123", "radiussecret", "radius-secret", "sharedsecret", "shared-secret", "shared_secret",
	"changeme", "change-me", "change_me", "yoursecret", "your-secret", "your_secret", "mysecret", "password",
	"secret", "radius", "cisco", "radsec", "xyzzy5461", "example", "test", "1234567890", "123456", "qwerty", "abcdef",
}

// checkSecret refuses what a captured packet would give away to a word list.
// MD5 over a packet is guessed offline at billions a second.
func (c Client) checkSecret() error {
	if len(c.Secret) < minSecret || len(c.Secret) > maxSecret {
		return invalid("The secret of the client %q must have %d to %d characters.", c.Name, minSecret, maxSecret)
	}
	if c.Secret != strings.TrimSpace(c.Secret) || strings.ContainsFunc(c.Secret, unprintable) {
		return invalid("The secret of the client %q has a space at an end or a character that cannot be typed.", c.Name)
	}
	rest := strings.ToLower(c.Secret)
	for _, word := range known {
		rest = strings.ReplaceAll(rest, word, "")
	}
	different := map[rune]bool{}
	for _, r := range rest {
		different[r] = true
	}
	if len(different) < 8 || strings.Contains(strings.ToLower(c.Secret), "testing123") {
		return invalid("The secret of the client %q is easy to guess; take a random one, such as 24 characters of base64.", c.Name)
	}
	return nil
}

func unprintable(r rune) bool { return r < 0x20 || r == 0x7f }

// checkExceptions refuses an exception that is over, that lasts too long or
// that gives no reason.
func (s *Settings) checkExceptions(now time.Time) error {
	for _, c := range s.Clients {
		e := c.Exception
		switch {
		case e == nil:
		case strings.TrimSpace(e.Reason) == "" || len(e.Reason) > 200:
			return invalid("Say in up to 200 characters why the client %q cannot send Message-Authenticator.", c.Name)
		case !e.Expires.After(now):
			return invalid("The Message-Authenticator exception of the client %q is over; remove it or renew it.", c.Name)
		case e.Expires.Sub(now) > maxExceptionAge:
			return invalid("The Message-Authenticator exception of the client %q may last 90 days at most.", c.Name)
		case e.ProxyStates < 0 || e.ProxyStates > maxProxyStates:
			return invalid("The exception of the client %q may let in 0 to %d Proxy-States (proxy_states).", c.Name, maxProxyStates)
		}
	}
	return nil
}

// across reports whether any of a client's networks is beyond this machine.
func (c Client) across() bool {
	return slices.ContainsFunc(c.Networks, func(text string) bool {
		network, err := parseNetwork(text)
		return err != nil || !network.Addr().IsLoopback()
	})
}

// takes reports whether the exception covers the Proxy-States of a request.
func (e *Exception) takes(p packet.Packet) bool {
	many := 0
	for t, value := range p.All() {
		if t != packet.ProxyState {
			continue
		}
		if many++; many > e.ProxyStates || len(value) > maxProxyState {
			return false
		}
	}
	return true
}

// excepted reports whether the exception holds now. One that ends too far in
// the future, however it got there, does not.
func (e *Exception) excepted(now time.Time) bool {
	return e != nil && now.Before(e.Expires) && e.Expires.Sub(now) <= maxExceptionAge
}
