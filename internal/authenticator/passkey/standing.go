package passkey

import (
	"time"

	"countersign/internal/assurance"
)

// standing is how a credential's model stands today, by policy and metadata.
type standing struct {
	// reason and detail are set when it is not to be accepted at all.
	reason, detail string
	// attested: its attestation still counts. verifies: so does its word that it
	// verified its user. guarded: its private key is held by hardware.
	attested, verifies, guarded bool
}

// standing judges a credential record. It is the one place for it: enrollment
// asks it about the record that it would write.
func (a *Authenticator) standing(s state, now time.Time) standing {
	out := standing{attested: s.Attested, verifies: true, guarded: true}
	if m, known := a.options.MDS.model(s.AAGUID); known {
		out.guarded = !m.software
		for _, status := range m.statuses(now) {
			if out.apply(status); out.reason != "" {
				return out
			}
		}
	}
	switch {
	case a.deny[s.AAGUID]:
		out.reason, out.detail = reasonModel, "denied model "+s.AAGUID.String()
	case a.options.RequireAttested && !out.attested:
		out.reason, out.detail = reasonAttestation, "attestation "+s.Attestation
	case len(a.allow) > 0 && !a.allow[s.AAGUID]:
		out.reason, out.detail = reasonModel, "unlisted model "+s.AAGUID.String()
	case a.options.BackupEligible == Deny && s.BackupEligible:
		out.reason = reasonSynced
	}
	return out
}

// apply takes a status of the metadata service into account (FIDO MDS 3.1.1
// section 3.1.4, AuthenticatorStatus).
func (s *standing) apply(status string) {
	switch status {
	case statusRevoked, statusRemoteCompromise:
		// Anybody may hold such a key by now.
		s.reason, s.detail = reasonRevoked, status
	case statusVerificationBypass:
		s.verifies = false
	case statusPhysicalCompromise:
		// Whoever had the thing in hand could have copied the key.
		s.guarded = false
	case statusAttestationCompromise:
		s.attested = false
	}
}

// traits are what an assertion shows of a credential in this standing.
func (s standing) traits(kept state, verified bool) assurance.Trait {
	t := assurance.Held | assurance.PhishingResistant
	if verified && kept.Verified && s.verifies {
		t |= assurance.UserVerified
	}
	if !kept.BackupEligible && s.attested && s.guarded {
		t |= assurance.HardwareBound
	}
	return t
}
