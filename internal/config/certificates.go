package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

func (c File) checkCertificates() error {
	s := c.Certificates
	if s.Listen == "" {
		if s.PublicURL != "" || s.TLS != (TLS{}) || s.TLSVersion != "" || len(s.Authorities) > 0 {
			return errors.New("certificates.listen must be HOST:PORT such as 0.0.0.0:8443, or leave all of certificates out")
		}
		return nil
	}
	u, err := url.Parse(s.PublicURL)
	switch {
	case address("certificates.listen", s.Listen, false) != nil:
		return address("certificates.listen", s.Listen, false)
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("certificates.public_url must be like https://card.example.org:8443, without a path, not %q", s.PublicURL)
	case s.PublicURL == c.PublicURL:
		return errors.New("certificates.public_url must be another address than public_url: a browser asks for a certificate for a whole one")
	case s.TLS.Certificate == "" || s.TLS.Key == "":
		return errors.New("certificates.tls.certificate and certificates.tls.key must be set: cards are shown by TLS")
	case len(s.Authorities) == 0:
		return errors.New("certificates.authorities must name at least one authority")
	}
	if err := word("certificates.tls_version", s.TLSVersion, "", "1.3", "1.2"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, a := range s.Authorities {
		if err := a.check(fmt.Sprintf("certificates.authorities[%d]", i)); err != nil {
			return err
		}
		if seen[a.Name] {
			return fmt.Errorf("certificates.authorities: %q is there twice", a.Name)
		}
		seen[a.Name] = true
	}
	return nil
}

func (a CertificateAuthority) check(key string) error {
	if a.Name == "" || a.File == "" {
		return fmt.Errorf("%s must have a name and a file", key)
	}
	if a.OCSP == "" && len(a.CRLs) == 0 {
		return fmt.Errorf("%s: set ocsp or crls, so that a lost card can be stopped", key)
	}
	if a.OCSP != "" && !web(a.OCSP) {
		return fmt.Errorf("%s.ocsp must be a http or https address, not %q", key, a.OCSP)
	}
	for _, l := range a.CRLs {
		if l == "" || strings.Contains(l, "://") && !web(l) {
			return fmt.Errorf("%s.crls: %q is neither a http or https address nor a file", key, l)
		}
	}
	if a.Realm != "" && (a.Mapping != "upn" || strings.ContainsAny(a.Realm, "@ ")) {
		return fmt.Errorf("%s.realm is what follows the @ of user principal names, with mapping upn", key)
	}
	return errors.Join(word(key+".mapping", a.Mapping, "issuer-serial", "upn", "email"),
		word(key+".purpose", a.Purpose, "", "client-auth", "smartcard-logon"),
		word(key+".ocsp_nonce", a.OCSPNonce, "", "required", "any"))
}

// web reports whether a text is an address that can be asked.
func web(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.Fragment == ""
}
