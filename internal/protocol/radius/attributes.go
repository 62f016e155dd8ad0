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

// The formats of values, as settings name them.
const (
	asText        = "text"
	asInteger     = "integer"
	asAddress     = "address"      // IPv4
	asAddress6    = "address6"     // IPv6
	asPrefix6     = "prefix6"      // an IPv6 prefix, RFC 3162 section 2.3
	asInterfaceID = "interface-id" // RFC 3162 section 2.2
	asHex         = "hex"
)

// named is a definition with its vendor, 0 for none.
type named struct {
	definition
	vendor uint32
}

// byName finds definitions by their names in small letters.
var byName = func() map[string]named {
	out := map[string]named{}
	for _, v := range vendors {
		for _, d := range v.definitions {
			out[strings.ToLower(d.name)] = named{d, v.number}
		}
	}
	return out
}()

func (a Attribute) encode() (packet.Type, []byte, error) {
	if a.Name == "" && a.Vendor != 0 {
		return a.encodeVendor()
	}
	known, ok := byName[strings.ToLower(a.Name)]
	if !ok {
		return 0, nil, invalid("Unknown reply attribute %q%s; docs/radius.md lists the names. For any other of a vendor give vendor, type and format.", a.Name, alike(a.Name))
	}
	if a.Type != 0 || a.Vendor != 0 && a.Vendor != known.vendor || a.Format != "" && a.Format != known.format {
		return 0, nil, invalid("%s has its own vendor and type and is %s; leave vendor, type and format out.", known.name, known.format)
	}
	limit := packet.MaxValue
	if known.vendor != 0 {
		limit -= 6
	}
	value, err := a.encodeNamed(known, limit)
	if err != nil {
		return 0, nil, err
	}
	if known.vendor != 0 {
		return packet.VendorSpecific, packet.Vendor(nil, known.vendor, known.number, value), nil
	}
	return packet.Type(known.number), value, nil
}

// encodeNamed writes a value with its tag: RFC 2868 section 3.1 puts it into the first octet
// of a number, and section 3.3 before a text, where none need be.
func (a Attribute) encodeNamed(known named, limit int) ([]byte, error) {
	text := a.Value
	if n, ok := values[known.name][text]; ok {
		text = strconv.FormatUint(uint64(n), 10)
	}
	if a.Tag < 0 || a.Tag > maxTag || a.Tag != 0 && !known.tagged {
		return nil, invalid("A tag is 1 to %d, and for Tunnel attributes only (%s).", maxTag, known.name)
	}
	if a.Tag != 0 && known.format == asText {
		limit--
	}
	value, err := encodeValue(known.name, known.format, text, limit)
	switch {
	case err != nil || !known.tagged:
	case known.format == asText && a.Tag != 0:
		value = append([]byte{byte(a.Tag)}, value...)
	case known.format == asText && value[0] <= maxTag:
		return nil, invalid("%s begins with a character that is read as a tag.", known.name)
	case known.format == asInteger && value[0] != 0:
		return nil, invalid("%s is a number of at most 16777215.", known.name)
	case known.format == asInteger:
		value[0] = byte(a.Tag)
	}
	return value, err
}

// maxTag is the greatest tag (RFC 2868 section 3.1).
const maxTag = 0x1f

// alike names what an unknown name may have been meant for: those of the same set.
func alike(name string) string {
	set, _, ok := strings.Cut(strings.ToLower(name), "-")
	if !ok {
		return ""
	}
	var out []string
	for known, d := range byName {
		if strings.HasPrefix(known, set+"-") {
			out = append(out, d.name)
		}
	}
	if len(out) == 0 {
		return ""
	}
	slices.Sort(out)
	return " (there are " + strings.Join(out, ", ") + ")"
}

func (a Attribute) encodeVendor() (packet.Type, []byte, error) {
	if a.Tag != 0 {
		return 0, nil, invalid("A tag is for Tunnel attributes only.")
	}
	if a.Type < 1 || a.Type > 255 {
		return 0, nil, invalid("The type of an attribute of vendor %d is 1 to 255.", a.Vendor)
	}
	format := a.Format
	if format == "" {
		format = asText
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
	case asText:
		value = []byte(text)
	case asInteger:
		n, err := parseNumber(text)
		if err != nil {
			return nil, invalid("%s is a number from 0 to 4294967295, not %q.", name, text)
		}
		value = binary.BigEndian.AppendUint32(nil, n)
	case asAddress, asAddress6:
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Is4() != (format == asAddress) || addr.Zone() != "" {
			return nil, invalid("%s is an %s address, not %q.", name, map[string]string{asAddress: "IPv4", asAddress6: "IPv6"}[format], text)
		}
		value = addr.AsSlice()
	case asPrefix6:
		p, err := netip.ParsePrefix(text)
		if err != nil || !p.Addr().Is6() || p != p.Masked() {
			return nil, invalid("%s is an IPv6 prefix such as 2001:db8:1::/48, not %q.", name, text)
		}
		value = append([]byte{0, byte(p.Bits())}, p.Addr().AsSlice()[:(p.Bits()+7)/8]...)
	case asInterfaceID:
		addr, err := netip.ParseAddr("::" + text)
		if err != nil || strings.Count(text, ":") != 3 {
			return nil, invalid("%s is an interface identifier such as 0:0:0:1, not %q.", name, text)
		}
		value = addr.AsSlice()[8:]
	case asHex:
		b, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil {
			return nil, invalid("%s is not hexadecimal: %q.", name, text)
		}
		value = b
	default:
		return nil, invalid("Unknown format %q of %s; use text, integer, address, address6, prefix6, interface-id or hex.", format, name)
	}
	if len(value) == 0 || len(value) > limit {
		return nil, invalid("%s must have 1 to %d bytes.", name, limit)
	}
	return value, nil
}

// parseNumber reads a number, in decimal or after 0x in hexadecimal.
func parseNumber(text string) (uint32, error) {
	digits, hexadecimal := strings.CutPrefix(text, "0x")
	base := 10
	if hexadecimal {
		base = 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return uint32(n), err
}
