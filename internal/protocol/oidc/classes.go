package oidc

import (
	"slices"
	"time"

	"countersign/internal/assurance"
)

// class is a context class (acr) and what it demands.
type class struct {
	name string
	need assurance.Requirement
}

// The context classes that clients can ask for. Each vocabulary is from the strongest to the
// weakest: the first that the evidence meets is stated where nobody asked for one.
var (
	// phrh and phr are OpenID Connect EAP ACR Values 1.0.
	hardware  = class{"phrh", assurance.Hardware()}
	phishing  = class{"phr", assurance.Phishing()}
	ourTwo    = class{"urn:countersign:aal2", assurance.TwoFactors()}
	ourOne    = class{"urn:countersign:aal1", assurance.OneFactor()}
	refedsMFA = class{"https://refeds.org/profile/mfa", assurance.TwoFactors()}
	refedsSFA = class{"https://refeds.org/profile/sfa", assurance.OneFactor()}
	// The levels of SP 800-63B as idmanagement.gov names them.
	nist3 = class{"http://idmanagement.gov/ns/assurance/aal/3", assurance.AAL3()}
	nist2 = class{"http://idmanagement.gov/ns/assurance/aal/2", assurance.AAL2()}
	nist1 = class{"http://idmanagement.gov/ns/assurance/aal/1", assurance.OneFactor()}
)

// The values of [Settings.Classes].
const (
	ClassesOurs   = ""
	ClassesREFEDS = "refeds"
	ClassesNIST   = "nist"
)

var vocabularies = map[string][]class{
	ClassesOurs:   {hardware, phishing, ourTwo, ourOne},
	ClassesREFEDS: {refedsMFA, refedsSFA},
	ClassesNIST:   {nist3, nist2, nist1},
}

// classes are all that can be asked for.
func classes() []class {
	return slices.Concat(vocabularies[ClassesOurs], vocabularies[ClassesREFEDS], vocabularies[ClassesNIST])
}

func classNames() (out []string) {
	for _, c := range classes() {
		out = append(out, c.name)
	}
	return out
}

// requirementOf is what a context class demands. One that is not known demands what nobody
// meets.
func requirementOf(name string) (assurance.Requirement, bool) {
	for _, c := range classes() {
		if c.name == name {
			return c.need, true
		}
	}
	return assurance.Deny("unknown acr"), false
}

// stated is the context class that a token states, and when all that it rests on had been shown
// (auth_time): of those that were asked for the first that is met, else the strongest of the
// client's words. Age is no matter here: the engine has asked for that.
func (s Settings) stated(wanted []string, evidence []assurance.Evidence) (name string, at time.Time) {
	for _, w := range wanted {
		if need, known := requirementOf(w); known {
			if at, met := shownAt(need, evidence); met {
				return w, at
			}
		}
	}
	for _, c := range vocabularies[s.Classes] {
		if at, met := shownAt(c.need, evidence); met {
			return c.name, at
		}
	}
	return "0", assurance.Latest(evidence) // ISO/IEC 29115: no level (OpenID Connect Core section 2)
}

// shownAt is the moment from which on what is demanded has been shown: of the best way the
// oldest piece that it needs.
func shownAt(need assurance.Requirement, evidence []assurance.Evidence) (time.Time, bool) {
	ageless := make([]assurance.Evidence, len(evidence))
	for i, ev := range evidence {
		ev.Until = time.Time{}
		ageless[i] = ev
	}
	now := assurance.Latest(ageless)
	if !need.Met(ageless, now) {
		return time.Time{}, false
	}
	return need.Lapses(ageless, now).Add(-assurance.Forever), true
}
