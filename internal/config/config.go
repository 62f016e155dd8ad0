// Package config reads the one configuration file, strictly.
//
// [File] describes all settings with their defaults. This package checks the form of the
// values and opens no other file; limits of single values are checked by the packages
// that use them. Invariant: an unknown or repeated setting is refused with its line, so
// that a typo never means "the default".
package config

import (
	"time"
)

// File is the whole configuration. Every part may be left out.
type File struct {
	// Listen is the address of the pages and the API, HOST:PORT. Without TLS it
	// must be on loopback, or plain_http must say so.
	Listen string `yaml:"listen"`
	// PublicURL is how browsers reach the pages, such as
	// https://login.example.org. It decides the origin and the relying party of
	// passkeys: changing the host orphans every enrolled passkey.
	PublicURL string `yaml:"public_url"`
	// PlainHTTP allows an address off loopback without TLS: for a proxy on
	// another machine that brings TLS itself. Everything between is readable.
	PlainHTTP bool `yaml:"plain_http"`
	// Organisation is the name in the foot of each page.
	Organisation string `yaml:"organisation"`
	// Data is the folder of the database, the root key and the local socket.
	Data string `yaml:"data"`
	// Database is a postgres:// URL; empty is SQLite in the data folder. A
	// password is better kept in a PGPASSFILE than here.
	Database string `yaml:"database"`
	// TrustedProxies are the networks whose forwarded headers are believed.
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
	Limits        Limits        `yaml:"limits"`
	Push          Push          `yaml:"push"`
	Sessions      Sessions      `yaml:"sessions"`
	Recovery      Recovery      `yaml:"recovery"`
	LocalRecovery LocalRecovery `yaml:"local_recovery"`
}

