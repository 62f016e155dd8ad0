package enrollment

import (
	"context"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/store"
)

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

// TokenKinds are the authenticators that hardware tokens are.
type TokenKinds interface {
	// Import makes of a seed what is kept of it, or says in one sentence what is
	// wrong with it.
	Import(Seed) (authenticator.Enrolled, error)
	// Resync checks two codes in a row, read off the device at now, and says what
	// is kept from then on.
	Resync(kind string, state []byte, codes string, now time.Time) (authenticator.Result, error)
	// Handle is how an answer finds a token without a name; empty for most kinds.
	Handle(kind string, state []byte) (string, error)
}

// AssignIn makes a token from stock an authenticator of an account, inside
// another room's change, which records it. It is in quarantine always: whoever
// hands a token over has had it in their hands.
func (e *Enrollments) AssignIn(ctx context.Context, tx *store.Tx, account directory.Account, c directory.Credential) (directory.Credential, error) {
	var err error
	if c.Handle, err = e.Tokens.Handle(c.Kind, c.State); err != nil {
		return c, err
	}
	c.Account, c.Quarantine = account.ID, e.Now().Add(e.Quarantine)
	c, err = e.Directory.AddCredential(ctx, tx, c)
	if err != nil {
		return c, err
	}
	return c, e.tell(ctx, tx, account, "A token was assigned to your account",
		"\""+c.Label+"\" can now be used to sign in as "+account.Name+".")
}
