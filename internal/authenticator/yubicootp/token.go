package yubicootp

import (
	"time"

	"countersign/internal/authenticator"
)

// Import is the function Import for what a file says.
func (Authenticator) Import(s authenticator.Seed) (authenticator.Enrolled, error) {
	return Import(Seed{Public: s.Public, Private: s.Private, Key: s.Secret, Label: s.Label})
}

// Resync is the function Resync.
func (Authenticator) Resync(state []byte, codes string, _ time.Time) (authenticator.Result, error) {
	return Resync(state, codes)
}

// Secret is the function Secret.
func (Authenticator) Secret(state []byte) ([]byte, error) { return Secret(state) }

// Handle is the public id: every one-time password begins with it.
func (Authenticator) Handle(state []byte) (string, error) { return Handle(state) }

// Shown is true of what counts: a code that was noted is good until another is used.
func (Authenticator) Shown() bool { return true }

// Says names it without its secret.
func (Authenticator) Says(s authenticator.Seed) string {
	return Kind + ", public id " + s.Public
}
