package radius

import (
	"net/netip"
	"strconv"
	"strings"

	"countersign/internal/prompt"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/signin"
)

// microsoft is the vendor of MS-CHAP (RFC 2548 section 2).
const microsoft = 311

// content is what an Access-Request holds that matters here. It shares the
// packet's octets.
type content struct {
	name, hidden, state []byte
	identifier          []byte // NAS-Identifier
	address             []byte // NAS-IP-Address or NAS-IPv6-Address
	source              []byte
	// method names a way of proving oneself that is not supported here, and
	// eap is the first octets of an EAP packet.
	method string
	eap    []byte
}

// read goes through the attributes once. It reports false when one that RFC
// 2865 section 5.44 allows once is there twice: no two readers of such a packet
// would agree on what it says.
func read(p packet.Packet, source packet.Type) (content, bool) {
	var c content
	once := true
	put := func(to *[]byte, value []byte) {
		once = once && *to == nil
		*to = value
	}
	for t, value := range p.All() {
		switch t {
		case packet.UserName:
			put(&c.name, value)
		case packet.UserPassword:
			put(&c.hidden, value)
		case packet.State:
			put(&c.state, value)
		case packet.NASIdentifier:
			put(&c.identifier, value)
		case packet.NASIPAddress, packet.NASIPv6Address:
			if c.address == nil {
				c.address = value
			}
		case packet.EAPMessage:
			c.method = "eap"
			if c.eap == nil {
				c.eap = value
			}
		case packet.CHAPPassword:
			c.method = "chap"
		case packet.ARAPPassword:
			c.method = "arap"
		}
		if t == source && source != 0 {
			put(&c.source, value)
		}
	}
	return c, once
}

// unsupported names the way of proving oneself that the request wants and this
// server does not offer; empty for User-Password or nothing. A code cannot be
// checked against a hash of itself, and EAP has no place to ask for one.
func (c content) unsupported(p packet.Packet) string {
	if c.method != "" || c.hidden != nil {
		return c.method
	}
	for _, number := range [...]byte{1, 25} { // MS-CHAP-Response, MS-CHAP2-Response
		if _, ok := p.Vendor(microsoft, number); ok {
			return "ms-chap"
		}
	}
	return ""
}

// person is where the person is, when the equipment tells and it is an address.
func (c content) person() netip.Addr {
	text := string(c.source)
	if text != "" && text[0] < 0x20 {
		text = text[1:] // the tag of RFC 2868 section 3.3
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().WithZone("")
	}
	if addr, err := netip.ParseAddrPort(text); err == nil {
		return addr.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// partner is what the audit log calls the equipment, and what an attempt is
// bound to.
func (c content) partner(of *client, from netip.Addr) string {
	partner := of.name + " " + from.Unmap().String()
	if !of.bindNAS {
		return partner
	}
	if c.identifier != nil {
		partner += " nas=" + printable(string(c.identifier))
	}
	if addr, ok := netip.AddrFromSlice(c.address); ok {
		partner += " nas-address=" + addr.String()
	}
	return partner
}

// printable keeps what a machine calls itself readable, whatever it put there.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }) {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// opening are the answers that a first request brings.
func (d *door) opening(typed string) []prompt.Answer {
	if typed == "" {
		return nil
	}
	switch d.mode {
	case CodeOnly:
		return []prompt.Answer{{Authenticator: signin.AnyCode, Text: typed}}
	case Appended:
		password, code := d.split(typed)
		answers := []prompt.Answer{{Authenticator: "password", Text: password}}
		if code != "" {
			answers = append(answers, prompt.Answer{Authenticator: signin.AnyCode, Text: code})
		}
		return answers
	}
	return []prompt.Answer{{Authenticator: "password", Text: typed}}
}
