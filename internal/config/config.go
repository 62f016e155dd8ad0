// Package config reads the one configuration file, strictly.
//
// [File] describes all settings with their defaults. This package checks the form of the
// values and opens no other file; limits of single values are checked by the packages
// that use them. Invariant: an unknown or repeated setting is refused with its line, so
// that a typo never means "the default".
package config

import (
	"net"
	"net/url"
	"time"
)

// File is the whole configuration. Every part may be left out.
type File struct {
	// Listen is the address of the pages and the API, HOST:PORT. Without TLS it
	// must be on loopback, unless plain_http is set.
	Listen string `yaml:"listen"`
	// PublicURL is how browsers reach the pages, such as
	// https://login.example.org. It sets the origin and the relying party of passkeys:
	// after a change of the host, no enrolled passkey works any more. Left out, it is
	// localhost with the port of Listen, which serves browsers on the same machine.
	PublicURL string `yaml:"public_url"`
	// PlainHTTP allows an address off loopback without TLS, for a proxy on another
	// machine that terminates TLS. The traffic between them is not encrypted.
	PlainHTTP bool `yaml:"plain_http"`
	// Organisation is the name at the head and the foot of people's pages, and under mails.
	Organisation string `yaml:"organisation"`
	Brand        Brand  `yaml:"brand"`
	// TimeZone is the zone in which pages, mails and messages write their times, a name of
	// the IANA time zone database such as Europe/Berlin. It stands beside each time. What
	// programs read, the log's export among it, stays in UTC.
	TimeZone string `yaml:"time_zone"`
	// Language is that of people whose browser asks for none that is there, and of mails to people
	// who chose none: en, de, or the tag of one of Languages.
	Language string `yaml:"language"`
	// Languages are files of further languages for people's pages and mails, which
	// countersign language new writes to be filled in; one for de takes the place of ours.
	Languages []string `yaml:"languages"`
	// Data is the folder of the database, the root key and the local socket.
	Data string `yaml:"data"`
	// Database is a postgres:// URL; empty is SQLite in the data folder. A
	// password belongs in a PGPASSFILE and not here.
	Database string `yaml:"database"`
	// TrustedProxies are the networks of the proxies whose forwarded headers count.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// Metrics is the address of /metrics for Prometheus, HOST:PORT; empty serves none.
	Metrics string `yaml:"metrics"`

	TLS           TLS           `yaml:"tls"`
	Log           Log           `yaml:"log"`
	Radius        Radius        `yaml:"radius"`
	Mail          Mail          `yaml:"mail"`
	SMS           SMS           `yaml:"sms"`
	Passkeys      Passkeys      `yaml:"passkeys"`
	Certificates  Certificates  `yaml:"certificates"`
	MutualTLS     MutualTLS     `yaml:"mutual_tls"`
	Limits        Limits        `yaml:"limits"`
	Push          Push          `yaml:"push"`
	Sessions      Sessions      `yaml:"sessions"`
	Recovery      Recovery      `yaml:"recovery"`
	LocalRecovery LocalRecovery `yaml:"local_recovery"`

	Signals Signals `yaml:"signals"`

	// Events are the systems that the audit log is sent to.
	Events []Destination `yaml:"events"`
}

// Signals are how other systems are told by shared signals, and asked for theirs. The streams and
// the sources themselves are administered.
type Signals struct {
	// Inside are the networks, addresses and host names inside of the network that may be reached.
	// All others must be on the public internet.
	Inside []string `yaml:"inside"`
	// CA is a PEM file of the root certificates of those servers; empty for those of the system.
	CA string `yaml:"ca"`
}

// Brand is how the pages for people look; administrators' pages stay as they are.
type Brand struct {
	// Logo and LogoDark are files, PNG or JPEG; the second is for dark pages. The text of a logo
	// is Organisation.
	Logo     string `yaml:"logo"`
	LogoDark string `yaml:"logo_dark"`
	// Colour is #rrggbb, of buttons and links.
	Colour string `yaml:"colour"`
}

