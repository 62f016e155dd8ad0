// Package packet is the RADIUS codec: reading, writing and authenticating
// packets of RFC 2865, with the Message-Authenticator of RFC 3579 and the
// Status-Server of RFC 5997.
//
// It owns octets and MD5. It knows no sockets, no retransmissions, no clients
// and no people: that is the room above, radius, its one neighbour.
//
// Its one invariant: a [Packet] that [Parse] returned is well formed to its
// last octet, so that whatever reads one needs no length check of its own; and
// a reply that a [Draft] finished has the Message-Authenticator first.
package packet

import (
	"encoding/binary"
	"errors"
	"iter"
)

// Lengths of RFC 2865 section 3 and of RFC 3579 section 3.2, in octets.
const (
	HeaderLength = 20
	MaxLength    = 4096
	// MaxValue is the longest value of one attribute.
	MaxValue = 253

	authenticatorAt     = 4
	authenticatorLength = 16
)

// What makes [Parse] refuse a packet. RFC 2865 section 3 and RFC 3579 section
// 3.2 want every such packet to be dropped in silence.
var (
	ErrShort         = errors.New("packet: shorter than its header or its Length says")
	ErrLength        = errors.New("packet: Length is not within 20 and 4096")
	ErrAttribute     = errors.New("packet: an attribute's length does not fit")
	ErrType          = errors.New("packet: attribute type 0")
	ErrAuthenticator = errors.New("packet: Message-Authenticator is not 16 octets, or is there twice")
)

// Packet is a view of a well-formed packet. It shares the octets that were
// parsed and is good for as long as nobody writes to them. The zero Packet has
// no octets; of its methods only Bytes and All may be called.
type Packet struct {
	raw []byte
	// mac is where the value of the Message-Authenticator begins, 0 for none.
	mac int
}

// Parse reads one datagram. What follows the octet that Length names is padding
// and is ignored (RFC 2865 section 3). It copies nothing.
func Parse(datagram []byte) (Packet, error) {
	if len(datagram) < HeaderLength {
		return Packet{}, ErrShort
	}
	length := int(binary.BigEndian.Uint16(datagram[2:]))
	if length < HeaderLength || length > MaxLength {
		return Packet{}, ErrLength
	}
	if length > len(datagram) {
		return Packet{}, ErrShort
	}
	p := Packet{raw: datagram[:length:length]}
	for at := HeaderLength; at < length; at += int(p.raw[at+1]) {
		if length-at < 2 || p.raw[at+1] < 2 || int(p.raw[at+1]) > length-at {
			return Packet{}, ErrAttribute
		}
		switch Type(p.raw[at]) {
		case 0:
			return Packet{}, ErrType
		case MessageAuthenticator:
			if p.mac != 0 || p.raw[at+1] != 2+authenticatorLength {
				return Packet{}, ErrAuthenticator
			}
			p.mac = at + 2
		}
	}
	return p, nil
}

// Bytes are the packet's octets without padding.
func (p Packet) Bytes() []byte { return p.raw }

// Code says what the packet is.
func (p Packet) Code() Code { return Code(p.raw[0]) }

// Identifier matches a reply with its request.
func (p Packet) Identifier() byte { return p.raw[1] }

// Authenticator is the Request Authenticator of a request, or the Response
// Authenticator of a reply.
func (p Packet) Authenticator() [16]byte {
	return [16]byte(p.raw[authenticatorAt:])
}

// All yields the attributes in their order.
func (p Packet) All() iter.Seq2[Type, []byte] {
	return func(yield func(Type, []byte) bool) {
		for at := HeaderLength; at < len(p.raw); at += int(p.raw[at+1]) {
			if !yield(Type(p.raw[at]), p.raw[at+2:at+int(p.raw[at+1])]) {
				return
			}
		}
	}
}

// Get returns the value of the first attribute of this type, which may be
// empty, and whether there is one.
func (p Packet) Get(want Type) ([]byte, bool) {
	for t, value := range p.All() {
		if t == want {
			return value, true
		}
	}
	return nil, false
}

// Count returns how many attributes of this type there are.
func (p Packet) Count(want Type) int {
	n := 0
	for t := range p.All() {
		if t == want {
			n++
		}
	}
	return n
}

// Vendor returns the first value that this vendor's dictionary gives this
// number (RFC 2865 section 5.26, in the layout that it recommends). A
// Vendor-Specific attribute laid out otherwise holds nothing.
func (p Packet) Vendor(vendor uint32, number byte) ([]byte, bool) {
	for t, value := range p.All() {
		if t != VendorSpecific || len(value) < 4 || binary.BigEndian.Uint32(value) != vendor {
			continue
		}
		for rest := value[4:]; len(rest) >= 2 && rest[1] >= 2 && int(rest[1]) <= len(rest); rest = rest[rest[1]:] {
			if rest[0] == number {
				return rest[2:rest[1]], true
			}
		}
	}
	return nil, false
}

// Authenticated reports whether a Message-Authenticator is there, right or wrong.
func (p Packet) Authenticated() bool { return p.mac != 0 }
