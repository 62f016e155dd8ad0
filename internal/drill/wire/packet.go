// Package wire enters and attacks what speaks a protocol of its own on the network:
// RADIUS.
//
// It owns packets written by its own code, as equipment and attackers send them. An owner
// who approves what waits here does so on a page, by way of drill/web. What the attacks are
// for, and what their results prove, is the drill's. Invariant: an answer that does not
// verify under the shared secret lets nobody in; it shows only that somebody answered.
package wire

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RADIUS is made of it (RFC 2865, RFC 3579)
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// The codes of RFC 2865 that a drill meets. Zero is silence.
const (
	silence         = 0
	accessRequest   = 1
	accessAccept    = 2
	accessReject    = 3
	accessChallenge = 11
)

// ask is one Access-Request, with what can be left out or forged.
type ask struct {
	name, password string
	state          []byte
	secret         string
	bare           bool // no Message-Authenticator
}

// reply is what came back.
type reply struct {
	code  byte
	state []byte
	text  string // Reply-Message
}

func attribute(out []byte, kind byte, value []byte) []byte {
	return append(append(out, kind, byte(len(value)+2)), value...)
}

// hide is RFC 2865 section 5.2.
func hide(password string, secret string, authenticator []byte) []byte {
	b := make([]byte, max(16, (len(password)+15)/16*16))
	copy(b, password)
	last := authenticator
	for i := 0; i < len(b); i += 16 {
		pad := md5.Sum(append([]byte(secret), last...)) //nolint:gosec // see above
		for k := range 16 {
			b[i+k] ^= pad[k]
		}
		last = b[i : i+16]
	}
	return b
}

// packet writes an Access-Request, Message-Authenticator first.
func (a ask) packet() []byte {
	p := make([]byte, 20, 256)
	p[0] = accessRequest
	rand.Read(p[1:2])
	rand.Read(p[4:20])
	if !a.bare {
		p = attribute(p, 80, make([]byte, 16))
	}
	p = attribute(p, 1, []byte(a.name))
	p = attribute(p, 2, hide(a.password, a.secret, p[4:20]))
	p = attribute(p, 32, []byte("drill"))
	if a.state != nil {
		p = attribute(p, 24, a.state)
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	if !a.bare {
		m := hmac.New(md5.New, []byte(a.secret))
		m.Write(p)
		copy(p[22:38], m.Sum(nil))
	}
	return p
}

// What comes back and is no answer.
var (
	errMalformed  = errors.New("the RADIUS answer is malformed")
	errUnverified = errors.New("the RADIUS answer has a wrong authenticator: the shared secret differs")
)

// parse checks the Response Authenticator (RFC 2865 section 3): an answer that
// anybody could have made counts for nothing.
func parse(b, packet []byte, secret string) (reply, error) {
	if len(b) < 20 || b[1] != packet[1] || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return reply{}, errMalformed
	}
	h := md5.New() //nolint:gosec // see above
	h.Write(b[:4])
	h.Write(packet[4:20])
	h.Write(b[20:])
	h.Write([]byte(secret))
	if !hmac.Equal(h.Sum(nil), b[4:20]) {
		return reply{}, errUnverified
	}
	out := reply{code: b[0]}
	for rest := b[20:]; len(rest) >= 2 && int(rest[1]) >= 2 && int(rest[1]) <= len(rest); rest = rest[rest[1]:] {
		switch rest[0] {
		case 18:
			out.text += string(rest[2:rest[1]])
		case 24:
			out.state = append([]byte{}, rest[2:rest[1]]...)
		}
	}
	return out, nil
}
