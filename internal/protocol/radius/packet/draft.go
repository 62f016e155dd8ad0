package packet

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// ErrTooLong is a value of more than 253 octets, or a packet of more than 4096.
var ErrTooLong = errors.New("packet: a value or the packet is too long")

// Draft is a packet being written. The Message-Authenticator is its first
// attribute from the start, so that nothing that an attacker chose comes before
// it (CVE-2024-3596). Mistakes are kept and told by Request or Reply.
type Draft struct {
	buf []byte
	err error
}

// macAt is where a Draft's Message-Authenticator has its value.
const macAt = HeaderLength + 2

// Start begins a packet in buf's space, from its beginning.
func Start(buf []byte, code Code, identifier byte) Draft {
	buf = append(buf[:0], byte(code), identifier, 0, 0)
	buf = append(buf, zeros[:]...)
	buf = append(buf, byte(MessageAuthenticator), 2+authenticatorLength)
	return Draft{buf: append(buf, zeros[:]...)}
}

// Add appends one attribute.
func (d *Draft) Add(t Type, value []byte) {
	if len(value) > MaxValue || len(d.buf)+2+len(value) > MaxLength {
		d.err = ErrTooLong
		return
	}
	d.buf = append(d.buf, byte(t), byte(2+len(value)))
	d.buf = append(d.buf, value...)
}

// AddInteger appends an attribute of four octets.
func (d *Draft) AddInteger(t Type, value uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], value)
	d.Add(t, b[:])
}

// AddText appends a text in as many attributes as it takes, and cuts between
// characters where it can. An empty text appends nothing.
func (d *Draft) AddText(t Type, text string) {
	for text != "" {
		n := min(len(text), MaxValue)
		for back := 0; n < len(text) && back < utf8.UTFMax && !utf8.RuneStart(text[n]); back++ {
			n--
		}
		if len(d.buf)+2+n > MaxLength {
			d.err = ErrTooLong
			return
		}
		d.buf = append(d.buf, byte(t), byte(2+n))
		d.buf = append(d.buf, text[:n]...)
		text = text[n:]
	}
}

// AddEncoded appends attributes that are encoded already. The caller answers
// for their form; [Vendor] and a Draft's own methods write it.
func (d *Draft) AddEncoded(attributes []byte) {
	if len(d.buf)+len(attributes) > MaxLength {
		d.err = ErrTooLong
		return
	}
	d.buf = append(d.buf, attributes...)
}

// AddAll appends p's attributes of this type, in their order: what RFC 2865
// section 5.33 wants done with Proxy-State.
func (d *Draft) AddAll(p Packet, t Type) {
	for have, value := range p.All() {
		if have == t {
			d.Add(t, value)
		}
	}
}

// Vendor appends the value of a Vendor-Specific attribute to dst: RFC 2865
// section 5.26. The value must leave room for 6 octets of its own.
func Vendor(dst []byte, vendor uint32, number byte, value []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, vendor)
	dst = append(dst, number, byte(2+len(value)))
	return append(dst, value...)
}

// Hide appends a User-Password, hidden under the authenticator that Request
// will be given.
func (d *Draft) Hide(s *Secret, password []byte, authenticator [16]byte) {
	var room [MaxPassword]byte
	hidden, err := s.Hide(room[:0], password, authenticator)
	if err != nil {
		d.err = err
		return
	}
	d.Add(UserPassword, hidden)
}

// Request finishes an Access-Request or a Status-Server. The authenticator must
// be fresh from crypto/rand. The octets are the Draft's own.
func (d *Draft) Request(s *Secret, authenticator [16]byte) ([]byte, error) {
	if err := d.finish(s, authenticator); err != nil {
		return nil, err
	}
	copy(d.buf[authenticatorAt:], authenticator[:])
	return d.buf, nil
}

// Reply finishes the answer to the request that has this authenticator. The
// octets are the Draft's own.
func (d *Draft) Reply(s *Secret, request [16]byte) ([]byte, error) {
	if err := d.finish(s, request); err != nil {
		return nil, err
	}
	response := s.response(d.buf, request)
	copy(d.buf[authenticatorAt:], response[:])
	return d.buf, nil
}

// finish writes the length and the Message-Authenticator.
func (d *Draft) finish(s *Secret, authenticator [16]byte) error {
	switch {
	case d.err != nil:
		return d.err
	case !s.usable():
		return errors.New("packet: no shared secret")
	}
	binary.BigEndian.PutUint16(d.buf[2:], uint16(len(d.buf)))
	mac := s.mac(d.buf, authenticator, macAt)
	copy(d.buf[macAt:], mac[:])
	return nil
}
