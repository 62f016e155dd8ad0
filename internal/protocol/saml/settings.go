// Package saml is a SAML 2.0 identity provider: an application sends a browser with a request,
// and gets it back with a signed assertion of who signed in and how.
//
// It owns the settings of such an application, the two bindings, what classes of
// authentication mean in evidence, and what is asserted. It does not decide: signin does, over
// what the session holds. Its neighbours are message, which reads and writes XML, and
// participant, which keeps who was told. Its one invariant: an assertion is made of a Grant
// for exactly that application, answers a request once, and goes to an address that an
// administrator registered.
package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/metadata"
	"countersign/internal/protocol/saml/message"
)

// Protocol is the word for it in an application.
const Protocol = "saml"

// Settings are an application's: a service provider's, in SAML's words.
type Settings struct {
	// Metadata is its metadata as a text, in lines. What the settings below do not say of its
	// entity ID, addresses and certificates is taken from it.
	Metadata []string `json:"metadata,omitempty"`
	// MetadataURL is where its metadata is read daily, signed by one of the certificates in
	// MetadataPins, each whole or by its SHA-256. What the settings below do not say is taken from it,
	// but for the entity ID. Inside lists where it may lead inside the network.
	MetadataURL  string   `json:"metadata_url,omitempty"`
	MetadataPins []string `json:"metadata_pins,omitempty"`
	// Entity is its entity ID: what it calls itself by.
	Entity string `json:"entity_id,omitempty"`
	// Consumers are its assertion consumer services, which take responses by POST, the first
	// being the usual one; at least one.
	Consumers []Consumer `json:"consumers,omitempty"`
	// Certificates are of the keys that its requests are signed with, as PEM or as lines of
	// base64. Where there is one, requests must be signed, unless Unsigned is "accept".
	Certificates []string `json:"certificates,omitempty"`
	Unsigned     string   `json:"unsigned,omitempty"`
	// Encryption is the certificate that assertions are encrypted to; empty does not encrypt.
	Encryption []string `json:"encryption,omitempty"`
	// Logout is where it is told that a session has ended, and LogoutBinding by what:
	// "redirect", or "post" where it is empty.
	Logout        string `json:"logout,omitempty"`
	LogoutBinding string `json:"logout_binding,omitempty"`
	// LogoutSOAP is where it is told without a browser that a session has ended (SAML bindings,
	// section 3.2), and Inside lists the networks, addresses and host names inside the network to
	// which that may lead.
	LogoutSOAP string   `json:"logout_soap,omitempty"`
	Inside     []string `json:"inside,omitempty"`
	// Name is what it calls people by: [NamePersistent] (or empty), [NameTransient],
	// [NameMail] or [NameAccount].
	Name string `json:"name,omitempty"`
	// Attributes are what it is told of people beside that, and Groups the groups that it may
	// be told; all where it is empty.
	Attributes []Attribute `json:"attributes,omitempty"`
	Groups     []string    `json:"groups,omitempty"`
	// Start says that people may begin at our own pages ("ours"), where the request is not the
	// application's; or the address of a page of its own at which they begin; or nothing.
	Start string `json:"start,omitempty"`
	// Hours is how long its own session may last: 1 to 24, 8 where it is zero.
	Hours int `json:"hours,omitempty"`
	// Sessions is [application.BoundSessions] for an application that takes sessions alone that are
	// bound to their device, or empty.
	Sessions string `json:"sessions,omitempty"`
}

// Consumer is an assertion consumer service.
type Consumer struct {
	URL string `json:"url"`
	// Index is the number that requests may call it by.
	Index int `json:"index,omitempty"`
}

// Attribute is something that is told.
type Attribute struct {
	// What is [AttributeMail], [AttributeDisplay], [AttributeAccount] or [AttributeGroups].
	What string `json:"what"`
	// As is the attribute's name; empty is the usual one.
	As string `json:"as,omitempty"`
}

