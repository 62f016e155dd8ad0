// Package otp computes one-time codes and finds which one was typed.
//
// It owns RFC 4226's function, the key it takes, the search through a window, the
// choice of the best that several keys make of one answer, and the otpauth URI
// that brings a key to an app. It does not know whether the moving factor is time
// or a count, nor which codes were used already: totp and hotp do. Its one invariant: a search compares every code of its window, in
// constant time, whether or not one fits.
package otp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
)

// Algorithm names the hash of a key's HMAC, as the otpauth URI spells it.
type Algorithm string

// The hashes of RFC 6238 section 1.2. RFC 4226 has SHA-1 only.
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

// Hash returns what makes the hash and its size in bytes; nil for a name that is
// none of them.
func (a Algorithm) Hash() (new func() hash.Hash, size int) {
	switch a {
	case SHA1:
		return sha1.New, sha1.Size
	case SHA256:
		return sha256.New, sha256.Size
	case SHA512:
		return sha512.New, sha512.Size
	}
	return nil, 0
}

// MinSecret and MaxSecret bound a secret in bytes: 128 bits at least (RFC 4226
// section 4, R6), and no more than the longest block that HMAC takes unhashed.
const (
	MinSecret = 16
	MaxSecret = 128
)

// Key makes codes. The zero Key is refused by [Key.Check].
type Key struct {
	Secret    []byte    `json:"s"`
	Algorithm Algorithm `json:"a"`
	Digits    int       `json:"d"` // 6 to 8
}

// NewKey makes a key with a random secret as long as the hash (RFC 6238
// section 5.1), which is 20 bytes or more.
func NewKey(a Algorithm, digits int) (Key, error) {
	_, size := a.Hash()
	k := Key{Secret: make([]byte, size), Algorithm: a, Digits: digits}
	rand.Read(k.Secret)
	return k, k.Check()
}

// Check says in one sentence what is wrong with the key. It never shows it.
func (k Key) Check() error {
	switch newHash, _ := k.Algorithm.Hash(); {
	case newHash == nil:
		return errors.New("the algorithm must be SHA1, SHA256 or SHA512")
	case k.Digits < 6 || k.Digits > 8:
		return fmt.Errorf("codes must have 6 to 8 digits, not %d", k.Digits)
	case len(k.Secret) < MinSecret || len(k.Secret) > MaxSecret:
		return fmt.Errorf("the secret must have %d to %d bytes, not %d", MinSecret, MaxSecret, len(k.Secret))
	}
	return nil
}

// Code returns the code for one value of the moving factor (RFC 4226 section 5.3).
func (k Key) Code(counter uint64) string { return string(k.codes(counter, 1)[0]) }

// codes returns n codes in a row. A sum that passes 2^64 goes on at 0.
func (k Key) codes(from uint64, n int) [][]byte {
	newHash, _ := k.Algorithm.Hash()
	mac := hmac.New(newHash, k.Secret)
	var message [8]byte
	var sum [sha512.Size]byte
	out, all := make([][]byte, n), make([]byte, n*k.Digits)
	for i := range out {
		mac.Reset()
		binary.BigEndian.PutUint64(message[:], from+uint64(i))
		mac.Write(message[:])
		out[i] = all[i*k.Digits : (i+1)*k.Digits]
		Truncate(mac.Sum(sum[:0]), out[i])
	}
	return out
}

// Truncate writes the digits of a MAC: RFC 4226 section 5.3, steps 2 and 3.
func Truncate(sum, out []byte) {
	offset := sum[len(sum)-1] & 0x0f
	value := binary.BigEndian.Uint32(sum[offset:]) & 0x7fff_ffff
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = '0' + byte(value%10)
		value /= 10
	}
}

// Answer is what was typed, cut for one length of code: one code, or two that
// follow one another.
type Answer struct{ First, Second string }

// Cut cuts the digits that were typed. Second is empty for one code alone. Any
// other count of digits than one or two codes is no answer.
func Cut(digits string, length int) (Answer, bool) {
	switch len(digits) {
	case length:
		return Answer{First: digits}, true
	case 2 * length:
		return Answer{First: digits[:length], Second: digits[length:]}, true
	}
	return Answer{}, false
}

// Find returns for which of n values of the moving factor, beginning with from,
// the answer is right, as the places of the first and of the last one that fit;
// both are -1 for none. For two codes it is where the second one is right, and
// the first is right one before it, which may be one before the window.
func (k Key) Find(a Answer, from uint64, n int) (first, last int) {
	first, last = -1, -1
	typed, before, offset := []byte(a.First), []byte(nil), 0
	if a.Second != "" {
		typed, before, offset = []byte(a.Second), []byte(a.First), 1
	}
	codes := k.codes(from-uint64(offset), n+offset)
	for i := range n {
		hit := subtle.ConstantTimeCompare(typed, codes[i+offset])
		if before != nil {
			hit &= subtle.ConstantTimeCompare(before, codes[i])
		}
		last = subtle.ConstantTimeSelect(hit, i, last)
		none := subtle.ConstantTimeEq(int32(first), -1)
		first = subtle.ConstantTimeSelect(hit&none, i, first)
	}
	return first, last
}
