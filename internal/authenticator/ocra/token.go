package ocra

import (
	"fmt"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/pin"
)

// Import is the function Import for what a file says.
func (*Authenticator) Import(s authenticator.Seed) (authenticator.Enrolled, error) {
	return Import(Seed{Suite: s.Suite, Secret: s.Secret, Counter: s.Counter, Label: s.Label})
}

// Resync is the function Resync.
func (*Authenticator) Resync(state []byte, codes string, now time.Time) (authenticator.Result, error) {
	return Resync(state, codes, now)
}

// Secret is the function Secret.
func (*Authenticator) Secret(state []byte) ([]byte, error) { return Secret(state) }

// Handle is empty: a code names nobody.
func (*Authenticator) Handle([]byte) (string, error) { return "", nil }

// Shown is false: an answer to a number is for that number alone.
func (*Authenticator) Shown() bool { return false }

// Says names it without its secret.
func (*Authenticator) Says(s authenticator.Seed) string {
	return fmt.Sprintf("%s %s, counter %d", Kind, s.Suite, s.Counter)
}

// SetPIN is the function SetPIN.
func (*Authenticator) SetPIN(state []byte, p *pin.Kept, digits string) (authenticator.Enrolled, error) {
	return SetPIN(state, p, digits)
}

// PIN is the function PIN.
func (*Authenticator) PIN(state []byte) (kept *pin.Kept, needed bool, err error) { return PIN(state) }