// TLS is the certificate of the pages. Both files are read again when they
// change, so that a renewal needs no restart.
type TLS struct {
	// Certificate and Key are PEM files; the certificate with its chain.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// Log is what is written to standard error.
type Log struct {
	// Level is debug, info, warn or error.
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

// Mail is how notices are sent. Without a server they wait.
type Mail struct {
	// Server is HOST:PORT. Off loopback there is always TLS with it.
	Server string `yaml:"server"`
	// TLS is starttls, or implicit for a server that expects TLS from the start; empty is
	// implicit on port 465 and starttls on others, and none is needed on loopback unless
	// a username or ca is set.
	TLS string `yaml:"tls"`
	// From is the sender: an address, or Name <address>.
	From string `yaml:"from"`
	// Username and PasswordFile sign in to the server; both or neither.
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	// CA is a PEM file of the roots that vouch for the server; the system's when
	// empty.
	CA string `yaml:"ca"`
}

// SMS is the service that sends codes by SMS. Without a URL there are none. In Fields,
// Body and Value, {number} and {text} stand for what they say, and {secret} for the first
// line of SecretFile.
type SMS struct {
	// URL is asked: https, or http on loopback.
	URL string `yaml:"url"`
	// Method is POST, or GET with Fields in the query.
	Method string `yaml:"method"`
	// Format is json, an object of strings, or form.
	Format string `yaml:"format"`
	// Fields are what is sent.
	Fields map[string]string `yaml:"fields"`
	// Body is a JSON document that is sent in place of Fields.
	Body string `yaml:"body"`
	// Number is the form of telephone numbers: plus (+4930...), zeros (004930...) or
	// digits (4930...).
	Number string `yaml:"number"`
	// Accepted is a regular expression (RE2) that an answer's body matches when the
	// message was accepted; empty looks at the status alone.
	Accepted string `yaml:"accepted"`
	// Header and Value sign in.
	Header     string `yaml:"header"`
	Value      string `yaml:"value"`
	SecretFile string `yaml:"secret_file"`
}

// Passkeys are the requirements for passkeys and security keys, old and new.
type Passkeys struct {
	// Attestation is none or direct: whether a new key is asked for its make.
	Attestation string `yaml:"attestation"`
	// RequireAttested refuses keys whose make is not proven.
	RequireAttested bool `yaml:"require_attested"`
	// Allow are the only models accepted (AAGUIDs), when there are any; Deny are
	// models refused.
	Allow []string `yaml:"allow"`
	Deny  []string `yaml:"deny"`
	// BackupEligible is allow or deny: keys that can be copied between devices.
	BackupEligible string `yaml:"backup_eligible"`
	// Metadata is a file of the FIDO Metadata Service (the signed BLOB);
	// MetadataRoot is the PEM certificate it must hang from. Both or neither.
	Metadata     string `yaml:"metadata"`
	MetadataRoot string `yaml:"metadata_root"`
	// MetadataSigner is the DNS name of who signs it; empty suits a root that
	// certifies nothing else.
	MetadataSigner string `yaml:"metadata_signer"`
}

// Certificates are smart cards and other certificates that people sign in with.
// They are shown on a listener and a name of their own, because a browser asks for
// one for a whole name. No proxy can stand in front of it but one that passes TLS
// through.
type Certificates struct {
	// Listen is HOST:PORT; empty is no certificates at all.
	Listen string `yaml:"listen"`
	// PublicURL is how browsers reach it, such as https://card.example.org:8443.
	PublicURL string `yaml:"public_url"`
	// TLS is the certificate of that name.
	TLS TLS `yaml:"tls"`
	// Authorities are who certifies people.
	Authorities []CertificateAuthority `yaml:"authorities"`
}

// CertificateAuthority is one that certifies people.
type CertificateAuthority struct {
	// Name stays the same: what was enrolled is bound to it.
	Name string `yaml:"name"`
	// File is its root in PEM, and every authority between it and people.
	File string `yaml:"file"`
	// Mapping is what binds a certificate to an account: issuer-serial, upn or email.
	Mapping string `yaml:"mapping"`
	// Realm is what follows the account's name and an @ in user principal names;
	// empty where an account's name is a whole one.
	Realm string `yaml:"realm"`
	// Purpose is what certificates must be made for: client-auth (the default) or
	// smartcard-logon.
	Purpose string `yaml:"purpose"`
	// Cards says that it certifies only keys that were made on a card and are used
	// behind its PIN. Nobody checks that: it is for authorities of which it is known.
	Cards bool `yaml:"cards"`
	// OCSP is a responder's address, CRLs are addresses or files. At least one of
	// them; all that are set must say that a certificate is good.
	OCSP string   `yaml:"ocsp"`
	CRLs []string `yaml:"crls"`
	// OCSPNonce is required (the default), or any for a responder that signs its
	// answers in advance.
	OCSPNonce string `yaml:"ocsp_nonce"`
	// Attestation is a PEM file of the roots of makers that attest a card's keys.
	Attestation string `yaml:"attestation"`
}

// Limits are the engine's numbers. What is left out takes its default; each has
// a ceiling that no setting passes.
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
	// PINDigits is how many digits the PIN of a token must have: 4 unless set, 16
	// at most. SP 800-63B-4 by the letter is 8.
	PINDigits int `yaml:"pin_digits"`
}

// Push is when apps are woken.
type Push struct {
	// QuietHours are those of everybody who has not set their own, or said none.
	QuietHours QuietHours `yaml:"quiet_hours"`
}

// QuietHours are hours of each day, twelve at most: all three words or none.
type QuietHours struct {
	// Begins and Ends are times such as 22:00.
	Begins string `yaml:"begins"`
	Ends   string `yaml:"ends"`
	// Zone is a name of the IANA time zone database, such as Europe/Berlin.
	Zone string `yaml:"zone"`
}

// Sessions are how long a session lives, altogether and unused. They can be
// shortened, never lengthened (SP 800-63B-4 section 2).
type Sessions struct {
	AAL2     Duration `yaml:"aal2"`
	AAL2Idle Duration `yaml:"aal2_idle"`
	AAL3     Duration `yaml:"aal3"`
	AAL3Idle Duration `yaml:"aal3_idle"`
}

// Recovery is how people get back in who lost what they sign in with.
type Recovery struct {
	// Wait is how long an owner has to object before somebody who was let back in by
	// the help desk, or by codes, can go on: 24h unless set, 168h at most. With 0s
	// nobody waits; coverage lists that as an exception.
	Wait Duration `yaml:"wait"`
}

// LocalRecovery lets whoever holds this machine issue a pass for an
// administrator without signing in: for when no administrator can. While it is
// on, coverage lists it as an exception, and every use is told to every
// administrator.
type LocalRecovery struct {
	// Until ends it by itself, 30 days ahead at most: 2026-12-01 or
	// 2026-12-01T12:00:00Z. Empty is off.
	Until  string `yaml:"until"`
	Reason string `yaml:"reason"`
}

// Sockets returns the addresses at which protocols listen, by the protocol's name.
func (c File) Sockets() map[string][]string { return map[string][]string{"radius": c.Radius.Listen} }

const day = 24 * time.Hour

// Default is the configuration of a machine that has only this binary.
func Default() File {
	return File{
		Listen: "127.0.0.1:8080", PublicURL: "http://localhost:8080", Data: "countersign-data",
		Log:      Log{Level: "info", Format: "text"},
		SMS:      SMS{Method: "POST", Format: "json", Fields: map[string]string{}, Number: "plus"},
		Passkeys: Passkeys{Attestation: "none", BackupEligible: "allow", MetadataSigner: "mds.fidoalliance.org"},
		Limits: Limits{NextCode: 3, Delay: 5, Disable: 20, PerAccount: 30, PerSource: 100, PerInstallation: 2000, Tries: 8,
			Attempt: Duration(10 * time.Minute), Dormant: Duration(30 * day), Quarantine: Duration(day),
			Unanswered: 10, PushSoon: 3, PushDaily: 10},
		Recovery: Recovery{Wait: Duration(day)},
		Sessions: Sessions{AAL2: Duration(day), AAL2Idle: Duration(time.Hour), AAL3: Duration(12 * time.Hour), AAL3Idle: Duration(15 * time.Minute)},
	}
}

// End is when local recovery ends; zero when it is off.
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
