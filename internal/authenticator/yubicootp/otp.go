package yubicootp

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// alphabet writes sixteen values in letters that are in one place on nearly every
// keyboard layout.
const alphabet = "cbdefghijklnrtuv"

// dvorak is what the keys of alphabet are on a Dvorak keyboard.
const dvorak = "jxe.uidchtnbpygk"

// fromModhex reads octets, of which each half is one of sixteen letters.
func fromModhex(s, letters string) ([]byte, bool) {
	if len(s)%2 != 0 {
		return nil, false
	}
	out := make([]byte, len(s)/2)
	for i := range len(s) {
		v := strings.IndexByte(letters, s[i])
		if v < 0 {
			return nil, false
		}
		out[i/2] = out[i/2]<<4 | byte(v)
	}
	return out, true
}

// maxPublic is the longest public id, in characters of modhex: 16 octets.
const maxPublic = 32

// sealedSize is how many characters AES makes of 16 octets.
const sealedSize = 32

// password is a one-time password as it was typed.
type password struct {
	public string // modhex; a key without one is not told from others, so it has one
	sealed [16]byte
}

// lower is a text as a key typed it, where a keyboard was in capitals.
func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// parse takes a text apart: public id of 1 to 16 octets, and 16 octets that are
// encrypted. Whether anybody has such a key is not its business.
func parse(text string) (password, bool) {
	s := lower(text)
	cut := len(s) - sealedSize
	if cut < 2 || cut > maxPublic {
		return password{}, false
	}
	all, ok := fromModhex(s, alphabet)
	if !ok {
		// The few letters of both keyboards are hardly ever all that a key types.
		if all, ok = fromModhex(s, dvorak); !ok {
			return password{}, false
		}
		s = translated(s)
	}
	p := password{public: s[:cut]}
	copy(p.sealed[:], all[cut/2:])
	return p, true
}

// translated is what was typed on a Dvorak keyboard as any other has it.
func translated(s string) string {
	return strings.Map(func(r rune) rune { return rune(alphabet[strings.IndexRune(dvorak, r)]) }, s)
}

// touch is what one touch put into a one-time password, after the private id.
type touch struct{ session, stamp, use int }

func read(plain [16]byte) touch {
	return touch{
		session: int(binary.LittleEndian.Uint16(plain[6:]) & 0x7fff), // the highest bit says that Caps Lock started it
		stamp:   int(binary.LittleEndian.Uint16(plain[8:])) | int(plain[10])<<16,
		use:     int(plain[11]),
	}
}

// order is greater for every later touch of one key.
func (t touch) order() uint32 { return uint32(t.session)<<8 | uint32(t.use) }

func (t touch) String() string { return fmt.Sprintf("%d.%d", t.session, t.use) }

// residual is what the CRC of a whole block is, its own two octets included
// (ISO 13239, reflected, without the final inversion).
const residual = 0xf0b8

func crc(b []byte) uint16 {
	c := uint16(0xffff)
	for _, o := range b {
		c ^= uint16(o)
		for range 8 {
			odd := c & 1
			c >>= 1
			if odd == 1 {
				c ^= 0x8408
			}
		}
	}
	return c
}
