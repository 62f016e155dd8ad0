package server

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"countersign/internal/approval"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/authenticator/pin"
	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/outside"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/store"
	"countersign/internal/throttle"
	"countersign/internal/web/look"
	"countersign/internal/webpush"
)

// Settings are what an installation is made with: the configuration with its
// texts read. The zero values of passkeys, limits and sessions are the defaults.
type Settings struct {
	Folder       string // where the database and the root key are
	Database     string // a postgres:// URL, or empty for SQLite in the folder
	PublicURL    *url.URL
	Organisation string
	Brand        look.Brand // how people's pages look
	Proxies      []netip.Prefix
	Listen       string        // where our own pages are served, for what shows others how to ask
	TLS          bool          // they are served with a certificate
	Protocols    protocol.List // nil is every one there is
	More         []Kind        // of authenticators, beside those there are
	Passkeys     passkey.Options
	Cards        *Cards
	Mutual       *url.URL // where clients show certificates of their own; nil is nowhere
	// CertificateHeader is that in which trusted proxies hand on a client's certificate; empty
	// believes none.
	CertificateHeader string
	// Languages are what people are spoken to in; nil is English and German.
	Languages *language.Shelf
	SMS       *notify.Gateway // nil is none
	Mails     bool            // there is a mail server
	// Mail is the mail server as it is configured at this moment; nil is none.
	Mail      func() config.Mail
	Demo      bool // it is a demonstration's: nothing else is opened
	Limits    throttle.Limits
	Sessions  session.Limits
	Quiet     approval.QuietHours // of everybody who has not set their own
	PINDigits int                 // the least of a new PIN; 0 is the default
	// Recovery is read each time it matters; nil is off.
	Recovery func() config.LocalRecovery
	// Wait is how long owners can object to a recovery; nil is the default.
	Wait *time.Duration
	// Push is how push services are reached, and PushSubject whom they turn to; empty is
	// the public address.
	Push webpush.Options
	// Abroad reaches servers of others in a test; nil connects to public addresses alone.
	Abroad      http.RoundTripper
	PushSubject string
	// Driver is the database/sql driver; empty is the usual one.
	Driver string
	// Events are where the audit log is sent.
	Events []config.Destination
	// SignalsInside is what streams and sources of signals may reach inside of the network, and
	// SignalsCA the file of root certificates of their servers; empty is those of the system.
	SignalsInside outside.Listed
	SignalsCA     string
	// Version is the program's, for those who monitor it.
	Version string
	Now     func() time.Time
	Log     *slog.Logger
}

