package saml

import (
	"slices"

	"countersign/internal/assurance"
	"countersign/internal/protocol/saml/message"
)

// class is a class of authentication: what must have been shown for it to be said.
type class struct {
	uri string
	// needs is what is asked for, where it is not there yet.
	needs assurance.Requirement
	// method is an RFC 8176 method that one piece of the evidence must be beside that; apart
	// says that one must have come from another device. Neither can be asked for.
	method string
	apart  bool
	// strength orders the classes, as we deem them (SAML core, section 3.3.2.2.1).
	strength int
}

const oasis = "urn:oasis:names:tc:SAML:2.0:ac:classes:"

// The classes (SAML authentication context, section 3.4; REFEDS; those that Entra ID and AD FS
// ask for; OpenID EAP ACR Values 1.0).
const (
	classUnspecified = oasis + "unspecified"
	classPassword    = oasis + "PasswordProtectedTransport"
	classMFA         = "https://refeds.org/profile/mfa"
	classSFA         = "https://refeds.org/profile/sfa"
	classMultiple    = "http://schemas.microsoft.com/claims/multipleauthn"
)

// certificate is the RFC 8176 method of what is shown with a smart card's certificate.
const certificate = "sc"

// classes are all that can be asked for. Those of a password in the clear (Password) and of
// what we do not do (Kerberos, PGP, telephony) are not among them: they would not be true.
func classes() []class {
	known := assurance.Need(assurance.Known)
	cards := assurance.Need(assurance.Held | assurance.PhishingResistant)
	return []class{
		{uri: classUnspecified, needs: assurance.OneFactor()},
		{uri: classSFA, needs: assurance.OneFactor(), strength: 1},
		{uri: classPassword, needs: known, strength: 1},
		{uri: "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password", needs: known, strength: 1},
		{uri: "urn:countersign:aal1", needs: assurance.OneFactor(), strength: 1},
		{uri: oasis + "X509", needs: cards, method: certificate, strength: 2},
		{uri: oasis + "TLSClient", needs: cards, method: certificate, strength: 2},
		{uri: classMFA, needs: assurance.TwoFactors(), strength: 3},
		{uri: classMultiple, needs: assurance.TwoFactors(), strength: 3},
		{uri: oasis + "MobileTwoFactorUnregistered", needs: assurance.TwoFactors(), apart: true, strength: 3},
		{uri: oasis + "MobileTwoFactorContract", needs: assurance.TwoFactors(), apart: true, strength: 3},
		{uri: "urn:countersign:aal2", needs: assurance.TwoFactors(), strength: 3},
		{uri: "phr", needs: assurance.Phishing(), strength: 4},
		{uri: oasis + "SmartcardPKI", needs: assurance.Hardware(), method: certificate, strength: 5},
		{uri: "phrh", needs: assurance.Hardware(), strength: 5},
	}
}

// met reports whether evidence is of a class, whatever its age: how fresh it must be, policy
// and ForceAuthn say.
func (c class) met(evidence []assurance.Evidence, method func(kind string) string) bool {
	if !c.needs.Met(evidence, assurance.Latest(evidence)) {
		return false
	}
	return (c.method == "" || slices.ContainsFunc(evidence, func(e assurance.Evidence) bool { return method(e.Kind) == c.method })) &&
		(!c.apart || slices.ContainsFunc(evidence, func(e assurance.Evidence) bool { return e.OutOfBand }))
}

// usually are the classes of which the first that is met is said where none was asked for.
func usually() []string { return []string{classMFA, classPassword, classUnspecified} }

// acceptable are the classes that answer what a request demands, the preferred one first; none
// where nothing can.
func acceptable(wants message.Context) []class {
	all := classes()
	named := func(uri string) (class, bool) {
		i := slices.IndexFunc(all, func(c class) bool { return c.uri == uri })
		if i < 0 {
			return class{}, false
		}
		return all[i], true
	}
	if wants.Comparison == "" { // nothing is demanded
		wants = message.Context{Comparison: "exact", Classes: usually()}
	}
	var asked []class
	for _, uri := range wants.Classes {
		if c, ok := named(uri); ok {
			asked = append(asked, c)
		}
	}
	if wants.Comparison == "exact" || len(asked) == 0 {
		return asked
	}
	return compared(wants.Comparison, asked, all)
}

// compared are the classes that stand in this relation to those that are asked for: "minimum"
// and "maximum" to one of them, "better" to each.
func compared(comparison string, asked, all []class) []class {
	least, most := asked[0].strength, asked[0].strength
	for _, c := range asked {
		least, most = min(least, c.strength), max(most, c.strength)
	}
	fits := map[string]func(class) bool{
		"minimum": func(c class) bool { return c.strength >= least },
		"maximum": func(c class) bool { return c.strength <= most },
		"better":  func(c class) bool { return c.strength > most },
	}[comparison]
	all = slices.Clone(all)
	if comparison == "maximum" { // as strong as possible
		slices.Reverse(all)
		asked = nil
	} else { // what most know first
		slices.SortStableFunc(all, func(a, b class) int { return btoi(b.uri == classMFA) - btoi(a.uri == classMFA) })
	}
	out := slices.DeleteFunc(slices.Clone(asked), func(c class) bool { return !fits(c) })
	for _, c := range all {
		if fits(c) && !slices.ContainsFunc(out, func(o class) bool { return o.uri == c.uri }) {
			out = append(out, c)
		}
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// demand is what is asked of a person so that one of the classes is met; nil where nothing was
// demanded.
func demand(wants message.Context, classes []class) *assurance.Requirement {
	if wants.Comparison == "" {
		return nil
	}
	r := assurance.Deny("no class")
	for _, c := range classes {
		r = r.Or(c.needs)
	}
	return &r
}

// said is the class that is said of evidence: the first that is met.
func said(classes []class, evidence []assurance.Evidence, method func(kind string) string) (string, bool) {
	for _, c := range classes {
		if c.met(evidence, method) {
			return c.uri, true
		}
	}
	return "", false
}