// The values of [Settings.Name], [Settings.Unsigned], [Settings.Start] and [Attribute.What].
const (
	NamePersistent = "persistent"
	NameTransient  = "transient"
	NameMail       = "mail"
	NameAccount    = "account"

	AcceptUnsigned = "accept"
	StartOurs      = "ours"

	AttributeMail    = "mail"
	AttributeDisplay = "display-name"
	AttributeAccount = "account"
	AttributeGroups  = "groups"

	redirect = "redirect"
	post     = "post"
)

// usual are the usual names of attributes (X.500/LDAP attribute profile, and eduPerson), with
// what people call them.
var usual = map[string][2]string{
	AttributeMail:    {"urn:oid:0.9.2342.19200300.100.1.3", "mail"},
	AttributeDisplay: {"urn:oid:2.16.840.1.113730.3.1.241", "displayName"},
	AttributeAccount: {"urn:oid:0.9.2342.19200300.100.1.1", "uid"},
	AttributeGroups:  {"urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "isMemberOf"},
}

// formats are what the names of people are called in messages.
var formats = map[string]string{
	NamePersistent: message.FormatPersistent, NameTransient: message.FormatTransient, NameMail: message.FormatMail, NameAccount: message.FormatUnspecified,
}

// party is an application as messages meet it: its settings, read.
type party struct {
	app          string
	title        string
	settings     Settings
	certificates []*x509.Certificate
	encryption   *x509.Certificate
	// unread says that its metadata is to be read from an address, and was not, or is over.
	unread bool
}

func invalid(format string, args ...any) error {
	return failure.New(failure.Invalid, format, args...)
}

// CheckSettings says what is wrong with settings that are to be saved.
func CheckSettings(raw json.RawMessage) error {
	_, err := read(raw)
	return err
}

// read reads settings of which all is right. Where metadata is read from an address, what that says
// is not looked at.
func read(raw json.RawMessage) (party, error) { return readBeside(raw, nil) }

// readBeside reads settings beside what was read from the address that they name; nil is not yet.
func readBeside(raw json.RawMessage, fetched []byte) (party, error) {
	var p party
	if err := application.ReadSettings(raw, &p.settings); err != nil {
		return p, err
	}
	s := &p.settings
	if err := s.checkFetched(); err != nil {
		return p, err
	}
	if err := s.fill(fetched); err != nil {
		return p, err
	}
	p.unread = s.MetadataURL != "" && fetched == nil
	if s.Entity == "" || len(s.Entity) > 1024 || strings.TrimSpace(s.Entity) != s.Entity || strings.ContainsAny(s.Entity, " \t\r\n") {
		return p, invalid("The entity ID is a text of 1 to 1024 characters without spaces, as the application's metadata has it.")
	}
	if err := s.checkConsumers(); err != nil && (!p.unread || len(s.Consumers) > 0) {
		return p, err
	}
	if err := s.checkWords(); err != nil {
		return p, err
	}
	var err error
	if p.certificates, err = certificatesOf(s.Certificates); err != nil {
		return p, err
	}
	encryption, err := certificatesOf(s.Encryption)
	if err != nil || len(encryption) > 1 {
		return p, invalid("The certificate to encrypt to is one certificate with an RSA key of 2048 bits at least.")
	}
	if len(encryption) == 1 {
		if _, is := encryption[0].PublicKey.(*rsa.PublicKey); !is {
			return p, invalid("The certificate to encrypt to is one certificate with an RSA key of 2048 bits at least.")
		}
		p.encryption = encryption[0]
	}
	keyed := len(p.certificates) > 0 || p.unread
	if err := s.checkSOAP(keyed); err != nil {
		return p, err
	}
	if err := application.CheckSessions(s.Sessions); err != nil {
		return p, err
	}
	return p, s.checkLogout(keyed)
}

// fetched is where metadata is read of an application, and whether that is so.
func (s *Settings) fetched(app string) (metadata.Source, bool) {
	return metadata.Source{Party: "application/" + app, Entity: s.Entity, URL: s.MetadataURL, Pins: s.MetadataPins, Inside: s.Inside}, s.MetadataURL != ""
}

// Fetched is where metadata is read of an application, and whether that is so.
func Fetched(app application.Application) (metadata.Source, bool) {
	p, err := read(app.Settings)
	if err != nil {
		return metadata.Source{}, false
	}
	return p.settings.fetched(app.Name)
}

// checkFetched says what is wrong with where metadata is read.
func (s *Settings) checkFetched() error {
	from, is := s.fetched("")
	switch {
	case !is && len(s.MetadataPins) > 0:
		return invalid("Pins are for metadata that is read from an address: name it in metadata_url.")
	case !is:
		return nil
	case strings.TrimSpace(strings.Join(s.Metadata, "")) != "":
		return invalid("Metadata is pasted, or read from an address; not both.")
	case s.Entity == "":
		return invalid("Beside the address of metadata, say the entity ID: metadata of another one is refused.")
	}
	return from.Check()
}

// fill takes from metadata what the settings do not say. Assertions are encrypted only where
// the settings say so: most metadata offers a certificate for it, whether the application can
// read them or not.
func (s *Settings) fill(fetched []byte) error {
	text := []byte(strings.TrimSpace(strings.Join(s.Metadata, "\n")))
	if fetched != nil {
		text = fetched
	}
	if len(text) == 0 {
		return nil
	}
	m, err := message.ReadParty(text)
	if err != nil {
		return err
	}
	if s.Entity == "" {
		s.Entity = m.Entity
	}
	if s.Entity != m.Entity {
		return invalid("The entity ID %q is not that of the metadata, %q.", s.Entity, m.Entity)
	}
	if len(s.Consumers) == 0 {
		for _, c := range m.Consumers {
			s.Consumers = append(s.Consumers, Consumer{URL: c.Location, Index: c.Index})
		}
	}
	if len(s.Certificates) == 0 {
		s.Certificates = m.Signing
	}
	if s.LogoutSOAP == "" && len(s.Certificates) > 0 && s.reachable(m.SOAP) {
		s.LogoutSOAP = m.SOAP
	}
	if s.Logout == "" && len(s.Certificates) > 0 {
		s.Logout = m.Logout
		if m.Binding == message.BindingRedirect {
			s.LogoutBinding = redirect
		}
	}
	return nil
}

func (s *Settings) checkConsumers() error {
	if len(s.Consumers) == 0 || len(s.Consumers) > 20 {
		return invalid("Name 1 to 20 addresses that take responses, such as https://app.example.org/saml/acs.")
	}
	for i, c := range s.Consumers {
		if err := address(c.URL); err != nil {
			return err
		}
		if c.Index < 0 || c.Index > 65535 {
			return invalid("The index of an address is a number from 0 to 65535.")
		}
		for _, o := range s.Consumers[:i] {
			if o.URL == c.URL || o.Index == c.Index {
				return invalid("Two addresses that take responses are alike, or have the same index.")
			}
		}
	}
	return nil
}

// address takes a web address that a browser may be sent to.
func address(s string) error {
	u, err := url.Parse(s)
	plain := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.Fragment == "" && u.String() == s
	if !plain || len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '"' }) {
		return invalid("%q is not a whole address such as https://app.example.org/saml/acs.", s)
	}
	return nil
}

