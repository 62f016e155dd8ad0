package throttle

import (
	"net/netip"

	"countersign/internal/assurance"
	"countersign/internal/audit"
)

// Requester is whoever answers, as far as budgets ask.
type Requester struct {
	Origin
	Account assurance.AccountID // fixed by a session or by what was shown; 0 before
	Name    string              // that was typed
	Session bool                // comes in a session of the account
	Shown   bool                // has shown something in this attempt
	Heard   bool                // all of the log was heard in this turn
}

// Origin is where somebody comes from: an address, or equipment that tells none, and what
// their browser keeps.
type Origin struct {
	Source               netip.Addr
	Application, Partner string
	Browser              string
}

// Target is what an answer is compared with: what an account has of one kind, or a name
// that nobody has.
type Target struct {
	Account     assurance.AccountID // 0 for nobody
	Spelling    string              // by which it was found in the same transaction, or empty
	Kind        string
	Credentials []assurance.CredentialID
}

// Sighting is where something wrong came from, for tallies and for the log.
type Sighting struct {
	Source netip.Addr
	Entry  audit.Entry // without what it is
}
