package totp

import (
	"fmt"

	"countersign/internal/authenticator"
)

// Handle is empty: a code names nobody.
func (*Authenticator) Handle([]byte) (string, error) { return "", nil }

// Shown is false: a clock's codes pass by themselves.
func (*Authenticator) Shown() bool { return false }

// Says names it without its secret.
func (*Authenticator) Says(s authenticator.Seed) string {
	return fmt.Sprintf("%s %s, %d digits, %d seconds", Kind, s.Algorithm, s.Digits, s.Period)
}