func (s *Settings) checkWords() error {
	if _, ok := formats[s.name()]; !ok {
		return invalid("%q is not what people can be called by; use %s, %s, %s or %s.", s.Name, NamePersistent, NameTransient, NameMail, NameAccount)
	}
	if s.Unsigned != "" && s.Unsigned != AcceptUnsigned {
		return invalid("%q is not what is done with unsigned requests; leave it empty, or use %q.", s.Unsigned, AcceptUnsigned)
	}
	if s.Hours < 0 || s.Hours > 24 {
		return invalid("An application's own session lasts 1 to 24 hours.")
	}
	if s.Start != "" && s.Start != StartOurs {
		if err := address(s.Start); err != nil {
			return err
		}
	}
	return s.checkAttributes()
}

func (s *Settings) checkAttributes() error {
	seen := map[string]bool{}
	for _, a := range s.Attributes {
		if _, ok := usual[a.What]; !ok {
			return invalid("%q is nothing that an application can be told; use %s, %s, %s or %s.", a.What, AttributeMail, AttributeDisplay, AttributeAccount, AttributeGroups)
		}
		if len(a.as()) > 256 || strings.ContainsAny(a.as(), " \t\r\n") || seen[a.as()] {
			return invalid("The name of an attribute has 256 characters at most and no spaces, and is there once.")
		}
		seen[a.as()] = true
	}
	return nil
}

