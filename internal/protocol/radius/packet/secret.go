package packet

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"encoding"
	"errors"
	"hash"
	"sync"
)

// MaxPassword is the longest User-Password in octets (RFC 2865 section 5.2).
const MaxPassword = 128

// ErrPassword is a User-Password that cannot have been hidden as RFC 2865
// section 5.2 says, or one too long to be.
var ErrPassword = errors.New("packet: User-Password is not 16 to 128 octets in blocks of 16")

// Secret is what a client and a server share. It is safe for concurrent use
// and prints as nothing. The zero Secret verifies nothing.
type Secret struct {
	key []byte
	// inner and outer are MD5's states after the key as HMAC pads it (RFC 2104
	// section 2), so that no packet pays for that again.
	inner, outer []byte
}

// NewSecret keeps a copy of key. How long a key must be is the caller's rule.
func NewSecret(key []byte) *Secret {
	s := &Secret{key: append([]byte(nil), key...)}
	block := key
	if len(block) > md5.BlockSize {
		sum := md5.Sum(key)
		block = sum[:]
	}
	s.inner, s.outer = padded(block, 0x36), padded(block, 0x5c)
	return s
}

// padded is MD5's state after one block of the key and this octet.
func padded(key []byte, pad byte) []byte {
	block := bytes.Repeat([]byte{pad}, md5.BlockSize)
	for i, c := range key {
		block[i] ^= c
	}
	d := md5.New()
	d.Write(block)
	state, _ := d.(encoding.BinaryAppender).AppendBinary(nil) // of MD5 never an error
	return state
}

// String and GoString keep the key out of logs.
func (s *Secret) String() string { return "a shared secret" }

// GoString keeps the key out of %#v too.
func (s *Secret) GoString() string { return s.String() }

// usable refuses the zero Secret and the empty key.
func (s *Secret) usable() bool { return s != nil && len(s.key) > 0 }

// digest is MD5's state with room for what goes in and comes out, so that a
// packet allocates neither.
type digest struct {
	hash.Hash
	authenticator, sum [md5.Size]byte
}

var digests = sync.Pool{New: func() any { return &digest{Hash: md5.New()} }}

// over leaves MD5 over the parts in d.sum. The parts may include d.sum.
func (d *digest) over(parts ...[]byte) {
	d.Reset()
	d.further(parts...)
}

// after is over, from a state of [padded] on.
func (d *digest) after(state []byte, parts ...[]byte) {
	_ = d.Hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) // what padded made is one
	d.further(parts...)
}

func (d *digest) further(parts ...[]byte) {
	for _, p := range parts {
		d.Write(p)
	}
	d.Sum(d.sum[:0])
}

var zeros [authenticatorLength]byte

// mac is the Message-Authenticator of raw: HMAC-MD5 over the packet with this
// authenticator in its header and zeros where its own value at goes (RFC 3579
// section 3.2).
func (s *Secret) mac(raw []byte, authenticator [16]byte, at int) [md5.Size]byte {
	d := digests.Get().(*digest)
	defer digests.Put(d)
	d.authenticator = authenticator
	d.after(s.inner, raw[:authenticatorAt], d.authenticator[:], raw[HeaderLength:at], zeros[:], raw[at+authenticatorLength:])
	d.after(s.outer, d.sum[:])
	return d.sum
}

// response is the Response Authenticator of raw: RFC 2865 section 3.
func (s *Secret) response(raw []byte, request [16]byte) [md5.Size]byte {
	d := digests.Get().(*digest)
	defer digests.Put(d)
	d.authenticator = request
	d.over(raw[:authenticatorAt], d.authenticator[:], raw[HeaderLength:], s.key)
	return d.sum
}

// mask is what hides the block of a User-Password that follows previous: RFC
// 2865 section 5.2. The first follows the authenticator.
func (s *Secret) mask(previous [16]byte) [md5.Size]byte {
	d := digests.Get().(*digest)
	defer digests.Put(d)
	d.authenticator = previous
	d.over(s.key, d.authenticator[:])
	return d.sum
}

// VerifyRequest reports whether an Access-Request or a Status-Server has a
// Message-Authenticator and it is right. A request without one is not verified.
func (s *Secret) VerifyRequest(p Packet) bool {
	if !s.usable() || p.mac == 0 {
		return false
	}
	return s.verifyMAC(p, p.Authenticator())
}

func (s *Secret) verifyMAC(p Packet, authenticator [16]byte) bool {
	want := s.mac(p.raw, authenticator, p.mac)
	return subtle.ConstantTimeCompare(want[:], p.raw[p.mac:p.mac+authenticatorLength]) == 1
}

// Reveal appends the password that hidden holds to dst: RFC 2865 section 5.2.
// The NULs that fill the last block are gone; others are not. A wrong secret
// gives noise, not an error.
func (s *Secret) Reveal(dst, hidden []byte, authenticator [16]byte) ([]byte, error) {
	if !s.usable() || len(hidden) == 0 || len(hidden) > MaxPassword || len(hidden)%md5.Size != 0 {
		return dst, ErrPassword
	}
	start, previous := len(dst), authenticator
	for block := hidden; len(block) > 0; block = block[md5.Size:] {
		mask := s.mask(previous)
		previous = [md5.Size]byte(block)
		for i, c := range previous {
			dst = append(dst, c^mask[i])
		}
	}
	for len(dst) > start && dst[len(dst)-1] == 0 {
		dst = dst[:len(dst)-1]
	}
	return dst, nil
}

// Hide appends the password, hidden, to dst: the reverse of Reveal. An empty
// password becomes one block, as every client writes it.
func (s *Secret) Hide(dst, password []byte, authenticator [16]byte) ([]byte, error) {
	if !s.usable() || len(password) > MaxPassword {
		return dst, ErrPassword
	}
	previous := authenticator
	for {
		block := s.mask(previous)
		n := min(len(password), md5.Size)
		for i := range n {
			block[i] ^= password[i]
		}
		dst = append(dst, block[:]...)
		previous, password = block, password[n:]
		if len(password) == 0 {
			return dst, nil
		}
	}
}
