package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
)

// headerForm is a header's name (RFC 9110 section 5.1), in what proxies can write.
var headerForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

func (c File) checkMutualTLS() error {
	m := c.MutualTLS
	if m == (MutualTLS{}) {
		return nil
	}
	u, err := url.Parse(m.PublicURL)
	switch {
	case m.Listen == "" && m.Header == "":
		return errors.New("mutual_tls needs listen, where clients show their certificates to Countersign itself, or header, in which a trusted proxy hands them on")
	case address("mutual_tls.listen", m.Listen, true) != nil:
		return address("mutual_tls.listen", m.Listen, true)
	case m.PublicURL != "" && (err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.User != nil || u.RawQuery != "" || u.Fragment != ""):
		return fmt.Errorf("mutual_tls.public_url must be like https://clients.example.org:8444, without a path, not %q", m.PublicURL)
	case m.Listen != "" && (m.PublicURL == "" || m.PublicURL == c.PublicURL):
		return errors.New("mutual_tls.public_url must be set with listen, and be another address than public_url")
	case m.Listen != "" && (m.TLS.Certificate == "" || m.TLS.Key == ""):
		return errors.New("mutual_tls.tls.certificate and mutual_tls.tls.key must be set: certificates are shown by TLS")
	case m.Listen == "" && m.TLS != (TLS{}):
		return errors.New("mutual_tls.tls is for mutual_tls.listen; a proxy has its own certificate")
	case m.Header != "" && !headerForm.MatchString(m.Header):
		return fmt.Errorf("mutual_tls.header must be the name of a header such as Client-Cert, not %q", m.Header)
	case m.Header != "" && len(c.TrustedProxies) == 0:
		return errors.New("mutual_tls.header is believed of trusted_proxies alone; name them")
	}
	return nil
}
