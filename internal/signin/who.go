package signin

import (
	"net/netip"

	"countersign/internal/assurance"
	"countersign/internal/audit"
)

// who is whoever answers, as far as budgets ask.
type who struct {
	origin
	account assurance.AccountID // fixed by a session or by what was shown; 0 before
	name    string              // that was typed
	session bool                // comes in a session of the account
	shown   bool                // has shown something in this attempt
	heard   bool                // all of the log was heard in this turn
}

// origin is where somebody comes from: an address, or equipment that tells none, and what
// their browser keeps.
type origin struct {
	source               netip.Addr
	application, partner string
	browser              string
}

// target is what an answer is compared with: what an account has of one kind, or a name
// that nobody has.
type target struct {
	account     assurance.AccountID // 0 for nobody
	kind        string
	credentials []assurance.CredentialID
}

// sighting is where something wrong came from, for tallies and for the log.
type sighting struct {
	source netip.Addr
	entry  audit.Entry // without what it is
}
