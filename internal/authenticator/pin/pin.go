// Package pin is the PIN that is typed in front of a code.
//
// It owns which PINs are taken, what is kept of one, and how one is compared. It
// does not know codes (otp, hotp, totp and ocra do), nor who may set one
// (enrollment and admin do). Its one invariant: a PIN is kept only as a salted
// hash under a key that lies elsewhere, and whoever has the kept form alone
// cannot find out the PIN by trying all of them.
package pin

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/typed"
)

// MinLength and MaxLength bound a PIN, in digits. Four is what SP 800-63B-4
// section 3.2.10 lets an activation secret have; docs/decisions/0006 says why
// that is the measure here.
const (
	MinLength = 4
	MaxLength = 16
)

// saltSize is in bytes.
const saltSize = 16

// Keys hash under a key that is not kept beside the hash. A slow hash would not
// do here: a PIN of six digits is found in an hour whatever one try costs, and
// codes are checked where everybody waits (in the transaction that spends them).
type Keys interface {
	// MAC returns the hash of a salt and a PIN.
	MAC(salt []byte, pin string) []byte
	// Verify compares one in constant time.
	Verify(salt []byte, pin string, mac []byte) bool
}

// Bearer is an Authenticator that can have a PIN in front of its codes.
type Bearer interface {
	// SetPIN sets the PIN of what is stored, or takes it away where p is nil. digits
	// is the PIN itself, for a token that mixes it into its answers.
	SetPIN(state []byte, p *Kept, digits string) (authenticator.Enrolled, error)
	// PIN returns what is kept of a stored one's PIN, nil for none, and whether no
	// answer is right without one.
	PIN(state []byte) (kept *Kept, needed bool, err error)
}

// Kept is what is kept of a PIN.
type Kept struct {
	// Digits is how many the PIN has: it says where in a line the code begins.
	Digits int    `json:"d"`
	Salt   []byte `json:"s"`
	Sum    []byte `json:"h"`
	// First is a PIN that an administrator gave. It must be typed, and shows
	// nothing: somebody else knows it.
	First bool `json:"f,omitempty"`
}

// Check reports whether a stored PIN can be one.
func (k *Kept) Check() bool {
	return k == nil || k.Digits >= MinLength && k.Digits <= MaxLength && len(k.Salt) == saltSize && len(k.Sum) > 0
}

// Traits are what a right answer shows beside a right PIN; k may be nil for no
// PIN at all.
func (k *Kept) Traits() assurance.Trait {
	if k == nil || k.First {
		return assurance.Held
	}
	return assurance.Held | assurance.Known
}

// Cut parts a typed line into what stands for the PIN and the rest.
func (k *Kept) Cut(digits string) (pin, rest string) {
	if k == nil {
		return "", digits
	}
	at := min(k.Digits, len(digits))
	return digits[:at], digits[at:]
}

// Hidden returns what else in a refused line may be codes of n digits: two or one at
// its end behind a PIN of another length or none, and one that stands in front.
func Hidden(digits string, n int) []string {
	var out []string
	for _, at := range []int{2 * n, n} {
		if len(digits) >= at {
			out = append(out, digits[len(digits)-at:])
		}
	}
	if len(digits) > n {
		out = append(out, digits[:n])
	}
	return out
}

// Matches compares in constant time. Nil matches nothing but no PIN.
func (k *Kept) Matches(keys Keys, pin string) bool {
	if k == nil {
		return pin == ""
	}
	return keys != nil && keys.Verify(k.Salt, pin, k.Sum)
}

// CheckLeast says what is wrong with a least number of digits; 0 is the default.
func CheckLeast(n int) error {
	if n != 0 && (n < MinLength || n > MaxLength) {
		return fmt.Errorf("a PIN may be asked to have %d to %d digits, not %d", MinLength, MaxLength, n)
	}
	return nil
}

// New keeps a PIN that its owner chose, and returns its digits. One that is guessed
// first is a *Refused.
func New(keys Keys, text string) (*Kept, string, error) {
	pin, ok := typed.Digits(text)
	if !ok || len(pin) < MinLength || len(pin) > MaxLength {
		return nil, "", &authenticator.Refused{Reason: "length", Public: "A PIN has 4 to 16 digits."}
	}
	if guessable(pin) {
		return nil, "", &authenticator.Refused{Reason: "common", Public: "Many people use that PIN, so it is guessed first. Choose another."}
	}
	return keep(keys, pin), pin, nil
}

// firstLength is how many digits a PIN has that is given: as many as SP 800-63B-4
// section 3.2.10 recommends.
const firstLength = 6

// Give makes a first PIN, which its owner must change: of six digits, or of as many
// as are asked for.
func Give(keys Keys, least int) (*Kept, string) {
	for {
		pin := typed.Random(max(firstLength, least))
		if guessable(pin) {
			continue
		}
		k := keep(keys, pin)
		k.First = true
		return k, pin
	}
}

func keep(keys Keys, pin string) *Kept {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return &Kept{Digits: len(pin), Salt: salt, Sum: keys.MAC(salt, pin)}
}

// common are PINs that no rule below finds and that the counts of leaked ones
// have among the first hundred, of four and of six digits: Markert, Bailey, Golla,
// Duermuth, Aviv, "This PIN Can Be Easily Guessed", IEEE S&P 2020, and DataGenetics'
// "PIN number analysis" of 2012.
var common = []string{"1004", "2580", "0852", "1342", "6969", "1313", "5683", "0007", "1101", "1379", "147258", "159753", "159357", "258456", "520131",
	"741852", "852456", "123654", "789456", "147852", "134679", "520520", "292513", "101010"}

// guessable reports whether a PIN is among those that are tried first.
func guessable(pin string) bool {
	return slices.Contains(common, pin) || steady(pin) || repeats(pin) || year(pin) || paired(pin)
}

// steady: each digit is as far from the one before as that is: 1111, 1234, 8642,
// and over the end of the row, 7890.
func steady(pin string) bool {
	step := (pin[1] - pin[0] + 10) % 10
	for i := 2; i < len(pin); i++ {
		if (pin[i]-pin[i-1]+10)%10 != step {
			return false
		}
	}
	return true
}

// repeats: the whole is one part again and again: 1212, 123123, 12341234.
func repeats(pin string) bool {
	for part := 1; part <= len(pin)/2; part++ {
		if len(pin)%part == 0 && pin[part:] == pin[:len(pin)-part] {
			return true
		}
	}
	return false
}

// paired: each digit twice, or there and back: 1122, 112233, 1221, 123321.
func paired(pin string) bool {
	if len(pin)%2 != 0 {
		return false
	}
	doubled, mirrored := true, true
	for i := range pin {
		doubled = doubled && pin[i] == pin[i^1]
		mirrored = mirrored && pin[i] == pin[len(pin)-1-i]
	}
	return doubled || mirrored
}

// year: four digits that somebody living was born in, or is about to remember.
func year(pin string) bool {
	n, err := strconv.Atoi(pin)
	return err == nil && len(pin) == 4 && n >= 1930 && n <= 2039
}
