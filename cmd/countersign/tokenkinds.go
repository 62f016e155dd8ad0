package main

import (
	"fmt"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/enrollment"
)

// tokenKinds are the authenticators that hardware tokens are.
type tokenKinds struct{}

func (tokenKinds) Import(s enrollment.Seed) (authenticator.Enrolled, error) {
	key := otp.Key{Secret: s.Secret, Algorithm: otp.Algorithm(s.Algorithm), Digits: s.Digits}
	switch s.Kind {
	case hotp.Kind:
		return hotp.Import(hotp.Seed{Key: key, Counter: s.Counter, Label: s.Label})
	case totp.Kind:
		return totp.Import(totp.Seed{Key: key, Period: time.Duration(s.Period) * time.Second, Label: s.Label})
	}
	return authenticator.Enrolled{}, fmt.Errorf("a token is hotp or totp, not %q", s.Kind)
}

func (tokenKinds) Resync(kind string, state []byte, codes string, now time.Time) (authenticator.Result, error) {
	if kind == hotp.Kind {
		return hotp.Resync(state, codes)
	}
	return totp.Resync(state, codes, now)
}
