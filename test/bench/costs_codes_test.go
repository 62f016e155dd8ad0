package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

// codes measures checks of one-time codes without a store, on one core: the state
// read, the codes of the window computed and compared, the next state written. The
// limit is the HMACs that there is no way around.
func (c *costs) codes() {
	key := otp.Key{Secret: []byte("12345678901234567890"), Algorithm: otp.SHA1, Digits: 6} // RFC 4226, appendix D
	counting, err := hotp.New(hotp.Options{Issuer: "bench"})
	if err != nil {
		c.b.Fatal(err)
	}
	clock, err := totp.New(totp.Options{Issuer: "bench"})
	if err != nil {
		c.b.Fatal(err)
	}
	token, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Counter: 1000})
	if err != nil {
		c.b.Fatal(err)
	}
	app, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: 30})
	if err != nil {
		c.b.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 12, 0, 5, 0, time.UTC)
	step := uint64(now.Unix() / 30)
	for _, one := range []struct {
		path  string
		how   authenticator.Authenticator
		state []byte
		text  string
		hmacs int
	}{
		{"check of a code by counting, the next", counting, token.State, key.Code(1000), 10},
		{"the same, nine ahead", counting, token.State, key.Code(1009), 10},
		{"two in a row, ninety ahead", counting, token.State, key.Code(1090) + key.Code(1091), 111},
		{"check of a code by the clock", clock, app.State, key.Code(step), 2},
	} {
		credentials := []authenticator.Credential{{ID: 5, State: one.state}}
		a, l := c.turns(1, func(int) error {
			r, err := one.how.Check(context.Background(), credentials, nil, prompt.Answer{Text: one.text}, now)
			if err == nil && !r.OK && !r.Partial {
				c.b.Error("a right code is refused: " + r.Reason)
			}
			return err
		}, func(int) error { return hmacs(key.Secret, one.hmacs) })
		c.dearer(one.path, "one core", a, l, "its HMACs alone", "at most 2.00")
	}
}

// hmacs computes what so many codes begin with.
func hmacs(secret []byte, n int) error {
	m, sum, message := hmac.New(sha1.New, secret), make([]byte, 0, 20), make([]byte, 8)
	for i := range n {
		m.Reset()
		binary.BigEndian.PutUint64(message, 1000+uint64(i))
		m.Write(message)
		m.Sum(sum)
	}
	return nil
}
