package assurance

import (
	"fmt"
	"slices"
	"strings"
)

// The levels are made once: a Requirement is never changed.
var (
	oneFactor     = Need(Known).Or(Need(Held))
	twoFactors    = Need(Held | UserVerified).Or(Need(Known | Held))
	phishing      = Need(Held | PhishingResistant | UserVerified).Or(Need(Known | Held | PhishingResistant))
	hardware      = And(phishing, Need(HardwareBound))
	accessPass    = Need(Vouched)
	automationKey = Need(Delegated)
	recoveryCodes = Need(Recovery | Mailed)
	elsewhere     = twoFactors.Or(Need(Known | Asserted))
	appPassword   = Need(AppPassword)
)

// OneFactor is anything at all that the account can show: AAL1.
func OneFactor() Requirement { return oneFactor }

// TwoFactors is two different factors, or one multi-factor authenticator:
// SP 800-63B-4 section 2.2.1.
func TwoFactors() Requirement { return twoFactors }

// Phishing is two factors of which the held one resists phishing ("phr").
func Phishing() Requirement { return phishing }

// Hardware is Phishing with a key that cannot be exported ("phrh").
func Hardware() Requirement { return hardware }

// AAL2 is two factors.
func AAL2() Requirement { return twoFactors }

// AAL3 is a phishing-resistant authenticator with a non-exportable key, and two
// factors: SP 800-63B-4 section 2.3.1.
func AAL3() Requirement { return hardware }

// AccessPass is a temporary access pass that another person issued.
func AccessPass() Requirement { return accessPass }

// AutomationKey is a key that an administrator issued to a service.
func AutomationKey() Requirement { return automationKey }

// RecoveryCodes is a saved recovery code and one that came by mail: two codes by
// different routes (SP 800-63B-4 section 4.2).
func RecoveryCodes() Requirement { return recoveryCodes }

// TwoFactorsElsewhere is two factors, of which the second may have been shown to another
// identity provider, if an administrator takes its word.
func TwoFactorsElsewhere() Requirement { return elsewhere }

// DevicePassword is an app password: one of a device that can show nothing else.
func DevicePassword() Requirement { return appPassword }

var named = map[string]func() Requirement{
	"one-factor":                  OneFactor,
	"two-factors":                 TwoFactors,
	"phishing-resistant":          Phishing,
	"phishing-resistant-hardware": Hardware,
	"two-factors-elsewhere":       TwoFactorsElsewhere,
	"aal1":                        OneFactor,
	"aal2":                        AAL2,
	"aal3":                        AAL3,
	"access-pass":                 AccessPass,
	"automation-key":              AutomationKey,
	"recovery-codes":              RecoveryCodes,
	"app-password":                DevicePassword,
}

// Named returns the Requirement that a policy writes by name. An unknown name
// is an error that lists the known ones, and never a Requirement that is met.
func Named(name string) (Requirement, error) {
	if f, ok := named[name]; ok {
		return f(), nil
	}
	return Deny("unknown requirement"), fmt.Errorf("unknown requirement %q; use one of %s", name, strings.Join(Names(), ", "))
}

// Names lists the names that [Named] knows, sorted.
func Names() []string {
	names := make([]string, 0, len(named))
	for n := range named {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
