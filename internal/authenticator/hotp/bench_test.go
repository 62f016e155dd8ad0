package hotp_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
)

// BenchmarkCheck is a whole check: the state read, the codes of the window
// computed and compared, the next state written. The last two are what it is made
// of: the ten HMACs of the window alone, and the 111 that explain a wrong code.
func BenchmarkCheck(b *testing.B) {
	key, err := otp.NewKey(otp.SHA1, 6)
	if err != nil {
		b.Fatal(err)
	}
	bare, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Counter: 1000})
	if err != nil {
		b.Fatal(err)
	}
	kept, _, err := pin.New(authenticatortest.PINKeys{}, myPIN)
	if err != nil {
		b.Fatal(err)
	}
	behind, err := new(hotp.Authenticator).SetPIN(bare.State, kept, "")
	if err != nil {
		b.Fatal(err)
	}
	how := open(b, hotp.Options{PINs: authenticatortest.PINKeys{}})
	for _, c := range []struct {
		name, text string
		state      []byte
		failures   int
		right      bool
	}{
		{"next code", key.Code(1000), bare.State, 0, true},
		{"nine ahead", key.Code(1009), bare.State, 0, true},
		{"two in a row, ninety ahead", key.Code(1090) + key.Code(1091), bare.State, 0, true},
		{"first of two that are demanded", key.Code(1000), bare.State, 3, true},
		{"PIN and next code", myPIN + key.Code(1000), behind.State, 0, true},
		{"wrong code", "000000", bare.State, 0, false},
		{"wrong PIN and code", "000000000000", behind.State, 0, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			credentials := []authenticator.Credential{{ID: 5, State: c.state, Failures: c.failures}}
			b.ReportAllocs()
			for b.Loop() {
				r, err := how.Check(b.Context(), credentials, nil, prompt.Answer{Text: c.text}, time.Time{})
				if err != nil || (r.OK || r.Partial) != c.right {
					b.Fatal(err, r.Reason)
				}
			}
		})
	}
	for name, n := range map[string]int{"10 HMACs alone": 10, "111 HMACs alone": 111} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				m, sum, message := hmac.New(sha1.New, key.Secret), make([]byte, 0, 20), make([]byte, 8)
				for i := range n {
					m.Reset()
					binary.BigEndian.PutUint64(message, 1000+uint64(i))
					m.Write(message)
					m.Sum(sum)
				}
			}
		})
	}
}
