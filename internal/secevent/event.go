package secevent

import "strings"

// The namespaces of event types.
const (
	caep = "https://schemas.openid.net/secevent/caep/event-type/"
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	ssf  = "https://schemas.openid.net/secevent/ssf/event-type/"
)

// The event types that are spoken here.
const (
	SessionRevoked       = caep + "session-revoked"
	CredentialChange     = caep + "credential-change"
	AssuranceChange      = caep + "assurance-level-change"
	RiskChange           = caep + "risk-level-change"
	TokenClaimsChange    = caep + "token-claims-change"
	CredentialCompromise = risc + "credential-compromise"
	AccountDisabled      = risc + "account-disabled"
	AccountPurged        = risc + "account-purged"
	Verification         = ssf + "verification"
	StreamUpdated        = ssf + "stream-updated"
)

// Sent are the types that a stream can carry about people, in the order in which they are listed.
func Sent() []string {
	return []string{SessionRevoked, CredentialChange, AssuranceChange, RiskChange, AccountDisabled, AccountPurged}
}

// Heeded are the types of another transmitter that can come to something here.
func Heeded() []string {
	return []string{SessionRevoked, CredentialChange, CredentialCompromise, AssuranceChange, RiskChange, AccountDisabled, AccountPurged}
}

// Short is the last word of a type, as people write it: "session-revoked".
func Short(uri string) string { return uri[strings.LastIndexByte(uri, '/')+1:] }

// Named returns the type of a short word or a URI among some; false is none of them.
func Named(word string, among []string) (uri string, ok bool) {
	for _, uri := range among {
		if word == uri || word == Short(uri) {
			return uri, true
		}
	}
	return "", false
}