func (a Attribute) as() string {
	if a.As != "" {
		return a.As
	}
	return usual[a.What][0]
}

func (s *Settings) checkLogout(keyed bool) error {
	if s.LogoutBinding != "" && s.LogoutBinding != redirect && s.LogoutBinding != post {
		return invalid("%q is not how an application is told that a session ended; use %s or %s.", s.LogoutBinding, redirect, post)
	}
	if s.Logout == "" {
		return nil
	}
	if !keyed {
		return invalid("Single logout needs the certificate that the application signs with: an unsigned request to sign out is not taken.")
	}
	return address(s.Logout)
}

func (s *Settings) name() string {
	if s.Name == "" {
		return NamePersistent
	}
	return s.Name
}

// demandsSigned reports whether requests must be signed.
func (p *party) demandsSigned() bool {
	return len(p.certificates) > 0 && p.settings.Unsigned != AcceptUnsigned
}

// lasts is how long the application's own session may last.
func (s *Settings) lasts() time.Duration {
	if s.Hours == 0 {
		return 8 * time.Hour
	}
	return time.Duration(s.Hours) * time.Hour
}

// certificatesOf reads certificates in PEM, or a line of base64 each as metadata has them.
func certificatesOf(lines []string) ([]*x509.Certificate, error) {
	ders, err := dersOf(lines)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errCertificate
		}
		if key, is := c.PublicKey.(*rsa.PublicKey); is && key.N.BitLen() < 2048 {
			return nil, invalid("An RSA key of a certificate has %d bits; 2048 are the least.", key.N.BitLen())
		}
		out = append(out, c)
	}
	if len(out) > 10 {
		return nil, invalid("There are more than 10 certificates.")
	}
	return out, nil
}

var errCertificate = invalid("A certificate cannot be read. Paste it as PEM (-----BEGIN CERTIFICATE-----), or its base64 on one line as the application's metadata has it.")

func dersOf(lines []string) (ders [][]byte, err error) {
	text := strings.Join(lines, "\n")
	if !strings.Contains(text, "-----") {
		for _, line := range lines {
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(line), ""))
			if err != nil {
				return nil, errCertificate
			}
			ders = append(ders, der)
		}
		return ders, nil
	}
	rest := []byte(text)
	for len(strings.TrimSpace(string(rest))) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errCertificate
		}
		ders = append(ders, block.Bytes)
	}
	return ders, nil
}

// consumer finds the registered address that a request asks for: by its address, by its
// number, or the usual one.
func (s *Settings) consumer(at string, index int) (string, bool) {
	i := 0
	switch {
	case at != "":
		i = slices.IndexFunc(s.Consumers, func(c Consumer) bool { return c.URL == at })
	case index >= 0:
		i = slices.IndexFunc(s.Consumers, func(c Consumer) bool { return c.Index == index })
	}
	if i < 0 {
		return "", false
	}
	return s.Consumers[i].URL, true
}
