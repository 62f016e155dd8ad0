// Package sentcode is what the kinds share whose code goes to its owner by way of
// others: by SMS, by mail.
//
// It owns the making of a code and what is remembered of it. It does not know where
// a code goes. Its one invariant: what is remembered does not tell the code, and a
// code is right only for what was remembered when it was made, until its end.
package sentcode

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"time"

	"countersign/internal/authenticator/typed"
)

// Digits is how long a code is.
const Digits = 6

// Life is how long a code is good: SP 800-63B-4 allows ten minutes out of band
// (section 3.1.3) and, by mail, a day for recovery (section 4.2); an attempt does
// not live longer.
const Life = 10 * time.Minute

// Sent is what is remembered of a code. The zero Sent is of none.
type Sent struct {
	Salt    []byte `json:"s,omitempty"`
	Sum     []byte `json:"h,omitempty"`
	Expires int64  `json:"e,omitempty"` // Unix seconds
}

func sum(salt []byte, code string) []byte {
	h := sha256.Sum256(append([]byte("countersign sent code\x00"+string(salt)), code...))
	return h[:]
}

// Make makes a code, and what to remember of it.
func Make(now time.Time) (code string, s Sent) {
	s = Sent{Salt: make([]byte, 16), Expires: now.Add(Life).Unix()}
	rand.Read(s.Salt)
	code = typed.Random(Digits)
	s.Sum = sum(s.Salt, code)
	return code, s
}

// Wrong says why a typed code is not the one that was sent; empty when it is.
func (s Sent) Wrong(text string, now time.Time) (reason string) {
	code, ok := typed.Digits(text)
	switch {
	case !ok || len(code) != Digits:
		return "malformed"
	case len(s.Sum) == 0:
		return "not-sent"
	case !now.Before(time.Unix(s.Expires, 0)):
		return "expired"
	case subtle.ConstantTimeCompare(s.Sum, sum(s.Salt, code)) != 1:
		return "wrong"
	}
	return ""
}

// Once is a key for this code, which may be accepted once.
func (s Sent) Once() string { return "m" + base64.RawURLEncoding.EncodeToString(s.Salt) }
