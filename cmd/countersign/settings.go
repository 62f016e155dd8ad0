package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"time"

	"countersign/internal/authenticator/passkey"
	"countersign/internal/authenticator/pin"
	"countersign/internal/config"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/throttle"
	"countersign/internal/webpush"
)

// settings are what an installation is made with: the configuration with its
// texts read. The zero values of passkeys, limits and sessions are the defaults.
type settings struct {
	folder       string // where the database and the root key are
	database     string // a postgres:// URL, or empty for SQLite in the folder
	publicURL    *url.URL
	organisation string
	proxies      []netip.Prefix
	protocols    protocol.List // nil is every one there is
	more         []kind        // of authenticators, beside those there are
	passkeys     passkey.Options
	cards        *cards
	sms          *notify.Gateway // nil is none
	mails        bool            // there is a mail server
	limits       throttle.Limits
	sessions     session.Limits
	quiet        signin.QuietHours // of everybody who has not set their own
	pinDigits    int               // the least of a new PIN; 0 is the default
	// recovery is read each time it matters; nil is off.
	recovery func() config.LocalRecovery
	// wait is how long owners can object to a recovery; nil is the default.
	wait *time.Duration
	// push is how push services are reached.
	push webpush.Options
	// driver is the database/sql driver; empty is the usual one.
	driver string
	// version is the program's, for those who monitor it.
	version string
	now     func() time.Time
	log     *slog.Logger
}

// settingsOf reads the texts of a configuration that was checked, and the files
// that it names.
func settingsOf(c config.File, log *slog.Logger) (settings, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return settings{}, err
	}
	u.Path = ""
	proxies, err := c.Proxies()
	if err != nil {
		return settings{}, err
	}
	s := settings{folder: c.Data, database: c.Database, publicURL: u, organisation: c.Organisation, proxies: proxies, now: time.Now, log: log}
	l, d := c.Limits, func(d config.Duration) time.Duration { return time.Duration(d) }
	s.limits = throttle.Limits{NextCode: l.NextCode, Delay: l.Delay, Disable: l.Disable, PerAccount: l.PerAccount, PerSource: l.PerSource,
		PerInstallation: l.PerInstallation, Tries: l.Tries, Attempt: d(l.Attempt), Dormant: d(l.Dormant), Quarantine: d(l.Quarantine),
		Unanswered: l.Unanswered, PushSoon: l.PushSoon, PushDaily: l.PushDaily}
	s.mails = c.Mail.Server != ""
	s.sessions = session.Limits{Overall2: d(c.Sessions.AAL2), Idle2: d(c.Sessions.AAL2Idle), Overall3: d(c.Sessions.AAL3), Idle3: d(c.Sessions.AAL3Idle)}
	if s.quiet, err = quietOf(c.Push.QuietHours); err != nil {
		return settings{}, err
	}
	wait := d(c.Recovery.Wait)
	s.wait = &wait
	s.pinDigits = l.PINDigits
	if err := pin.CheckLeast(s.pinDigits); err != nil {
		return settings{}, fmt.Errorf("limits.pin_digits: %w", err)
	}
	p := c.Passkeys
	s.passkeys = passkey.Options{Attestation: p.Attestation, RequireAttested: p.RequireAttested, AllowAAGUIDs: p.Allow, DenyAAGUIDs: p.Deny, BackupEligible: p.BackupEligible}
	if s.passkeys.MDS, err = metadata(p); err != nil {
		return s, err
	}
	s.sms = gatewayOf(c.SMS)
	s.cards, err = cardsOf(c.Certificates)
	return s, err
}

// quietOf reads everybody's quiet hours; nothing written is none.
func quietOf(c config.QuietHours) (signin.QuietHours, error) {
	if c == (config.QuietHours{}) {
		return signin.QuietHours{}, nil
	}
	q, err := signin.ReadQuietHours(c.Begins, c.Ends, c.Zone)
	if err != nil {
		return q, fmt.Errorf("push.quiet_hours: %s", failure.Public(err))
	}
	return q, nil
}

// metadata reads what the FIDO Metadata Service says; nil when nothing is named.
func metadata(p config.Passkeys) (*passkey.Metadata, error) {
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
	if _, err := m.Load(blob, 0, time.Now()); err != nil {
		return nil, fmt.Errorf("passkeys.metadata: %w", err)
	}
	return m, nil
}

// check says why a server would not start with a configuration, as far as that can be
// said without touching the data folder.
func check(file config.File) error {
	s, err := settingsOf(file, slog.New(slog.DiscardHandler))
	if err == nil {
		_, err = s.limits.Check()
	}
	if err == nil {
		_, err = allKinds(s, nil)
	}
	for _, pair := range []struct {
		listens bool
		files   config.TLS
	}{{file.TLS.Certificate != "", file.TLS}, {file.Certificates.Listen != "", file.Certificates.TLS}} {
		if err == nil && pair.listens {
			_, err = (&certificates{files: func() config.TLS { return pair.files }}).tlsConfig()
		}
	}
	return err
}
