package totp_test

import (
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

// BenchmarkCheck is a whole check of a code by the clock: the present step and the
// one before, and where two are demanded those on both sides.
func BenchmarkCheck(b *testing.B) {
	how, err := totp.New(totp.Options{Issuer: "Countersign"})
	if err != nil {
		b.Fatal(err)
	}
	key, err := otp.NewKey(otp.SHA1, 6)
	if err != nil {
		b.Fatal(err)
	}
	e, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: 30})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	step := uint64(now.Unix() / 30)
	for _, c := range []struct {
		name, text string
		failures   int
		right      bool
	}{
		{"present code", key.Code(step), 0, true},
		{"two in a row where they are demanded", key.Code(step-1) + key.Code(step), 3, true},
		{"wrong code", "000000", 0, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			credentials := []authenticator.Credential{{ID: 5, State: e.State, Failures: c.failures}}
			b.ReportAllocs()
			for b.Loop() {
				r, err := how.Check(b.Context(), credentials, nil, prompt.Answer{Text: c.text}, now)
				if err != nil || r.OK != c.right {
					b.Fatal(err, r.Reason)
				}
			}
		})
	}
}
