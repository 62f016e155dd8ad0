package assurance

import (
	"slices"
	"time"
)

// AccountID numbers an account. Zero is nobody.
type AccountID int64

// CredentialID numbers one enrolled authenticator of one account. Zero is none.
type CredentialID int64

// Evidence is one thing that one account has shown. It is only ever appended,
// and only by the engine, after a check succeeded.
type Evidence struct {
	Account AccountID `json:"account"`
	// Kind is the authenticator's kind ("password", "totp", "passkey", ...) and
	// Credential which one of the account's; together they say whether two
	// pieces of evidence are distinct.
	Kind       string       `json:"kind"`
	Credential CredentialID `json:"credential"`
	Traits     Trait        `json:"traits"`
	// Time is when the check succeeded, by the server's clock.
	Time time.Time `json:"time"`
	// Channel is the protocol it came by ("browser", "radius", ...), and Bound
	// what the authenticator itself bound it to: a WebAuthn origin, or nothing.
	Channel string `json:"channel"`
	Bound   string `json:"bound,omitempty"`
	// Act is the one act that it was shown for, word for word, and it counts for no
	// other. What was shown to sign in has none, and counts for whatever the
	// session may do.
	Act string `json:"act,omitempty"`
	// Elsewhere says that it was shown on another device, to approve what waits on
	// this one by its number.
	OutOfBand bool `json:"elsewhere,omitempty"`
	// Until is when it stops counting whatever its age, zero for never: what a
	// temporary access pass showed dies with the pass.
	Until time.Time `json:"until,omitzero"`
}

// Append returns the evidence with e added. An earlier piece from the same
// authenticator is dropped: the same one twice counts once, and the later one
// is the fresher. The argument is not modified.
func Append(evidence []Evidence, e Evidence) []Evidence {
	out := make([]Evidence, 0, len(evidence)+1)
	for _, old := range evidence {
		if old.Kind != e.Kind || old.Credential != e.Credential {
			out = append(out, old)
		}
	}
	return append(out, e)
}

// Union returns the traits of all the evidence together.
func Union(evidence []Evidence) Trait {
	var t Trait
	for _, e := range evidence {
		t |= e.Traits
	}
	return t
}

// Latest returns when the newest piece was shown: the auth_time of OIDC. It is
// the zero time for no evidence.
func Latest(evidence []Evidence) time.Time {
	var t time.Time
	for _, e := range evidence {
		if e.Time.After(t) {
			t = e.Time
		}
	}
	return t
}

// AAL returns the authentication assurance level of SP 800-63B-4 that the
// evidence supports, 0 to 3, without regard to age: a level says how strong a
// sign-in was, a Requirement says how fresh it must be.
func AAL(evidence []Evidence) int {
	switch at := Latest(evidence); {
	case AAL3().Met(evidence, at):
		return 3
	case AAL2().Met(evidence, at):
		return 2
	case len(evidence) > 0 && Union(evidence)&(Known|Held) != 0:
		return 1
	}
	return 0
}

// ACR returns the authentication context class that the evidence supports:
// "phrh", "phr" (OpenID EAP ACR Values 1.0), or an "urn:countersign:aalN".
func ACR(evidence []Evidence) string {
	t := Union(evidence)
	aal := AAL(evidence)
	switch {
	case aal >= 2 && t.Has(PhishingResistant|HardwareBound):
		return "phrh"
	case aal >= 2 && t.Has(PhishingResistant):
		return "phr"
	case aal == 2:
		return "urn:countersign:aal2"
	case aal == 1:
		return "urn:countersign:aal1"
	}
	return "urn:countersign:aal0"
}

// AMR returns the RFC 8176 methods of the evidence, sorted. "mfa" is there when
// it is true, and never alone. method is what a kind says of itself where its traits
// do not say ("pwd"), or empty.
func AMR(evidence []Evidence, method func(kind string) string) []string {
	var out []string
	for _, e := range evidence {
		own := method(e.Kind)
		switch {
		case own != "":
			out = append(out, own)
		case e.Traits.Has(PhishingResistant | HardwareBound):
			out = append(out, "hwk")
		case e.Traits.Has(PhishingResistant):
			out = append(out, "swk")
		case e.Traits.Has(Held):
			out = append(out, "otp")
		case e.Traits.Has(Vouched):
			out = append(out, "kba") // RFC 8176 has no word for a pass; the nearest is knowledge
		}
		if e.Traits.Has(Known | Held) {
			out = append(out, "pin") // one device, and a PIN that we check ourselves
		}
		if e.Traits.Has(UserVerified) {
			out = append(out, "user")
		}
	}
	if AAL(evidence) >= 2 {
		out = append(out, "mfa")
	}
	slices.Sort(out)
	return slices.Compact(out)
}
