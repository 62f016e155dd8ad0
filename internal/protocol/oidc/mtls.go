package oidc

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"countersign/internal/pki"
)

// Clients show here who they are by a certificate, and that they hold its key, by TLS (RFC 8705):
// in a connection to us, or to a trusted proxy that hands the certificate on.

// The values of [Settings.Authentication] for certificates: of an authority that the settings
// name, or of the client's own making (RFC 8705 sections 2.1 and 2.2).
const (
	ByTLS        = "tls"
	BySelfSigned = "self-signed-tls"
)

// ByCertificate is a value of [Settings.Sender]: tokens are bound to the certificate that the
// client shows (RFC 8705 section 3).
const ByCertificate = "tls"

// certificateMark begins what binds a token to a certificate: no thumbprint of a key has a space.
const certificateMark = "x5t#S256 "

// errCertificate is for a client that must show a certificate and shows none.
var errCertificate = fault{"invalid_request", "This client shows its certificate with each request for tokens, at the addresses of mtls_endpoint_aliases."}

// boundTo is what binds a token to a certificate.
func boundTo(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return certificateMark + base64.RawURLEncoding.EncodeToString(sum[:])
}

// thumbprintIn is the thumbprint of a certificate that a token is bound to, if it is bound to one.
func thumbprintIn(key string) (thumbprint string, ok bool) {
	return strings.CutPrefix(key, certificateMark)
}

// confirmed is the cnf of what a token is bound to (RFC 9449 section 6.2, RFC 8705 section 3.2).
func confirmed(key string) map[string]string {
	if thumbprint, ok := thumbprintIn(key); ok {
		return map[string]string{"x5t#S256": thumbprint}
	}
	return map[string]string{"jkt": key}
}

// shows reports whether a request comes with the certificate that a token is bound to.
func (p *desk) shows(r *http.Request, key string) bool {
	c := p.addrs.Certificate(r)
	return c != nil && subtle.ConstantTimeCompare([]byte(boundTo(c)), []byte(key)) == 1
}

// keyOf is the key that a request for tokens shows, and that they are bound to: of a certificate
// where the client's settings say so, otherwise of a proof (DPoP); empty for none.
func (p *desk) keyOf(w http.ResponseWriter, r *http.Request, c client) (string, fault, error) {
	if c.Sender != ByCertificate {
		key, f, err := p.possessed(w, r, c, "")
		if err == nil && !f.is() && key == "" && c.binds() {
			f = errProof
		}
		return key, f, err
	}
	if shown := p.addrs.Certificate(r); shown != nil {
		return boundTo(shown), fault{}, nil
	}
	return "", errCertificate, nil
}

// certified reports whether a client shows who it is by the certificate of its connection.
func (p *desk) certified(r *http.Request, c client) bool {
	leaf := p.addrs.Certificate(r)
	if leaf == nil {
		return false
	}
	own, err := c.certificates()
	if err != nil {
		return false
	}
	if c.Authentication == BySelfSigned {
		return slices.ContainsFunc(own, func(one *x509.Certificate) bool { return bytes.Equal(one.Raw, leaf.Raw) })
	}
	_, _, err = pki.Authorities{{Name: c.app, Certificates: own, Purpose: pki.ClientAuth}}.Verify(leaf.Raw, p.now())
	return err == nil && c.isNamedIn(leaf)
}

// certificates are those of the settings: PEM, in one text or line by line.
func (s Settings) certificates() ([]*x509.Certificate, error) {
	return pki.ReadCertificates([]byte(strings.Join(s.Certificates, "\n")))
}

// certificatesMost is how long all of a client's certificates can be, in bytes.
const certificatesMost = 64 << 10

func (s Settings) checkCertificates() error {
	if s.Authentication != ByTLS && s.Authentication != BySelfSigned {
		if len(s.Certificates) > 0 || s.TLSName != "" {
			return invalid("tls_certificates and tls_name are for a client that authenticates by tls or self-signed-tls.")
		}
		return nil
	}
	if len(strings.Join(s.Certificates, "\n")) > certificatesMost {
		return invalid("The certificates have 64 KiB at most.")
	}
	if _, err := s.certificates(); err != nil {
		return invalid("tls_certificates is PEM, and nothing but certificates: of a client by tls the authority's that issues its certificate, of one by self-signed-tls its own.")
	}
	if s.Authentication == BySelfSigned {
		if s.TLSName != "" {
			return invalid("A client by self-signed-tls is known by its certificate itself; empty tls_name.")
		}
		return nil
	}
	if _, ok := parseCertName(s.TLSName); !ok {
		return invalid("tls_name is what the client's certificate names: dn: with its subject as openssl x509 -noout -subject -nameopt RFC2253 prints it, or dns:, uri:, ip: or email: with one of its subject alternative names.")
	}
	return nil
}

// certName is how a certificate must name a client (RFC 8705 section 2.1.2): one kind of name.
type certName struct {
	kind, text string
	dn         dn
}

func parseCertName(text string) (certName, bool) {
	kind, rest, ok := strings.Cut(text, ":")
	n := certName{kind: kind, text: rest}
	if !ok || rest == "" || len(text) > 1024 {
		return n, false
	}
	switch kind {
	case "dn":
		n.dn, ok = parseDN(rest)
	case "ip":
		_, err := netip.ParseAddr(rest)
		ok = err == nil
	case "dns", "uri", "email":
		ok = !strings.ContainsAny(rest, "* \t\r\n")
	default:
		ok = false
	}
	return n, ok
}

// isNamedIn reports whether a certificate names this client.
func (s Settings) isNamedIn(leaf *x509.Certificate) bool {
	n, ok := parseCertName(s.TLSName)
	if !ok {
		return false
	}
	switch n.kind {
	case "dn":
		subject, ok := dnOf(leaf.RawSubject)
		return ok && slices.Equal(subject, n.dn)
	case "dns":
		return slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return strings.EqualFold(name, n.text) })
	case "email":
		return slices.Contains(leaf.EmailAddresses, n.text)
	case "ip":
		want, err := netip.ParseAddr(n.text)
		for _, ip := range leaf.IPAddresses {
			if got, ok := netip.AddrFromSlice(ip); ok && err == nil && got.Unmap() == want.Unmap() {
				return true
			}
		}
	case "uri":
		for _, u := range leaf.URIs {
			if u.String() == n.text {
				return true
			}
		}
	}
	return false
}
