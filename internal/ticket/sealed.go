package ticket

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"countersign/internal/keyring"
)

// SealedMost is the largest length of a sealed ticket in bytes, so that a cookie or a
// URL can carry it.
const SealedMost = 3000

// Sealed returns a ticket that is not stored: it carries its payload, encrypted and
// authenticated. It takes no room in the database, so that strangers may have any number.
// It can be used more than once, so it must be for requests that change nothing. It
// returns false if the ticket would be too long.
func (t *Tickets) Sealed(s Spec) (string, bool) {
	plain := binary.AppendVarint(nil, t.now().Add(s.Lifetime).UnixMicro())
	code := base64.RawURLEncoding.EncodeToString(t.keys.Seal(keyring.Ticket, sealedAAD(s.Kind), append(plain, s.Payload...)))
	return code, len(code) <= SealedMost && s.Lifetime > 0 && s.Kind != ""
}

func sealedAAD(kind string) keyring.AAD {
	return keyring.AAD{Table: "ticket", Column: "sealed", Key: kind}
}

// OpenSealed opens a ticket of this kind that Sealed returned. It returns the same Refused
// failure for any other, for an expired one, and for one from before a database restore.
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
