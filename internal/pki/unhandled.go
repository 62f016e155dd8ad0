package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// unhandled is the refusal of a certificate that would be good without critical extensions
// which this program cannot handle (RFC 5280 section 4.2).
type unhandled struct{ which string }

func (u *unhandled) Error() string { return Unhandled.Error() + ": " + u.which }
func (u *unhandled) Unwrap() error { return Unhandled }

// Because returns what a refusal says beyond its word, for the audit log; empty for nothing.
func Because(err error) string {
	var u *unhandled
	if errors.As(err, &u) {
		return u.which
	}
	return ""
}

// unhandled says which extensions are the reason that there is no path; nil for none.
func (a Authority) unhandled(leaf *x509.Certificate, now time.Time) error {
	said := map[string]string{}
	bare := func(c *x509.Certificate) *x509.Certificate {
		said[string(c.Raw)] = UnhandledIn(c)
		without := *c
		without.UnhandledCriticalExtensions = nil
		return &without
	}
	without := a
	without.Certificates = nil
	for _, c := range a.Certificates {
		without.Certificates = append(without.Certificates, bare(c))
	}
	chains, err := without.chains(bare(leaf), now)
	if err != nil {
		return nil
	}
	var which []string
	for i, c := range chains[0] {
		if found := said[string(c.Raw)]; found != "" {
			whose := "of the card"
			if i > 0 {
				whose = fmt.Sprintf("of the authority %q", clip(c.Subject.String()))
			}
			which = append(which, found+" in the certificate "+whose)
		}
	}
	if which == nil {
		return nil
	}
	return &unhandled{strings.Join(which, "; ")}
}

// extensions are the names of those that authorities mark as critical.
var extensions = map[string]string{
	"2.5.29.9": "subject directory attributes", "2.5.29.16": "private key usage period", "2.5.29.17": "subject alternative name", "2.5.29.18": "issuer alternative name",
	"2.5.29.30": "name constraints", "2.5.29.31": "CRL distribution points", "2.5.29.32": "certificate policies", "2.5.29.33": "policy mappings", "2.5.29.36": "policy constraints",
	"2.5.29.54": "inhibit anyPolicy", "1.3.6.1.5.5.7.1.3": "qualified certificate statements", "2.16.840.1.113730.1.1": "Netscape certificate type",
}

// mostNamed is how many are named, so that a certificate makes no long line in the log.
const mostNamed = 4

// UnhandledIn names the critical extensions of a certificate that cannot be handled, so that
// nothing it certifies is accepted; empty for none.
func UnhandledIn(c *x509.Certificate) string {
	var out []string
	for i, id := range c.UnhandledCriticalExtensions {
		if i == mostNamed {
			out = append(out, fmt.Sprintf("and %d more", len(c.UnhandledCriticalExtensions)-i))
			break
		}
		name := id.String()
		if known := extensions[name]; known != "" {
			name += " (" + known + ")"
		}
		out = append(out, name)
	}
	if out == nil {
		return ""
	}
	return "critical extension " + strings.Join(out, ", ")
}
