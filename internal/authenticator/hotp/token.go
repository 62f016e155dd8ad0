package hotp

import (
	"fmt"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
)

// Import is the function Import for what a file says.
func (*Authenticator) Import(s authenticator.Seed) (authenticator.Enrolled, error) {
	return Import(Seed{Key: otp.Key{Secret: s.Secret, Algorithm: otp.Algorithm(s.Algorithm), Digits: s.Digits}, Counter: s.Counter, Label: s.Label})
}

// Resync is the function Resync.
func (*Authenticator) Resync(state []byte, codes string, _ time.Time) (authenticator.Result, error) {
	return Resync(state, codes)
}

// Secret is the function Secret.
func (*Authenticator) Secret(state []byte) ([]byte, error) { return Secret(state) }

// Handle is empty: a code names nobody.
func (*Authenticator) Handle([]byte) (string, error) { return "", nil }

// Shown is true of what counts: a code that was noted is good until another is used.
func (*Authenticator) Shown() bool { return true }

// Says names it without its secret.
func (*Authenticator) Says(s authenticator.Seed) string {
	return fmt.Sprintf("%s %s, %d digits, counter %d", Kind, s.Algorithm, s.Digits, s.Counter)
}

// SetPIN is the function SetPIN.
func (*Authenticator) SetPIN(state []byte, p *pin.Kept, _ string) (authenticator.Enrolled, error) {
	return SetPIN(state, p)
}

// PIN is the function PIN; the codes are right without one.
func (*Authenticator) PIN(state []byte) (kept *pin.Kept, needed bool, err error) {
	kept, err = PIN(state)
	return kept, false, err
}
