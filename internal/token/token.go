// Package token keeps hardware tokens: in stock, with people, and back.
//
// It owns the table token and what is done with a token: its file is read into stock, it
// goes to somebody, it is lost, comes back or ends, and it is put right by two of its
// codes. It does not decide who may do that, and records nothing: admin does both, around
// the changes of this room. What a token keeps is made by its kind, and while somebody has
// it, that is in their authenticator, which is directory's and enrollment's; so is the PIN
// in front of its codes. Its one invariant: the seed is in one place, with the counter as it
// stands, so that no code that was accepted is accepted again from the next owner.
package token

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// States of a hardware token. Only one in stock can be assigned.
const (
	InStock  = "stock"
	Assigned = "assigned"
	Returned = "returned" // it came back and has shown nothing yet
	Lost     = "lost"
	Revoked  = "revoked" // for good; its seed is erased
)

// Token is one hardware token. Its seed is here only while nobody has it.
type Token struct {
	id           int64
	Serial       string
	Manufacturer string
	Kind         string // hotp, totp, ocra
	// Detail says hash, digits and period, for people.
	Detail string
	// Issued is the day it was made, where its file said so.
	Issued time.Time
	// Seed is the authenticator's own state, unsealed; empty while the token is
	// assigned, and for good when it is revoked.
	Seed  []byte
	State string
	// Secret is what makes its answers, said when it is added; only its keyed digest is
	// kept, so that a second token of one secret is known.
	Secret []byte
	// likeness is that digest; empty for what was imported before there was one.
	likeness []byte
	// Account and Credential are whose it is, or was last; 0 for nobody yet. The account
	// may have been removed: no number is given twice.
	Account    assurance.AccountID
	Credential assurance.CredentialID
	// Batch is the digest of the import that it came with.
	Batch   string
	Created time.Time
	version int64
}

// Seed is what a file says of one hardware token.
type Seed = authenticator.Seed

// Kinds are the authenticators that hardware tokens are.
type Kinds interface {
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

// Parts are what Hands are made of.
type Parts struct {
	Stock       *Stock
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Enrollments *enrollment.Enrollments
	Endings     *enrollment.Endings
	Notices     *enrollment.Notices
	// Kinds make what tokens keep, and PINs what stands in front of their codes.
	Kinds Kinds
	PINs  enrollment.PINKinds
	// Spare refuses a loss after which nobody could administer.
	Spare func(ctx context.Context, r store.Reader, l signin.Loss) error
	Now   func() time.Time
}
