package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
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

// Cards are the settings of certificates with their files read; nil is none.
type Cards struct {
	URL         *url.URL
	Authorities pki.Authorities
	Sources     map[string]revocation.Source
	// TLS is the one version that the listener speaks; 0 is TLS 1.3.
	TLS uint16
}

// address is where cards are shown; nil for no cards.
func (c *Cards) address() *url.URL {
	if c == nil {
		return nil
	}
	return c.URL
}

// cardsOf reads the files that a checked configuration names.
func cardsOf(c config.Certificates, log *slog.Logger) (*Cards, error) {
	if c.Listen == "" {
		return nil, nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, err
	}
	u.Path = ""
	out := &Cards{URL: u, Sources: map[string]revocation.Source{}}
	if c.TLSVersion == "1.2" {
		out.TLS = tls.VersionTLS12
	}
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
		warnOfUnhandled(authority, log)
		out.Authorities = append(out.Authorities, authority)
		out.Sources[a.Name] = revocation.Source{OCSP: a.OCSP, AnyNonce: a.OCSPNonce == "any", CRLs: a.CRLs}
	}
	return out, nil
}

// warnOfUnhandled says which certificates of an authority make it refuse everybody's card.
func warnOfUnhandled(a pki.Authority, log *slog.Logger) {
	for _, c := range a.Certificates {
		if which := pki.UnhandledIn(c); which != "" {
			log.Warn("every card below a certificate of certificates.authorities is refused, because its "+which+" cannot be handled here; put only the authorities below it into the file, if you trust them without it",
				"authority", a.Name, "subject", c.Subject.String())
		}
	}
}

// issuers are everybody whose lists are believed.
func (c *Cards) issuers() []*x509.Certificate {
	var out []*x509.Certificate
	for _, a := range c.Authorities {
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

// CardServer is what cards are shown to, with the certificate of the server itself.
func (in *Installation) CardServer(s Settings, own *tls.Config) *http.Server {
	endpoint := mutualtls.New(mutualtls.Parts{Authorities: s.Cards.Authorities, Sources: s.Cards.Sources, Checker: revocation.New(s.Now, s.Cards.issuers()...),
		Seals: cardSeals{in.Keys}, URL: s.Cards.URL, Pages: s.PublicURL, Now: s.Now, Version: s.Cards.TLS})
	server := endpoint.Server(own)
	server.TLSConfig = listen.Heard(server.TLSConfig)
	server.ErrorLog = cardFailures{s.Log, in.ears, s.Now}.logger()
	return server
}

// cards is the server that cards are shown to; nil where there is none.
func (d *daemon) cards(s Settings) (*http.Server, error) {
	if s.Cards == nil {
		return nil, nil
	}
	c := &certificates{files: func() config.TLS { return d.file.Load().Certificates.TLS }, log: d.log}
	pair, err := c.TLSConfig()
	if err != nil {
		return nil, fmt.Errorf("certificates.tls: %w", err)
	}
	return d.in.CardServer(s, pair), nil
}