// TLS is the certificate of the pages. Both files are read again when they
// change, so that a renewal needs no restart.
type TLS struct {
	// Certificate and Key are PEM files; the certificate with its chain.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Log is the log of the server, on standard error.
type Log struct {
	// Level is debug, info, warn or error: the lowest level that is written.
	Level string `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
}

// Radius is the RADIUS server. The clients and their secrets belong to the
// applications.
type Radius struct {
	// Listen are UDP addresses such as 0.0.0.0:1812.
	Listen []string `yaml:"listen"`
}

// Mail is the server that sends notices. Without one they wait.
type Mail struct {
	// Server is HOST:PORT. Off loopback there is always TLS with it.
	Server string `yaml:"server"`
	// TLS is starttls, or implicit for a server that expects TLS from the start; empty is
	// implicit on port 465 and starttls on others, and none is needed on loopback unless
	// a username or ca is set.
	TLS string `yaml:"tls"`
	// From is the sender: an address, or Name <address>.
	From string `yaml:"from"`
	// Username and PasswordFile are the credentials for the server; both or neither.
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	// CA is a PEM file of the root certificates for the server; empty for those of the
	// system.
	CA string `yaml:"ca"`
}

// SMS is the gateway that sends codes by SMS. Without a URL no codes are sent. In Fields,
// Body and Value, {number} and {text} are replaced by the telephone number and the message,
// and {secret} by the first line of SecretFile.
type SMS struct {
	// URL is the gateway's: https, or http on loopback.
	URL string `yaml:"url"`
	// Method is POST, or GET with Fields in the query.
	Method string `yaml:"method"`
	// Format of the request is json (an object of strings) or form.
	Format string `yaml:"format"`
	// Fields are sent.
	Fields map[string]string `yaml:"fields"`
	// Body is a JSON document that is sent instead of Fields.
	Body string `yaml:"body"`
	// Number is the form of telephone numbers: plus (+4930...), zeros (004930...) or
	// digits (4930...).
	Number string `yaml:"number"`
	// Accepted is a regular expression (RE2) that matches the body of an answer if the
	// message was accepted; if it is empty, only the status counts.
	Accepted string `yaml:"accepted"`
	// Header and Value authenticate the request.
	Header     string `yaml:"header"`
	Value      string `yaml:"value"`
	SecretFile string `yaml:"secret_file"`
}

// Passkeys are the requirements for passkeys and security keys, both enrolled and new.
type Passkeys struct {
	// Attestation is none or direct: whether a new key must send an attestation of its
	// model.
	Attestation string `yaml:"attestation"`
	// RequireAttested refuses keys without a verified attestation.
	RequireAttested bool `yaml:"require_attested"`
	// Allow are the accepted models (AAGUIDs), empty for all; Deny are refused models.
	Allow []string `yaml:"allow"`
	Deny  []string `yaml:"deny"`
	// BackupEligible is allow or deny, for keys that can be copied between devices.
	BackupEligible string `yaml:"backup_eligible"`
	// UserVerification is required, or preferred: then a key without a PIN or biometric is
	// one factor, held.
	UserVerification string `yaml:"user_verification"`
	// SignatureCounter is refuse or accept, for a key whose counter did not advance, which
	// is a sign of a copy: accept only writes it into the log.
	SignatureCounter string `yaml:"signature_counter"`
	// Metadata is a file of the FIDO Metadata Service (the signed BLOB); MetadataRoot is
	// the PEM file of the root certificate that its chain must end in. Both or neither.
	Metadata     string `yaml:"metadata"`
	MetadataRoot string `yaml:"metadata_root"`
	// MetadataSigner is the DNS name in the certificate that signs it; empty for any, if the
	// root certifies nothing else.
	MetadataSigner string `yaml:"metadata_signer"`
}

// Certificates are smart cards and other client certificates that people sign in with.
// They have a listener and a host name of their own, because a browser selects a
// certificate for a whole host name. A proxy in front of it must pass TLS through.
type Certificates struct {
	// Listen is HOST:PORT; empty for no client certificates.
	Listen string `yaml:"listen"`
	// PublicURL is how browsers reach it, such as https://card.example.org:8443.
	PublicURL string `yaml:"public_url"`
	// TLS is the server certificate of that host name.
	TLS TLS `yaml:"tls"`
	// TLSVersion is the one version of TLS that it speaks: "1.3", or "1.2" for cards that
	// cannot sign by RSA-PSS. Empty is 1.3.
	TLSVersion string `yaml:"tls_version"`
	// Authorities are those that issue people's certificates.
	Authorities []CertificateAuthority `yaml:"authorities"`
}

// CertificateAuthority is one that issues people's certificates.
type CertificateAuthority struct {
	// Name must stay the same: enrolled certificates are bound to it.
	Name string `yaml:"name"`
	// File is a PEM file of its root certificate and all intermediate certificates.
	File string `yaml:"file"`
	// Mapping is the field that binds a certificate to an account: issuer-serial, upn or
	// email.
	Mapping string `yaml:"mapping"`
	// Realm is the part of user principal names after the account's name and the @; empty
	// if account names are whole user principal names.
	Realm string `yaml:"realm"`
	// Purpose is the extended key usage that certificates must have: client-auth (the
	// default) or smartcard-logon.
	Purpose string `yaml:"purpose"`
	// Cards declares that it certifies only keys that were generated on a card and need
	// its PIN. This is not checked: set it only if you know it of the authority.
	Cards bool `yaml:"cards"`
	// OCSP is the URL of a responder, CRLs are URLs or files. Set at least one; all that
	// are set must report a certificate as good.
	OCSP string   `yaml:"ocsp"`
	CRLs []string `yaml:"crls"`
	// OCSPNonce is required (the default), or any for a responder that signs its responses
	// in advance.
	OCSPNonce string `yaml:"ocsp_nonce"`
	// Attestation is a PEM file of the root certificates of manufacturers that attest the
	// keys of cards.
	Attestation string `yaml:"attestation"`
}

// MutualTLS is where OAuth clients show certificates of their own (RFC 8705): on a listener of
// ours, or to a trusted proxy that hands them on in a header. Browsers are not asked for one there.
type MutualTLS struct {
	// PublicURL is how clients reach it, such as https://clients.example.org: another address than
	// that of the pages, or empty where a proxy takes certificates at the pages' own.
	PublicURL string `yaml:"public_url"`
	// Listen is HOST:PORT; empty for no listener of ours.
	Listen string `yaml:"listen"`
	// TLS is the server certificate of that listener.
	TLS TLS `yaml:"tls"`
	// Header is what a trusted proxy puts the certificate into; empty believes none.
	Header string `yaml:"header"`
}

// Limits are those of the engine. A limit that is left out has its default, and each has a
// maximum: a greater value is refused.
type Limits struct {
	NextCode        int      `yaml:"next_code"`
	Delay           int      `yaml:"delay"`
	Disable         int      `yaml:"disable"`
	PerAccount      int      `yaml:"per_account"`
	PerSource       int      `yaml:"per_source"`
	PerInstallation int      `yaml:"per_installation"`
	Tries           int      `yaml:"tries"`
	Attempt         Duration `yaml:"attempt"`
	Dormant         Duration `yaml:"dormant"`
	Quarantine      Duration `yaml:"quarantine"`
	// Unanswered, PushSoon and PushDaily can only be made smaller.
	Unanswered int `yaml:"unanswered"`
	PushSoon   int `yaml:"push_soon"`
	PushDaily  int `yaml:"push_daily"`
	// PINDigits is the least number of digits in the PIN of a token: 4 unless set, 16 at
	// most. SP 800-63B-4 read literally requires 8.
	PINDigits int `yaml:"pin_digits"`
}

// Push is when push messages are sent to apps.
type Push struct {
	// QuietHours are those of everybody who has neither set their own nor chosen none.
	QuietHours QuietHours `yaml:"quiet_hours"`
	// Subject is whom push services turn to, a mailto: or https: address; empty is
	// public_url. Some services refuse one that is not on the internet.
	Subject string `yaml:"subject"`
}

// QuietHours are hours of each day, twelve at most: all three settings or none.
type QuietHours struct {
	// Begins and Ends are times such as 22:00.
	Begins string `yaml:"begins"`
	Ends   string `yaml:"ends"`
	// Zone is a name of the IANA time zone database, such as Europe/Berlin.
	Zone string `yaml:"zone"`
}

// Sessions are the overall and the inactivity timeouts of sessions. They can be shortened
// and not lengthened (SP 800-63B-4 section 2).
type Sessions struct {
	AAL2     Duration `yaml:"aal2"`
	AAL2Idle Duration `yaml:"aal2_idle"`
	AAL3     Duration `yaml:"aal3"`
	AAL3Idle Duration `yaml:"aal3_idle"`
	// EndIdle has applications and other systems be told of a session that was idle for too long.
	EndIdle bool `yaml:"end_idle"`
}

// Recovery is how people recover an account when they lost their authenticators.
type Recovery struct {
	// Wait is how long an owner can object before a recovery by the help desk or by codes
	// continues: 24h unless set, 168h at most. With 0s nobody waits; coverage lists that as
	// an exception.
	Wait Duration `yaml:"wait"`
}

// LocalRecovery lets the operator of this machine issue a pass for an administrator without
// signing in, for when no administrator can sign in. While it is on, coverage lists it as
// an exception, and every use is notified to every administrator.
type LocalRecovery struct {
	// Until is its end, 31 days ahead at most: 2026-12-01 or 2026-12-01T12:00:00Z. Empty
	// is off.
	Until  string `yaml:"until"`
	Reason string `yaml:"reason"`
}

// Sockets returns the addresses at which protocols listen, by the protocol's name.
func (c File) Sockets() map[string][]string { return map[string][]string{"radius": c.Radius.Listen} }

const day = 24 * time.Hour

// Default is the configuration of a machine that has only this binary, without a file.
func Default() File {
	c := blank()
	c.fill()
	return c
}

// fill derives what was left out from what was not.
func (c *File) fill() {
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil || c.PublicURL != "" {
		return
	}
	scheme, usual := "http", "80"
	if c.TLS.Certificate != "" {
		scheme, usual = "https", "443"
	}
	c.PublicURL = scheme + "://localhost"
	if port != usual { // browsers leave the usual one out, and passkeys are for what browsers say
		c.PublicURL += ":" + port
	}
}

// Local reports whether browsers on other machines have no address of this server, because
// its public address names this machine by a name that means another one there.
func (c File) Local() bool {
	u, err := url.Parse(c.PublicURL)
	return err == nil && (u.Hostname() == "localhost" || Loopback(net.JoinHostPort(u.Hostname(), "0")))
}

// blank has the defaults that depend on nothing else.
func blank() File {
	return File{
		Listen: "127.0.0.1:8080", Data: "countersign-data",
		Log:      Log{Level: "info", Format: "text"},
		SMS:      SMS{Method: "POST", Format: "json", Fields: map[string]string{}, Number: "plus"},
		Passkeys: Passkeys{Attestation: "none", BackupEligible: "allow", UserVerification: "required", SignatureCounter: "refuse", MetadataSigner: "mds.fidoalliance.org"},
		Limits: Limits{NextCode: 3, Delay: 5, Disable: 20, PerAccount: 30, PerSource: 100, PerInstallation: 2000, Tries: 8,
			Attempt: Duration(10 * time.Minute), Dormant: Duration(30 * day), Quarantine: Duration(day),
			Unanswered: 10, PushSoon: 3, PushDaily: 10},
		Recovery: Recovery{Wait: Duration(day)},
		Sessions: Sessions{AAL2: Duration(day), AAL2Idle: Duration(time.Hour), AAL3: Duration(12 * time.Hour), AAL3Idle: Duration(15 * time.Minute)},
	}
}

// End returns when local recovery ends, in UTC unless written otherwise; zero when it is off.
func (l LocalRecovery) End() time.Time {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, l.Until); err == nil {
			return t
		}
	}
	return time.Time{}
}

// Open reports whether local recovery is on.
func (l LocalRecovery) Open(now time.Time) bool { return l.Until != "" && now.Before(l.End()) }
