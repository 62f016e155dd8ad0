package ticket

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"countersign/internal/keyring"
)

// SealedMost is how long a sealed ticket may be, so that a cookie or an address
// carries it.
const SealedMost = 3000

// Sealed makes a ticket that is kept nowhere: the payload travels in it, and nobody
// reads or changes it on the way. It costs the database nothing, so that strangers may
// have as many as they like; and it is good as often as it is brought, so that it is
// for what changes nothing. False says that it would be too long.
func (t *Tickets) Sealed(s Spec) (string, bool) {
	plain := binary.AppendVarint(nil, t.now().Add(s.Lifetime).UnixMicro())
	code := base64.RawURLEncoding.EncodeToString(t.keys.Seal(keyring.Ticket, sealedAAD(s.Kind), append(plain, s.Payload...)))
	return code, len(code) <= SealedMost && s.Lifetime > 0 && s.Kind != ""
}

func sealedAAD(kind string) keyring.AAD {
	return keyring.AAD{Table: "ticket", Column: "sealed", Key: kind}
}

// OpenSealed reads a ticket of this kind that Sealed made. Any other, a late one and one
// of before the database was put back is the same Refused failure.
func (t *Tickets) OpenSealed(kind, code string) ([]byte, error) {
	if code == "" || len(code) > SealedMost || strings.ContainsAny(code, "\r\n") { // which base64 would skip
		return nil, stray
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil {
		return nil, stray
	}
	plain, err := t.keys.OpenCurrent(keyring.Ticket, sealedAAD(kind), raw)
	if err != nil {
		return nil, stray
	}
	until, n := binary.Varint(plain)
	if n <= 0 || !t.now().Before(time.UnixMicro(until)) {
		return nil, stray
	}
	return plain[n:], nil
}