// SettingsOf reads the texts of a configuration that was checked, and the files
// that it names.
func SettingsOf(c config.File, log *slog.Logger) (Settings, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return Settings{}, err
	}
	u.Path = ""
	proxies, err := c.Proxies()
	if err != nil {
		return Settings{}, err
	}
	if c.Database != "" {
		if err := store.CheckURL(c.Database); err != nil {
			return Settings{}, fmt.Errorf("database: %w", err)
		}
	}
	zone, err := c.Zone()
	if err != nil {
		return Settings{}, err
	}
	s := Settings{Folder: c.Data, Database: c.Database, PublicURL: u, Organisation: c.Organisation, Proxies: proxies, Now: func() time.Time { return time.Now().In(zone) }, Log: log,
		Listen: c.Listen, TLS: c.TLS.Certificate != ""}
	if s.Brand, err = brandOf(c.Brand, log); err != nil {
		return Settings{}, err
	}
	l, d := c.Limits, func(d config.Duration) time.Duration { return time.Duration(d) }
	s.Limits = throttle.Limits{NextCode: l.NextCode, Delay: l.Delay, Disable: l.Disable, PerAccount: l.PerAccount, PerSource: l.PerSource,
		PerInstallation: l.PerInstallation, Tries: l.Tries, Attempt: d(l.Attempt), Dormant: d(l.Dormant), Quarantine: d(l.Quarantine),
		Unanswered: l.Unanswered, PushSoon: l.PushSoon, PushDaily: l.PushDaily}
	s.Mails = c.Mail.Server != ""
	if s.Languages, err = LanguagesOf(c, log); err != nil {
		return Settings{}, err
	}
	s.Sessions = session.Limits{Overall2: d(c.Sessions.AAL2), Idle2: d(c.Sessions.AAL2Idle), Overall3: d(c.Sessions.AAL3), Idle3: d(c.Sessions.AAL3Idle), EndIdle: c.Sessions.EndIdle}
	if s.Quiet, err = quietOf(c.Push.QuietHours); err != nil {
		return Settings{}, err
	}
	wait := d(c.Recovery.Wait)
	s.Wait = &wait
	s.PINDigits, s.PushSubject = l.PINDigits, c.Push.Subject
	if err := pin.CheckLeast(s.PINDigits); err != nil {
		return Settings{}, fmt.Errorf("limits.pin_digits: %w", err)
	}
	p := c.Passkeys
	s.Passkeys = passkey.Options{Attestation: p.Attestation, RequireAttested: p.RequireAttested, AllowAAGUIDs: p.Allow, DenyAAGUIDs: p.Deny, BackupEligible: p.BackupEligible,
		UserVerification: p.UserVerification, CounterRegression: p.SignatureCounter}
	if s.Passkeys.MDS, err = metadata(p, log); err != nil {
		return s, err
	}
	s.SMS = GatewayOf(c.SMS)
	if _, err := destinations(c.Events, Origin{}); err != nil {
		return s, err
	}
	s.Events = c.Events
	if s.SignalsInside, err = outside.List(c.Signals.Inside); err != nil {
		return s, fmt.Errorf("signals.inside: %w", err)
	}
	s.SignalsCA = c.Signals.CA
	warnOfPlain(c.Events, log)
	s.CertificateHeader = c.MutualTLS.Header
	if s.Mutual, err = mutualOf(c.MutualTLS, u); err != nil {
		return s, err
	}
	s.Cards, err = cardsOf(c.Certificates, log)
	return s, err
}

// quietOf reads everybody's quiet hours; nothing written is none.
func quietOf(c config.QuietHours) (approval.QuietHours, error) {
	if c == (config.QuietHours{}) {
		return approval.QuietHours{}, nil
	}
	q, err := approval.ReadQuietHours(c.Begins, c.Ends, c.Zone)
	if err != nil {
		return q, fmt.Errorf("push.quiet_hours: %s", failure.Public(err))
	}
	return q, nil
}

// metadata reads what the FIDO Metadata Service says; nil when nothing is named.
func metadata(p config.Passkeys, log *slog.Logger) (*passkey.Metadata, error) {
	if p.Metadata == "" {
		return nil, nil
	}
	text, err := os.ReadFile(p.MetadataRoot)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("passkeys.metadata_root: %s holds no PEM certificate", p.MetadataRoot)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("passkeys.metadata_root: %w", err)
	}
	m, err := passkey.NewMetadata(passkey.MetadataSource{Roots: []*x509.Certificate{root}, Signer: p.MetadataSigner})
	if err != nil {
		return nil, err
	}
	blob, err := os.ReadFile(p.Metadata)
	if err != nil {
		return nil, err
	}
	loaded, err := m.Load(blob, 0, time.Now())
	if err != nil {
		return nil, fmt.Errorf("passkeys.metadata: %w", err)
	}
	if time.Now().After(loaded.NextUpdate) {
		log.Warn("the file of passkeys.metadata is out of date: it knows nothing of newer models and of newer reports about models; fetch the present one", "number", loaded.Number, "next_update", loaded.NextUpdate)
	}
	return m, nil
}

// Check says why a server would not start with a configuration, as far as that can be
// said without touching the data folder. The log has what it would warn of.
func Check(file config.File, log *slog.Logger) error {
	s, err := SettingsOf(file, log)
	if err == nil {
		_, err = s.Limits.Check()
	}
	if err == nil {
		_, err = Kinds(s, nil, nil)
	}
	for _, pair := range []struct {
		listens bool
		files   config.TLS
	}{{file.TLS.Certificate != "", file.TLS}, {file.Certificates.Listen != "", file.Certificates.TLS}, {file.MutualTLS.Listen != "", file.MutualTLS.TLS}} {
		if err == nil && pair.listens {
			_, err = (&certificates{files: func() config.TLS { return pair.files }}).TLSConfig()
		}
	}
	return err
}
