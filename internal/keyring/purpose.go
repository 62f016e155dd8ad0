package keyring

import "slices"

// Purpose is the use of a key. Each purpose has its own keys, so a value that was
// sealed or authenticated for one never opens or verifies for another.
type Purpose string

// The purposes, named after the tables and cookies whose values they protect. A
// purpose that is added here gets its key at the next start.
const (
	Account     Purpose = "account"
	APIKey      Purpose = "api-key"
	Approval    Purpose = "approval"
	Application Purpose = "application"
	Attempt     Purpose = "attempt"
	Browser     Purpose = "browser"
	Certificate Purpose = "certificate"
	CertKey     Purpose = "cert-key"
	Cookie      Purpose = "cookie"
	Credential  Purpose = "credential"
	Declaration Purpose = "declaration"
	Decoy       Purpose = "decoy"
	Destination Purpose = "destination"
	Drill       Purpose = "drill"
	Form        Purpose = "form"
	Guess       Purpose = "guess"
	Membership  Purpose = "membership"
	Milestone   Purpose = "milestone"
	Notice      Purpose = "notice"
	OAuth       Purpose = "oauth"
	HostCodes   Purpose = "offline"
	Participant Purpose = "participant"
	Partner     Purpose = "partner"
	PIN         Purpose = "pin"
	Policy      Purpose = "policy"
	Provision   Purpose = "provision"
	Push        Purpose = "push"
	Recovery    Purpose = "recovery"
	Session     Purpose = "session"
	Signal      Purpose = "signal"
	Signing     Purpose = "signing"
	Team        Purpose = "team"
	Ticket      Purpose = "ticket"
	Token       Purpose = "token"
	Upstream    Purpose = "upstream"
)

// Purposes returns the purposes that [Keyring.Seal] and [Keyring.MAC] accept.
func Purposes() []Purpose {
	return []Purpose{Account, APIKey, Approval, Application, Attempt, Browser, Certificate, CertKey, Cookie, Credential, Declaration, Decoy, Destination, Drill, Form,
		Guess, Membership, Milestone, Notice, OAuth, HostCodes, Participant, Partner, PIN, Policy, Provision, Push, Recovery, Session, Signal, Signing, Team, Ticket, Token, Upstream}
}

// The keys of the audit log. They authenticate all of its entries and are never
// rotated.
const (
	auditMAC  Purpose = "audit-mac"
	auditSign Purpose = "audit-sign"
)

func (p Purpose) known() bool { return slices.Contains(Purposes(), p) }
