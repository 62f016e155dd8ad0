package otp

import (
	"encoding/binary"
	"errors"
	"math"

	"countersign/internal/authenticator/pin"
)

// keptForm is the first octet of what [Keep] writes. It is raised with any new
// field. Earlier releases wrote JSON, which begins with a brace.
const keptForm = 3

var errKept = errors.New("a stored key cannot be read")

// hashes are the octets that stand for the algorithms; 0 stands for none.
var hashes = [...]Algorithm{1: SHA1, 2: SHA256, 3: SHA512}

// Keep writes a key, the numbers that move with it and the PIN in front of it (nil
// for none), for [Kept] to read: the form, hash and digits in an octet each, the
// secret behind its length in one, eight octets for each number, and then the PIN's
// digits (0 for no PIN), its salt and sum behind their lengths, and whether it was
// given. Each value has one spelling.
func Keep(k Key, numbers []uint64, p *pin.Kept) ([]byte, error) {
	hash := hashOctet(k.Algorithm)
	if hash == 0 {
		return nil, errors.New("a key without a known algorithm cannot be kept")
	}
	b := make([]byte, 0, 80+8*len(numbers)+len(k.Secret))
	b, err := appendPart(append(b, keptForm, hash, byte(k.Digits)), k.Secret)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	if p == nil {
		return append(b, 0), err
	}
	b, saltErr := appendPart(append(b, byte(p.Digits)), p.Salt)
	b, sumErr := appendPart(b, p.Sum)
	first := byte(0)
	if p.First {
		first = 1
	}
	return append(b, first), errors.Join(err, saltErr, sumErr)
}

func hashOctet(a Algorithm) byte {
	for i, known := range hashes {
		if i > 0 && a == known {
			return byte(i)
		}
	}
	return 0
}

func appendPart(b, part []byte) ([]byte, error) {
	if len(part) > math.MaxUint8 {
		return b, errors.New("a part of a key is longer than 255 octets")
	}
	return append(append(b, byte(len(part))), part...), nil
}

// InJSON reports whether stored octets are of a release before [Keep].
func InJSON(b []byte) bool { return len(b) > 0 && b[0] == '{' }

// Kept reads what [Keep] wrote, and as many numbers as there is room for. What is read
// lies in b. An error never shows the key. The caller checks what the values mean.
func Kept(b []byte, numbers []uint64) (Key, *pin.Kept, error) {
	r := keptReader{rest: b}
	if r.octet() != keptForm {
		return Key{}, nil, errKept
	}
	k := Key{Algorithm: r.algorithm(), Digits: int(r.octet()), Secret: r.part()}
	for i := range numbers {
		numbers[i] = r.number()
	}
	p := r.pin()
	if r.bad || len(r.rest) > 0 {
		return Key{}, nil, errKept
	}
	return k, p, nil
}

// keptReader reads from the front. After the first error all values are zero.
type keptReader struct {
	rest []byte
	bad  bool
}

// take returns the next n octets, which cannot be appended to.
func (r *keptReader) take(n int) []byte {
	if r.bad || len(r.rest) < n {
		r.bad = true
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *keptReader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *keptReader) number() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *keptReader) algorithm() Algorithm {
	hash := int(r.octet())
	if hash == 0 || hash >= len(hashes) {
		r.bad = true
		return ""
	}
	return hashes[hash]
}

func (r *keptReader) part() []byte { return r.take(int(r.octet())) }

func (r *keptReader) pin() *pin.Kept {
	digits := r.octet()
	if digits == 0 {
		return nil
	}
	p := &pin.Kept{Digits: int(digits), Salt: r.part(), Sum: r.part()}
	first := r.octet()
	r.bad = r.bad || first > 1
	p.First = first == 1
	return p
}
