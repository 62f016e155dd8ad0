package enrollment

import (
	"time"

	"countersign/internal/authenticator"
)

// Seed is what a file says of one hardware token.
type Seed = authenticator.Seed

// TokenKinds are the authenticators that hardware tokens are.
type TokenKinds interface {
	// Import makes of a seed what is kept of it, or says in one sentence what is
	// wrong with it.
	Import(Seed) (authenticator.Enrolled, error)
	// Resync checks two codes in a row, read off the device at now, and says what
	// is kept from then on.
	Resync(kind string, state []byte, codes string, now time.Time) (authenticator.Result, error)
	// Secret is what makes the answers, of what is kept: two tokens of one are one.
	Secret(kind string, state []byte) ([]byte, error)
	// Shown reports whether answers of a kind can be noted today and given at any time
	// later: such a device is assigned by two that it shows then.
	Shown(kind string) bool
	// Handle is how an answer finds a token without a name; empty for most kinds.
	Handle(kind string, state []byte) (string, error)
}
