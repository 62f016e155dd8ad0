package radius

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
)

// A State attribute is a letter, a tag and the engine's ticket, all printable,
// because some equipment keeps it as a text. The letter says what comes next;
// the tag, 96 bits of HMAC-SHA-256 under the client's secret, ties the ticket
// to the letter, the User-Name without its domain, and the equipment: whoever saw somebody else's
// State cannot use it, and cannot use it up either.
const (
	stateAnswer byte = 'a' // the person was asked
	stateWait   byte = 'w' // the person acts elsewhere
	tagLength        = 16  // in base64
)

// bearer is whom a State is for.
type bearer struct {
	key           []byte // the shared secret
	name, partner string
}

func (b bearer) tag(letter byte, ticket string) [tagLength]byte {
	mac := hmac.New(sha256.New, b.key)
	for _, part := range [...]string{"countersign RADIUS State", string(letter), ticket, b.name, b.partner} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	var out [tagLength]byte
	base64.RawURLEncoding.Encode(out[:], mac.Sum(nil)[:tagLength/4*3])
	return out
}

// write makes a State.
func (b bearer) write(letter byte, ticket string) []byte {
	tag := b.tag(letter, ticket)
	state := make([]byte, 0, 1+tagLength+len(ticket))
	return append(append(append(state, letter), tag[:]...), ticket...)
}

// read returns what write was given, and false for anything that it did not
// write for this bearer.
func (b bearer) read(state []byte) (letter byte, ticket string, ok bool) {
	if len(state) <= 1+tagLength {
		return 0, "", false
	}
	letter, ticket = state[0], string(state[1+tagLength:])
	want := b.tag(letter, ticket)
	return letter, ticket, subtle.ConstantTimeCompare(want[:], state[1:1+tagLength]) == 1
}
