package clientaddr

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
)

// HandedOn has the reader believe a header in which trusted proxies hand on the certificate that
// a client showed them, such as Client-Cert (RFC 9440). Empty, as at first, is none: a proxy that
// knows nothing of such a header passes on what anybody wrote. It is called before the first
// request.
func (d *Reader) HandedOn(header string) { d.certificates = header }

// Certificate returns the certificate whose key the client of a request holds: that of its TLS
// connection to us or, where a trusted proxy is between, the one that the proxy hands on. It is nil
// where there is none. That the client holds the key is all that is known: nobody has asked who
// issued it.
func (d *Reader) Certificate(r *http.Request) *x509.Certificate {
	if d.certificates != "" && d.listed(Peer(r)) {
		// What the proxy itself showed is not its client's.
		if all := r.Header.Values(d.certificates); len(all) == 1 {
			return readCertificate(all[0])
		}
		return nil
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// certificateMost is how long a header can be, in bytes.
const certificateMost = 16 << 10

// readCertificate reads a certificate as proxies write it: as a byte sequence of RFC 9440 section
// 2.1, or in PEM that is escaped as in an address (nginx).
func readCertificate(text string) *x509.Certificate {
	if len(text) > certificateMost {
		return nil
	}
	der, ok := readBytes(text)
	if !ok {
		der, ok = readEscaped(text)
	}
	if !ok {
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return c
}

// readBytes reads a byte sequence: base64 between colons (RFC 8941 section 3.3.5).
func readBytes(text string) ([]byte, bool) {
	inner, begins := strings.CutPrefix(text, ":")
	inner, ends := strings.CutSuffix(inner, ":")
	if !begins || !ends || strings.ContainsAny(inner, "\r\n") {
		return nil, false
	}
	der, err := base64.StdEncoding.DecodeString(inner)
	return der, err == nil
}

func readEscaped(text string) ([]byte, bool) {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return nil, false
	}
	block, rest := pem.Decode([]byte(plain))
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || strings.TrimSpace(string(rest)) != "" {
		return nil, false
	}
	return block.Bytes, true
}
