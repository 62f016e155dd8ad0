package saml

import (
	"countersign/internal/assurance"
)

// The classes that are asserted (SAML authentication context, section 3.4; REFEDS).
const (
	classUnspecified = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
	classPassword    = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	classMFA         = "https://refeds.org/profile/mfa"
)

// classOf is what is said of evidence where nothing was asked for.
func classOf(evidence []assurance.Evidence) string {
	switch at := assurance.Latest(evidence); {
	case assurance.TwoFactors().Met(evidence, at):
		return classMFA
	case assurance.Need(assurance.Known).Met(evidence, at):
		return classPassword
	}
	return classUnspecified
}
