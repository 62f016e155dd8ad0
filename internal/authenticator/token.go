package authenticator

import "time"

// Seed is what a file says of one hardware token.
type Seed struct {
	// Kind is hotp, totp, ocra or yubico-otp.
	Kind      string
	Suite     string // ocra: RFC 6287 section 6; it says the rest too
	Algorithm string // SHA1, SHA256 or SHA512
	Digits    int
	Period    int    // seconds, totp
	Counter   uint64 // of the next code, hotp and ocra
	Secret    []byte
	Public    string // yubico-otp: what it types before, in modhex
	Private   []byte // yubico-otp: what is within
	Label     string // what its owner will see
}

// Token is an Authenticator that hardware tokens are. Their seeds come in files.
type Token interface {
	Authenticator
	// Import makes of a seed what is kept of it, or says in one sentence what is
	// wrong with it.
	Import(Seed) (Enrolled, error)
	// Resync checks two codes in a row, read off the device at now, and says what
	// is kept from then on. A wrong pair is a Result that is not OK.
	Resync(state []byte, codes string, now time.Time) (Result, error)
	// Secret is what makes the answers, of what is kept: two tokens of one are one.
	Secret(state []byte) ([]byte, error)
	// Handle is how an answer finds a token without a name; empty for most kinds.
	Handle(state []byte) (string, error)
	// Shown reports whether answers can be noted today and given at any time later:
	// such a device is assigned by two that it shows then.
	Shown() bool
	// Says is what a seed is, in words that show no secret.
	Says(Seed) string
}
