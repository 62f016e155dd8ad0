package radius

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"countersign/internal/application"
	"countersign/internal/prompt"
	"countersign/internal/protocol/radius/packet"
)

// door is one application's settings, ready for use.
type door struct {
	application string
	mode        Mode
	separator   string
	digits      int
	timeout     time.Duration
	source      packet.Type // 0 for none
	bindNAS     bool
	replies     []ready

	// until is the deadline of the requests that came last.
	until atomic.Pointer[deadline]
}

// deadline is a context that ends, and when by the server's clock.
type deadline struct {
	context.Context
	at   time.Time
	stop context.CancelFunc // called by nobody: it ends by itself
}

// together is for how long requests share a deadline.
const together = 50 * time.Millisecond

// deadline returns a context that ends at this moment, which is so far away, or
// up to a twentieth of a second later: making one costs as much as checking a
// Message-Authenticator, so requests that come together share it.
func (d *door) deadline(parent context.Context, at time.Time, left time.Duration) context.Context {
	if u := d.until.Load(); u != nil && !u.at.Before(at) && u.at.Sub(at) <= together && u.Err() == nil {
		return u
	}
	ctx, stop := context.WithTimeout(parent, left+together)
	u := &deadline{ctx, at.Add(together), stop}
	d.until.Store(u)
	return u
}

// ready is a Reply, encoded.
type ready struct {
	groups []string
	octets []byte
}

// client is one Client of a door, ready for use.
type client struct {
	*door
	name        string
	key         []byte
	secret      *packet.Secret
	identifiers []string
	ports       []int
	exception   *Exception
}

// Plays is what a mode can play. In mode wait one line is typed, and nothing can be
// shown before the person acts; a challenge can show a number.
func (m Mode) Plays() prompt.Medium {
	switch m {
	case Challenge, "":
		return prompt.Line | prompt.Display
	case Wait:
		return prompt.Single | prompt.Silence
	}
	return prompt.Single
}

// hold is until when a reply to what came at this time is of use.
func (d *door) hold(received time.Time) time.Time {
	return received.Add(d.timeout - min(d.timeout/4, time.Second))
}

// attributes are what an Access-Accept for somebody in these groups carries.
func (d *door) attributes(groups []string) []byte {
	for _, r := range d.replies {
		if len(r.groups) == 0 || slices.ContainsFunc(r.groups, func(g string) bool { return slices.Contains(groups, g) }) {
			return r.octets
		}
	}
	return nil
}

// Problem is an application, or one of its clients, that is not served, and why
// in one sentence.
type Problem struct {
	Application string
	Why         string
}

// clientTable is every door, and who may come to which.
type clientTable struct {
	// clients by network; lengths are the networks' lengths, longest first.
	clients  map[netip.Prefix][]*client
	lengths  []int
	problems []Problem
}

// build prepares all applications. What cannot be served is left out and told:
// the application that was there first keeps a network that two claim.
func build(applications []application.Application) *clientTable {
	h := &clientTable{clients: map[netip.Prefix][]*client{}}
	for _, a := range slices.SortedFunc(slices.Values(applications), func(a, b application.Application) int { return cmp.Compare(a.ID, b.ID) }) {
		s, err := parseSettings(a.Settings)
		if err != nil {
			h.problems = append(h.problems, Problem{a.Name, err.Error()})
			continue
		}
		h.add(a.Name, s)
	}
	slices.SortFunc(h.lengths, func(a, b int) int { return cmp.Compare(b, a) })
	return h
}

func (h *clientTable) add(name string, s Settings) {
	d := &door{
		application: name, mode: s.Mode, separator: s.Separator, digits: s.CodeDigits,
		timeout: time.Duration(s.Timeout) * time.Second,
		source:  sourceAttributes[s.SourceAttribute], bindNAS: s.Bind == "nas",
	}
	for _, r := range s.Replies {
		octets, _ := encode(r.Attributes) // parseSettings has tried it
		d.replies = append(d.replies, ready{folded(r.Groups), octets})
	}
	for _, c := range s.Clients {
		key := []byte(c.Secret)
		one := &client{door: d, name: c.Name, key: key, secret: packet.NewSecret(key), identifiers: c.NASIdentifiers, ports: s.Ports, exception: c.Exception}
		for _, text := range c.Networks {
			network, _ := parseNetwork(text)
			h.admit(network, one)
		}
	}
}

func (h *clientTable) admit(network netip.Prefix, c *client) {
	for _, other := range h.clients[network] {
		if other.door != c.door && samePort(other.ports, c.ports) && !distinct(other.identifiers, c.identifiers) {
			h.problems = append(h.problems, Problem{c.application, "The network " + network.String() + " of the client " + c.name +
				" belongs to the application " + other.application + " already; give one of the two nas_identifiers or ports."})
			return
		}
	}
	if !slices.Contains(h.lengths, network.Bits()) {
		h.lengths = append(h.lengths, network.Bits())
	}
	// Those with identifiers come first: one without takes what is left.
	h.clients[network] = append(h.clients[network], c)
	slices.SortStableFunc(h.clients[network], func(a, b *client) int {
		return cmp.Compare(min(len(b.identifiers), 1), min(len(a.identifiers), 1))
	})
}

func samePort(a, b []int) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p int) bool { return slices.Contains(b, p) })
}

// find returns whose request this is: the client of the narrowest network that
// fits the address, our port and the NAS-Identifier. Nobody is nil.
func (h *clientTable) find(from netip.Addr, port int, p packet.Packet) *client {
	from = from.Unmap().WithZone("")
	for _, bits := range h.lengths {
		network, err := from.Prefix(bits)
		if err != nil {
			continue // an IPv6 length and an IPv4 address
		}
		for _, c := range h.clients[network] {
			if (len(c.ports) == 0 || slices.Contains(c.ports, port)) && c.identifies(p) {
				return c
			}
		}
	}
	return nil
}

func (c *client) identifies(p packet.Packet) bool {
	if len(c.identifiers) == 0 {
		return true
	}
	id, ok := p.Get(packet.NASIdentifier)
	return ok && slices.Contains(c.identifiers, string(id))
}

// split cuts what was typed into password and code. A code that is not there is
// empty.
func (d *door) split(typed string) (password, code string) {
	if d.separator != "" {
		if at := strings.LastIndex(typed, d.separator); at >= 0 {
			return typed[:at], typed[at+len(d.separator):]
		}
		return typed, ""
	}
	at := len(typed) - d.digits
	if at < 0 || strings.ContainsFunc(typed[at:], func(r rune) bool { return r < '0' || r > '9' }) {
		return typed, ""
	}
	return strings.TrimSuffix(typed[:at], " "), typed[at:] // people type a space between the two
}
