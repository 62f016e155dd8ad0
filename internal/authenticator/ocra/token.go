package ocra

import (
	"fmt"

	"countersign/internal/authenticator"
)

// Handle is empty: a code names nobody.
func (*Authenticator) Handle([]byte) (string, error) { return "", nil }

// Shown is false: an answer to a number is for that number alone.
func (*Authenticator) Shown() bool { return false }

// Says names it without its secret.
func (*Authenticator) Says(s authenticator.Seed) string {
	return fmt.Sprintf("%s %s, counter %d", Kind, s.Suite, s.Counter)
}
