package yubikey

import (
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// key is a YubiKey in software: one slot with a Yubico one-time password.
type key struct {
	public       string // in modhex
	private, aes []byte
	session      uint16
	use          byte
}

func newKey() *key {
	k := &key{private: random(6), aes: random(16), session: 1}
	k.public = modhex(random(6))
	return k
}

func random(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// touch is what the key types next. The plain text is private id, session, time stamp, use,
// random number and checksum (YubiKey manual, "Yubico OTP algorithm").
func (k *key) touch() string {
	var b [aes.BlockSize]byte
	copy(b[:], k.private)
	binary.LittleEndian.PutUint16(b[6:], k.session)
	rand.Read(b[8:11])
	b[11] = k.use
	rand.Read(b[12:14])
	binary.LittleEndian.PutUint16(b[14:], ^checksum(b[:14]))
	if k.use++; k.use == 0 {
		k.session++
	}
	block, err := aes.NewCipher(k.aes)
	if err != nil {
		return "" // 16 octets are a key
	}
	block.Encrypt(b[:], b[:])
	return k.public + modhex(b[:])
}

// forged is a key that says to be another, without its secrets.
func (k *key) forged() *key {
	f := newKey()
	f.public, f.session = k.public, k.session+100
	return f
}

// checksum is CRC-16 as ISO 13239 has it.
func checksum(b []byte) uint16 {
	c := uint16(0xffff)
	for _, o := range b {
		c ^= uint16(o)
		for range 8 {
			odd := c & 1
			if c >>= 1; odd == 1 {
				c ^= 0x8408
			}
		}
	}
	return c
}

// modhex is hexadecimal in letters that are in one place on most keyboards.
func modhex(b []byte) string {
	const letters = "cbdefghijklnrtuv"
	var s strings.Builder
	for _, o := range b {
		s.WriteByte(letters[o>>4])
		s.WriteByte(letters[o&15])
	}
	return s.String()
}
