package hotp

import (
	"fmt"

	"countersign/internal/authenticator"
)

// Handle is empty: a code names nobody.
func (*Authenticator) Handle([]byte) (string, error) { return "", nil }

// Shown is true of what counts: a code that was noted is good until another is used.
func (*Authenticator) Shown() bool { return true }

// Says names it without its secret.
func (*Authenticator) Says(s authenticator.Seed) string {
	return fmt.Sprintf("%s %s, %d digits, counter %d", Kind, s.Algorithm, s.Digits, s.Counter)
}
