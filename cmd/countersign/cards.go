package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"countersign/internal/config"
	"countersign/internal/keyring"
	"countersign/internal/listen"
	"countersign/internal/pki"
	"countersign/internal/protocol/mutualtls"
	"countersign/internal/revocation"
)

// cards are the settings of certificates with their files read; nil is none.
type cards struct {
	url         *url.URL
	authorities pki.Authorities
	sources     map[string]revocation.Source
}

// cardsOf reads the files that a checked configuration names.
func cardsOf(c config.Certificates) (*cards, error) {
	if c.Listen == "" {
		return nil, nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, err
	}
	u.Path = ""
	out := &cards{url: u, sources: map[string]revocation.Source{}}
	for _, a := range c.Authorities {
		authority := pki.Authority{Name: a.Name, Mapping: pki.Mapping(a.Mapping), Realm: a.Realm, Purpose: pki.Purpose(a.Purpose), Cards: a.Cards}
		if a.Purpose == "" {
			authority.Purpose = pki.ClientAuth
		}
		read := func(key, path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found, err := pki.ReadCertificates(text)
			if err != nil {
				return fmt.Errorf("certificates.authorities: %s of %s: %s: %w", key, a.Name, path, err)
			}
			if key == "attestation" {
				authority.Attestation = found
			} else {
				authority.Certificates = found
			}
			return nil
		}
		if err := read("file", a.File); err != nil {
			return nil, err
		}
		if a.Attestation != "" {
			if err := read("attestation", a.Attestation); err != nil {
				return nil, err
			}
		}
		out.authorities = append(out.authorities, authority)
		out.sources[a.Name] = revocation.Source{OCSP: a.OCSP, AnyNonce: a.OCSPNonce == "any", CRLs: a.CRLs}
	}
	return out, nil
}

// issuers are everybody whose lists are believed.
func (c *cards) issuers() []*x509.Certificate {
	var out []*x509.Certificate
	for _, a := range c.authorities {
		out = append(out, a.Certificates...)
	}
	return out
}

// cardSeals seal the endpoint's statements with a key of the keyring, so that any
// server of the installation reads what another one saw, and nobody else makes one.
type cardSeals struct{ keys *keyring.Keyring }

func (cardSeals) place(challenge string) keyring.AAD {
	return keyring.AAD{Table: "statement", Column: "certificate", Key: challenge}
}

func (k cardSeals) Seal(challenge string, plain []byte) []byte {
	return k.keys.Seal(keyring.Certificate, k.place(challenge), plain)
}

func (k cardSeals) Open(challenge string, sealed []byte) ([]byte, error) {
	return k.keys.Open(keyring.Certificate, k.place(challenge), sealed)
}

// cardServer is what cards are shown to, with the certificate of the server itself.
func (in *installation) cardServer(s settings, own *tls.Config) *http.Server {
	endpoint := mutualtls.New(mutualtls.Parts{Authorities: s.cards.authorities, Sources: s.cards.sources, Checker: revocation.New(s.now, s.cards.issuers()...),
		Seals: cardSeals{in.keys}, URL: s.cards.url, Pages: s.publicURL, Now: s.now})
	server := endpoint.Server(own)
	server.TLSConfig = listen.Heard(server.TLSConfig)
	return server
}

// cards is the server that cards are shown to; nil where there is none.
func (d *daemon) cards(s settings) (*http.Server, error) {
	if s.cards == nil {
		return nil, nil
	}
	c := &certificates{files: func() config.TLS { return d.file.Load().Certificates.TLS }, log: d.log}
	pair, err := c.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("certificates.tls: %w", err)
	}
	return d.in.cardServer(s, pair), nil
}
