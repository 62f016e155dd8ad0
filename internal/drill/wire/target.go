package wire

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
)

// Configured is an application of the protocol RADIUS, by its name and settings.
type Configured struct {
	Application string
	Settings    json.RawMessage
}

// client is equipment that an application's settings know.
type client struct {
	Networks       []string `json:"networks"`
	Secret         string   `json:"secret"`
	NASIdentifiers []string `json:"nas_identifiers"`
}

type settings struct {
	Clients    []client `json:"clients"`
	Mode       Mode     `json:"mode"`
	Separator  string   `json:"separator"`
	CodeDigits int      `json:"code_digits"`
	Bind       string   `json:"bind"`
}

// Here are the applications that this machine can ask, each from an address of it that the
// application knows. Left are those that it cannot, by their names as components, and why.
func Here(all []Configured) (out []Radius, left map[string]string, err error) {
	addresses, err := addressesHere()
	if err != nil {
		return nil, nil, err
	}
	left = map[string]string{}
	read := make([]settings, len(all))
	for i, c := range all {
		if err := json.Unmarshal(c.Settings, &read[i]); err != nil {
			return nil, nil, fmt.Errorf("the settings of %s cannot be read", c.Application)
		}
	}
	for i, c := range all {
		s := read[i]
		r := Radius{Application: c.Application, Mode: s.Mode, Separator: s.Separator, CodeDigits: s.CodeDigits, BindClient: s.Bind == "client"}
		if from, with, ok := stand(read, i, addresses); ok {
			r.From, r.Secret = from, with.Secret
			out = append(out, r)
			continue
		}
		left[r.name()] = "none of its clients is an address of this machine; add one for the drill, such as 127.0.0.53"
	}
	return out, left, nil
}

// stand finds an address of this machine from which one of the applications is asked, and
// as which client: that with the narrowest network has it. Clients that are told apart by
// their NAS-Identifier are not played.
func stand(all []settings, at int, addresses []netip.Addr) (netip.Addr, client, bool) {
	for _, c := range all[at].Clients {
		if len(c.NASIdentifiers) > 0 {
			continue
		}
		for _, from := range within(c, addresses) {
			mine, _ := covers(c, from)
			if mine >= narrowest(all, from) {
				return from, c, true
			}
		}
	}
	return netip.Addr{}, client{}, false
}

// narrowest is how narrow the narrowest network of any client is that has an address.
func narrowest(all []settings, from netip.Addr) int {
	most := -1
	for _, s := range all {
		for _, c := range s.Clients {
			if bits, has := covers(c, from); has && len(c.NASIdentifiers) == 0 {
				most = max(most, bits)
			}
		}
	}
	return most
}

// covers reports whether an address is a client's, and how narrow its network is.
func covers(c client, from netip.Addr) (bits int, is bool) {
	bits = -1
	for _, n := range c.Networks {
		if p, ok := network(n); ok && p.Contains(from) && p.Bits() > bits {
			bits, is = p.Bits(), true
		}
	}
	return bits, is
}

func network(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil
}

// within are the addresses of this machine that are a client's. All of 127.0.0.0/8 is this
// machine's.
func within(c client, addresses []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, n := range c.Networks {
		p, ok := network(n)
		if !ok {
			continue
		}
		for _, a := range addresses {
			if p.Contains(a) {
				out = append(out, a)
			}
		}
		if first := p.Masked().Addr(); first.Is4() && first.IsLoopback() {
			if p.Bits() < first.BitLen() {
				first = first.Next()
			}
			out = append(out, first)
		}
	}
	return out
}

// addressesHere are the addresses of this machine.
func addressesHere() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out, nil
}
