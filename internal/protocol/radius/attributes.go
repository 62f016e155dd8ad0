package radius

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/protocol/radius/packet"
)

// standard are the attributes that an Access-Accept may be given by name: RFC
// 2865 section 5.
var standard = map[string]struct {
	number packet.Type
	format string
}{
	"Service-Type":      {packet.ServiceType, "integer"},
	"Framed-IP-Address": {packet.FramedIPAddress, "address"},
	"Framed-IP-Netmask": {packet.FramedIPNetmask, "address"},
	"Filter-Id":         {packet.FilterID, "text"},
	"Reply-Message":     {packet.ReplyMessage, "text"},
	"Class":             {packet.Class, "text"},
	"Session-Timeout":   {packet.SessionTimeout, "integer"},
	"Idle-Timeout":      {packet.IdleTimeout, "integer"},
}

// sourceAttributes are where equipment puts the person's address.
var sourceAttributes = map[string]packet.Type{
	"Calling-Station-Id":     packet.CallingStationID,
	"Tunnel-Client-Endpoint": packet.TunnelClientEndpoint,
}

// encode writes the attributes as they go into a packet.
func encode(attributes []Attribute) ([]byte, error) {
	var out []byte
	for _, a := range attributes {
		number, value, err := a.encode()
		if err != nil {
			return nil, err
		}
		out = append(append(out, byte(number), byte(2+len(value))), value...)
	}
	if len(out) > maxReply {
		return nil, invalid("The attributes of one reply take %d bytes; %d is the most.", len(out), maxReply)
	}
	return out, nil
}

func (a Attribute) encode() (packet.Type, []byte, error) {
	if a.Vendor != 0 {
		return a.encodeVendor()
	}
	known, ok := standard[a.Name]
	if !ok {
		return 0, nil, invalid("Unknown reply attribute %q; use %s, or give vendor and type.", a.Name, standardNames())
	}
	if a.Type != 0 || a.Format != "" && a.Format != known.format {
		return 0, nil, invalid("%s has its own type and is %s; leave type and format out.", a.Name, known.format)
	}
	value, err := encodeValue(a.Name, known.format, a.Value, packet.MaxValue)
	return known.number, value, err
}

func (a Attribute) encodeVendor() (packet.Type, []byte, error) {
	if a.Name != "" {
		return 0, nil, invalid("A reply attribute has a name or a vendor, not both (%q).", a.Name)
	}
	if a.Type < 1 || a.Type > 255 {
		return 0, nil, invalid("The type of an attribute of vendor %d is 1 to 255.", a.Vendor)
	}
	format := a.Format
	if format == "" {
		format = "text"
	}
	name := "attribute " + strconv.Itoa(a.Type) + " of vendor " + strconv.FormatUint(uint64(a.Vendor), 10)
	value, err := encodeValue(name, format, a.Value, packet.MaxValue-6)
	if err != nil {
		return 0, nil, err
	}
	return packet.VendorSpecific, packet.Vendor(nil, a.Vendor, byte(a.Type), value), nil
}

// encodeValue writes a value of a format; limit is the most octets.
func encodeValue(name, format, text string, limit int) ([]byte, error) {
	var value []byte
	switch format {
	case "text":
		value = []byte(text)
	case "integer":
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, invalid("%s is a number from 0 to 4294967295, not %q.", name, text)
		}
		value = binary.BigEndian.AppendUint32(nil, uint32(n))
	case "address":
		addr, err := netip.ParseAddr(text)
		if err != nil || !addr.Is4() {
			return nil, invalid("%s is an IPv4 address, not %q.", name, text)
		}
		value = addr.AsSlice()
	case "hex":
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, invalid("%s is not hexadecimal: %q.", name, text)
		}
		value = b
	default:
		return nil, invalid("Unknown format %q of %s; use text, integer, address or hex.", format, name)
	}
	if len(value) == 0 || len(value) > limit {
		return nil, invalid("%s must have 1 to %d bytes.", name, limit)
	}
	return value, nil
}

func standardNames() string {
	names := make([]string, 0, len(standard))
	for n := range standard {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
