package authenticatortest

import (
	"crypto/hmac"
	"crypto/sha256"
)

// PINKeys hash PINs for tests, under a key that everybody knows.
type PINKeys struct{}

// MAC is an HMAC-SHA-256.
func (PINKeys) MAC(salt []byte, pin string) []byte {
	m := hmac.New(sha256.New, []byte("a key that everybody knows"))
	m.Write(salt)
	m.Write([]byte(pin))
	return m.Sum(nil)
}

// Verify compares in constant time.
func (k PINKeys) Verify(salt []byte, pin string, mac []byte) bool {
	return hmac.Equal(k.MAC(salt, pin), mac)
}
