package passkey

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The words that options are written with.
const (
	None   = "none"
	Direct = "direct"

	Allow  = "allow"
	Deny   = "deny"
	Refuse = "refuse"
	Accept = "accept"

	Required    = "required"
	Preferred   = "preferred"
	Discouraged = "discouraged"
)

// Limits of a ceremony's time: WebAuthn Level 3 section 15.1 recommends 300 to
// 600 seconds and no rule needs more.
const (
	DefaultTimeout = 300 * time.Second
	MinTimeout     = 60 * time.Second
	MaxTimeout     = 600 * time.Second
)

// Options say what this installation asks of passkeys. All of them hold at
// enrollment and again at every check, so that a stricter option takes effect on
// the keys that are already enrolled.
type Options struct {
	// RPID is the relying party identifier: the host of every origin, or a
	// parent domain of it that is no public suffix. Changing it orphans every
	// enrolled passkey.
	RPID string
	// RPName is what a browser shows for it; empty is the RPID.
	RPName string
	// Origins are the pages that may ask, exactly as browsers write them:
	// "https://login.example.org", with a port only when it is not 443. Only
	// http://localhost may go without TLS. At least one.
	Origins []string

	// Attestation is what is asked of a new key about its make: None (the
	// default) or Direct.
	Attestation string
	// RequireAttested refuses every key whose maker's attestation did not verify
	// up to a root in MDS or Roots. It needs Direct.
	RequireAttested bool
	// AllowAAGUIDs are the only models accepted, when there are any. A model is
	// only known from a verified attestation, so a list implies RequireAttested,
	// and synced passkeys, which attest nothing, can never be on it.
	AllowAAGUIDs []string
	// DenyAAGUIDs are models refused. A key without attestation can lie about
	// its model: this keeps out mistakes, AllowAAGUIDs keeps out attackers.
	DenyAAGUIDs []string
	// BackupEligible says whether keys that can be copied between devices
	// (synced passkeys) are accepted: Allow (the default) or Deny.
	BackupEligible string
	// MDS is what the FIDO Metadata Service says about models. Nil asks nothing.
	MDS *Metadata
	// Roots are attestation roots trusted for any model, beside those of MDS:
	// the one vendor that a closed site buys from.
	Roots []*x509.Certificate

	// UserVerification is Required (the default) or Preferred. Under Preferred a
	// key without PIN or biometric enrolls as something held and no more.
	UserVerification string
	// ResidentKey says whether new credentials must be discoverable: Preferred
	// (the default), Required or Discouraged.
	ResidentKey string
	// Hints order the browser's choices: "security-key", "client-device",
	// "hybrid" (section 5.8.7). They bind nobody.
	Hints []string
	// CounterRegression says what a signature counter that did not advance means:
	// Refuse (the default; the reason is "cloned") or Accept, which notes it in
	// the Detail of the Result. It is a sign of a copied key and not a proof.
	CounterRegression string
	// Timeout is how long a ceremony may take, from MinTimeout to MaxTimeout;
	// zero is DefaultTimeout.
	Timeout time.Duration
}

// validate fills in the defaults and says what is wrong in one sentence.
func (o *Options) validate() error {
	if err := checkRelyingParty(o.RPID, o.Origins); err != nil {
		return err
	}
	if o.RPName == "" {
		o.RPName = o.RPID
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Timeout < MinTimeout || o.Timeout > MaxTimeout {
		return fmt.Errorf("the timeout is %v; choose from %v to %v", o.Timeout, MinTimeout, MaxTimeout)
	}
	for _, w := range []struct {
		name  string
		value *string
		words []string // the first is the default
	}{
		{"attestation", &o.Attestation, []string{None, Direct}},
		{"backup-eligible", &o.BackupEligible, []string{Allow, Deny}},
		{"user-verification", &o.UserVerification, []string{Required, Preferred}},
		{"resident-key", &o.ResidentKey, []string{Preferred, Required, Discouraged}},
		{"counter-regression", &o.CounterRegression, []string{Refuse, Accept}},
	} {
		if err := choose(w.name, w.value, w.words); err != nil {
			return err
		}
	}
	for _, hint := range o.Hints {
		if !slices.Contains([]string{"security-key", "client-device", "hybrid"}, hint) {
			return fmt.Errorf("the hint %q is unknown; use security-key, client-device or hybrid", hint)
		}
	}
	return o.validateAttestation()
}

// validateAttestation refuses combinations that nothing could ever satisfy.
func (o *Options) validateAttestation() error {
	if len(o.AllowAAGUIDs) > 0 {
		o.RequireAttested = true
	}
	switch {
	case !o.RequireAttested:
		return nil
	case o.Attestation != Direct:
		return errors.New("attested keys or a list of allowed models need attestation: direct, or no key would say what it is")
	case o.MDS == nil && len(o.Roots) == 0:
		return errors.New("attested keys or a list of allowed models need metadata or attestation roots to trust")
	}
	return nil
}

func choose(name string, value *string, words []string) error {
	if *value == "" {
		*value = words[0]
	}
	if !slices.Contains(words, *value) {
		return fmt.Errorf("%s is %q; use one of %v", name, *value, words)
	}
	return nil
}
