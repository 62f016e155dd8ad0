package yubicootp

import (
	"countersign/internal/authenticator"
)

// Shown is true of what counts: a code that was noted is good until another is used.
func (Authenticator) Shown() bool { return true }

// Says names it without its secret.
func (Authenticator) Says(s authenticator.Seed) string {
	return Kind + ", public id " + s.Public
}
