package drill

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // HOTP is made of it (RFC 4226)
	"encoding/binary"
	"fmt"
	"net/http"

	"countersign/internal/virtualauth"
)

// Canary is an account that nobody needs, and all that its owner has.
type Canary struct {
	Name, Password string
	// Link is the welcome link that it began with, and Pass the pass behind it.
	Link, Pass string
	Key        *virtualauth.Key
	// Jar are the cookies of the last sign-in with everything, for attacks with a
	// stolen session.
	Jar     http.CookieJar
	secret  []byte // of its code generator
	counter uint64
}

// Seed begins the code generator with its secret.
func (c *Canary) Seed(secret []byte) { c.secret, c.counter = secret, 0 }

// Code is the next code of the generator.
func (c *Canary) Code() string {
	c.counter++
	return c.Heard()
}

// Heard is the code that Code returned last. Call Code first.
func (c *Canary) Heard() string { return hotp(c.secret, c.counter-1) }

// hotp is RFC 4226 section 5.3.
func hotp(secret []byte, counter uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], counter)
	m := hmac.New(sha1.New, secret)
	m.Write(b[:])
	h := m.Sum(nil)
	at := h[len(h)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(h[at:])&0x7fffffff)%1_000_000)
}
