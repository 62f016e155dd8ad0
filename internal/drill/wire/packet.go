// Package wire enters and attacks what speaks a protocol of its own on the network:
// RADIUS.
//
// It owns packets written by its own code, as equipment and attackers send them, and what a
// person types in each mode of an application. An owner who approves what waits here does so
// on a page, by way of drill/web. What the attacks are for, and what their results prove, is
// the drill's. Invariant: an answer that does not verify under the shared secret lets nobody
// in; it shows only that somebody answered.
package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RADIUS is made of it (RFC 2865, RFC 3579)
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
)

// The codes of RFC 2865 that a drill meets. Zero is silence.
const (
	silence         = 0
	accessRequest   = 1
	accessAccept    = 2
	accessReject    = 3
	accessChallenge = 11
	statusServer    = 12
)

// The attributes of RFC 2865 and RFC 3579 that a drill reads or writes.
const (
	userName             = 1
	userPassword         = 2
	replyMessage         = 18
	stateAttribute       = 24
	nasIdentifier        = 32
	proxyState           = 33
	messageAuthenticator = 80
)

// ask is one Access-Request, with what can be left out or forged; or a Status-Server.
type ask struct {
	code           byte // accessRequest if it is zero
	name, password string
	state          []byte
	secret         string
	nas            string   // NAS-Identifier: "drill" if it is empty
	proxies        [][]byte // Proxy-State, in this order
	bare           bool     // no Message-Authenticator
	forged         bool     // a wrong one
}

// reply is what came back.
type reply struct {
	code    byte
	state   []byte
	text    string // Reply-Message
	proxies [][]byte
	// fault is what is wrong with its Message-Authenticator, or empty.
	fault string
	raw   []byte
}

// words say what came back as the protocol does.
func (r reply) words() string {
	switch r.code {
	case silence:
		return "no answer"
	case accessAccept:
		return "Access-Accept"
	case accessReject:
		return "Access-Reject"
	case accessChallenge:
		return "Access-Challenge"
	}
	return "a packet of another code"
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
		pad(b[i:i+16], secret, last)
		last = b[i : i+16]
	}
	return b
}

// reveal is the opposite of hide: what somebody reads who knows the secret. The request is
// a whole datagram.
func reveal(request []byte, secret string) (string, bool) {
	hidden, ok := value(request, userPassword)
	if !ok || len(hidden)%16 != 0 {
		return "", false
	}
	b, last := bytes.Clone(hidden), request[4:20]
	for i := 0; i < len(b); i += 16 {
		pad(b[i:i+16], secret, last)
		last = hidden[i : i+16]
	}
	return strings.TrimRight(string(b), "\x00"), true
}

func pad(b []byte, secret string, last []byte) {
	sum := md5.Sum(append([]byte(secret), last...)) //nolint:gosec // see above
	for k := range sum {
		b[k] ^= sum[k]
	}
}

// packet writes the request, Message-Authenticator first.
func (a ask) packet() []byte {
	p := make([]byte, 20, 256)
	p[0] = max(a.code, accessRequest)
	rand.Read(p[1:2])
	rand.Read(p[4:20])
	if !a.bare {
		p = attribute(p, messageAuthenticator, make([]byte, 16))
	}
	if p[0] == accessRequest {
		p = attribute(p, userName, []byte(a.name))
		p = attribute(p, userPassword, hide(a.password, a.secret, p[4:20]))
	}
	nas := a.nas
	if nas == "" {
		nas = "drill"
	}
	p = attribute(p, nasIdentifier, []byte(nas))
	if a.state != nil {
		p = attribute(p, stateAttribute, a.state)
	}
	for _, value := range a.proxies {
		p = attribute(p, proxyState, value)
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	if !a.bare {
		copy(p[22:38], sign(p, a.secret))
	}
	if a.forged {
		p[37] ^= 1
	}
	return p
}

// sign is the Message-Authenticator of a packet in which its place holds zeros (RFC 3579
// section 3.2).
func sign(packet []byte, secret string) []byte {
	m := hmac.New(md5.New, []byte(secret))
	m.Write(packet)
	return m.Sum(nil)
}

// What comes back and is no answer.
var (
	errMalformed  = errors.New("the RADIUS answer is malformed")
	errUnverified = errors.New("the RADIUS answer has a wrong authenticator: the shared secret differs")
)

// parse checks the Response Authenticator (RFC 2865 section 3): an answer that
// anybody could have made counts for nothing. What else is wrong with it is its fault.
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
	out := reply{code: b[0], raw: bytes.Clone(b), fault: unsigned(b, packet, secret)}
	for kind, value := range attributes(b) {
		switch kind {
		case replyMessage:
			out.text += string(value)
		case stateAttribute:
			out.state = bytes.Clone(value)
		case proxyState:
			out.proxies = append(out.proxies, bytes.Clone(value))
		}
	}
	return out, nil
}

// attributes are those of a packet, up to the first that does not fit into it.
func attributes(b []byte) func(yield func(kind byte, value []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		for rest := b[20:]; len(rest) >= 2 && int(rest[1]) >= 2 && int(rest[1]) <= len(rest); rest = rest[rest[1]:] {
			if !yield(rest[0], rest[2:rest[1]]) {
				return
			}
		}
	}
}

// value is that of the first attribute of a kind.
func value(b []byte, of byte) ([]byte, bool) {
	for kind, v := range attributes(b) {
		if kind == of {
			return v, true
		}
	}
	return nil, false
}

// unsigned says what is wrong with the Message-Authenticator of a reply: it must be there,
// be the first attribute, because otherwise a forger has room for a collision in front of it
// (CVE-2024-3596), and be right under the request's authenticator.
func unsigned(b, packet []byte, secret string) string {
	sum, there := value(b, messageAuthenticator)
	switch {
	case !there:
		return "it has no Message-Authenticator"
	case b[20] != messageAuthenticator:
		return "its Message-Authenticator is not its first attribute"
	case len(sum) != 16:
		return "its Message-Authenticator has another length than 16"
	}
	whole := bytes.Clone(b)
	copy(whole[4:20], packet[4:20])
	copy(whole[22:38], make([]byte, 16))
	if !hmac.Equal(sign(whole, secret), sum) {
		return "its Message-Authenticator is wrong"
	}
	return ""
}
