// Package mutualtls is the endpoint at which a browser shows a certificate.
//
// It owns one TLS listener with a name of its own, and a statement of each
// handshake: this certificate, for this challenge, revoked or not. It keeps
// nothing, asks the engine nothing, and lets nobody in: the statement goes back to
// the sign-in pages with the browser that made the handshake, sealed, and is worth
// there what authenticator/certificate says. Its neighbours are pki and revocation.
// Its one invariant: a statement is about the key that this very connection proved, in a
// full handshake of the one version of TLS that is set, and never about a header.
package mutualtls

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign/internal/pki"
	"countersign/internal/revocation"
)

// Parts are what an Endpoint is made of.
type Parts struct {
	Authorities pki.Authorities
	// Sources say who is asked about revocation, by the authority's name.
	Sources map[string]revocation.Source
	Checker *revocation.Checker
	Seals   pki.Seals
	// URL is where browsers reach the endpoint; Pages is where they are sent back to.
	URL   *url.URL
	Pages *url.URL
	Now   func() time.Time
	// Version is the one version of TLS: tls.VersionTLS13 unless set, or tls.VersionTLS12
	// for cards that cannot sign by RSA-PSS.
	Version uint16
}

// Endpoint serves the listener. It is safe for concurrent use.
type Endpoint struct {
	authorities pki.Authorities
	sources     map[string]revocation.Source
	checker     *revocation.Checker
	seals       pki.Seals
	url, pages  *url.URL
	now         func() time.Time
	version     uint16
	// asking bounds how many wait for somebody else's answer at once.
	asking chan struct{}
}

// most is how many handshakes are asked about at once.
const most = 64

// New makes an Endpoint.
func New(p Parts) *Endpoint {
	return &Endpoint{authorities: p.Authorities, sources: p.Sources, checker: p.Checker, seals: p.Seals, url: p.URL, pages: p.Pages, now: p.Now, version: cmp.Or(p.Version, tls.VersionTLS13),
		asking: make(chan struct{}, most)}
}

// back is where a browser is sent, by what its visit was for.
var back = map[string]string{"sign-in": "/sign-in/card", "setup": "/account/setup/card"}

// Reasons of a refusal that are this room's own.
const (
	noCertificate = "no-certificate"
	notNow        = "revocation-unreachable"
)

// TLS makes a configuration of the endpoint's from one that has its certificate: TLS
// 1.3, in which a client's certificate is never readable on the wire, no resumption,
// which would prove a key that was held some time ago, and HTTP/1.1, so that a
// connection is one visit. A client without a certificate gets as far as a sentence
// that says so.
//
// With TLS 1.2 the certificate is readable on the wire. It has ephemeral keys and AEAD
// only (RFC 9325 section 4.2), and neither resumption nor renegotiation, so that no
// handshake is continued by somebody else (RFC 7627 section 1).
func (e *Endpoint) TLS(config *tls.Config) *tls.Config {
	c := config.Clone()
	c.MinVersion, c.MaxVersion = e.version, e.version
	c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256} // of TLS 1.2
	c.NextProtos = []string{"http/1.1"}
	c.SessionTicketsDisabled = true
	c.ClientAuth = tls.RequestClientCert
	c.ClientCAs = x509.NewCertPool() // which browsers choose by
	for _, a := range e.authorities {
		for _, certificate := range a.Certificates {
			c.ClientCAs.AddCert(certificate)
		}
	}
	return c
}

// typing is how long a handshake may take: the card's PIN is typed in the middle of
// it, and net/http bounds a handshake by the shortest of a server's timeouts.
const typing = 2 * time.Minute

// Server returns a server for the listener.
func (e *Endpoint) Server(config *tls.Config) *http.Server {
	s := &http.Server{Handler: e.handler(), TLSConfig: e.TLS(config), ReadHeaderTimeout: typing, ReadTimeout: typing, WriteTimeout: typing, MaxHeaderBytes: 16 << 10}
	s.SetKeepAlivesEnabled(false) // a connection is one visit
	return s
}

func (e *Endpoint) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{for}/{challenge}", e.show)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		mux.ServeHTTP(w, r)
	})
}

// show makes the statement and sends the browser back with it.
func (e *Endpoint) show(w http.ResponseWriter, r *http.Request) {
	path, known := back[r.PathValue("for")]
	challenge := r.PathValue("challenge")
	if !known || r.Method != http.MethodGet || !pki.IsChallenge(challenge) {
		http.NotFound(w, r)
		return
	}
	if why := e.misdirected(r); why != "" {
		http.Error(w, why, http.StatusMisdirectedRequest)
		return
	}
	text, err := pki.Write(e.seals, challenge, e.state(r.Context(), r.TLS))
	if err != nil {
		http.Error(w, "That did not work. Go back and try again.", http.StatusInternalServerError)
		return
	}
	to := e.pages.JoinPath(path)
	to.RawQuery = url.Values{"shown": {text}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// misdirected says, to people, why a connection proves nothing for its request; it
// is empty where it does.
func (e *Endpoint) misdirected(r *http.Request) string {
	switch {
	case r.TLS == nil || !r.TLS.HandshakeComplete || r.TLS.Version != e.version || r.TLS.DidResume:
		return "A card is shown in a new connection of " + tls.VersionName(e.version) + " only. Go back and try again."
	case !strings.EqualFold(hostname(r.Host), e.url.Hostname()) || net.ParseIP(e.url.Hostname()) == nil && !strings.EqualFold(r.TLS.ServerName, e.url.Hostname()):
		return "A card is shown at the name " + e.url.Hostname() + " only. Go back and try again."
	}
	return ""
}

func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }

// state says what this connection proved.
func (e *Endpoint) state(ctx context.Context, t *tls.ConnectionState) pki.Statement {
	s := pki.Statement{Time: e.now().UnixMilli()}
	if len(t.PeerCertificates) == 0 {
		s.Refused = noCertificate
		return s
	}
	leaf := t.PeerCertificates[0]
	s.Detail = pki.Describe(leaf)
	authority, path, err := e.authorities.Verify(leaf.Raw, e.now())
	if err != nil {
		s.Refused = string(pki.Malformed)
		if r := pki.Refusal(""); errors.As(err, &r) {
			s.Refused = string(r)
		}
		if why := pki.Because(err); why != "" {
			s.Detail += "; " + why
		}
		return s
	}
	s.Certificate, s.Authority = leaf.Raw, authority.Name
	select {
	case e.asking <- struct{}{}:
		defer func() { <-e.asking }()
	default:
		s.Refused = notNow
		return s
	}
	// It counts from when the answer was asked for, so that a slow one is not fresher.
	if err := e.checker.Check(ctx, e.sources[authority.Name], path); err != nil {
		s.Refused = notNow
		var r *revocation.Refusal
		if errors.As(err, &r) {
			s.Refused, s.Detail = string(r.Reason), s.Detail+"; "+r.Detail
		}
	}
	return s
}
