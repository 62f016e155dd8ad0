package message

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Pins are the certificates by whose keys metadata must be signed: each whole, or by its SHA-256.
type Pins struct {
	certificates []*x509.Certificate
	sums         [][sha256.Size]byte
}

// mostPins bounds the pins of a party: one that signs now, and those of a roll-over.
const mostPins = 4

// ReadPins reads pins: the SHA-256 of a certificate in hexadecimal digits, with or without colons,
// or a certificate as one line of base64, one on each line; or certificates in PEM.
func ReadPins(lines []string) (Pins, error) {
	var p Pins
	text := strings.Join(lines, "\n")
	if strings.Contains(text, "-----") {
		for rest := []byte(text); len(strings.TrimSpace(string(rest))) > 0; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
				return p, errPin
			}
			if err := p.add(block.Bytes); err != nil {
				return p, err
			}
		}
		lines = nil
	}
	for _, line := range lines {
		plain := strings.ReplaceAll(strings.Join(strings.Fields(line), ""), ":", "")
		if sum, err := hex.DecodeString(plain); err == nil && len(sum) == sha256.Size {
			p.sums = append(p.sums, [sha256.Size]byte(sum))
			continue
		}
		der, err := base64.StdEncoding.DecodeString(plain)
		if err != nil {
			return p, errPin
		}
		if err := p.add(der); err != nil {
			return p, err
		}
	}
	if n := len(p.certificates) + len(p.sums); n == 0 || n > mostPins {
		return p, malformed("Metadata that is fetched needs 1 to %d pins: the certificate that it is signed by, or the SHA-256 of it.", mostPins)
	}
	return p, nil
}

var errPin = malformed("A pin cannot be read. Write the SHA-256 of the certificate that the metadata is signed by in 64 hexadecimal digits, or the certificate in PEM.")

func (p *Pins) add(der []byte) error {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return errPin
	}
	p.certificates = append(p.certificates, c)
	return nil
}

// of are the pinned certificates, of which those that are known by their SHA-256 come with the
// signature. What else comes with it is not looked at.
func (p Pins) of(signature *etree.Element) []*x509.Certificate {
	out := p.certificates
	for _, info := range children(signature, nsSignature, "KeyInfo") {
		for _, data := range children(info, nsSignature, "X509Data") {
			for _, el := range children(data, nsSignature, "X509Certificate") {
				out = append(out, p.known(el)...)
			}
		}
	}
	return out
}

func (p Pins) known(el *etree.Element) []*x509.Certificate {
	t, err := text(el)
	if err != nil {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(t), ""))
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(der)
	for _, one := range p.sums {
		if one == sum {
			if c, err := x509.ParseCertificate(der); err == nil {
				return []*x509.Certificate{c}
			}
		}
	}
	return nil
}

// Described is metadata that a pinned key signed.
type Described struct {
	// Covered is what the signature covers, and nothing else: it can be read again.
	Covered []byte
	Entity  string
	// Until is when it is over (validUntil); zero where it does not say. Keep is for how long it is
	// to be kept before it is read again (cacheDuration); zero where it does not say.
	Until time.Time
	Keep  time.Duration
	// Keys are the certificates of its roles that sign, in base64.
	Keys []string
	// Meaning is a digest of all of it but how long it holds: what says the same has the same one.
	Meaning string
}

var (
	errBare   = refuse("unsigned", "The metadata is not signed.")
	errPinned = refuse("wrong-signature", "The metadata is not signed by a key that is pinned.")
	errOver   = refuse("expired", "The metadata has expired (validUntil).")
)

// ReadSigned reads the metadata of one entity, which must be signed as a whole by a pinned key (SAML
// metadata, section 3), and not be over.
func ReadSigned(b []byte, by Pins, now time.Time) (Described, error) {
	var d Described
	root, err := parse(b)
	if err != nil {
		return d, err
	}
	if err := oneEntity(root); err != nil {
		return d, err
	}
	own := children(root, nsSignature, "Signature")
	if len(own) == 0 {
		return d, errBare
	}
	if len(own) > 1 {
		return d, errShape
	}
	pinned := by.of(own[0])
	if len(pinned) == 0 {
		return d, errPinned
	}
	covered, err := verified(root, pinned)
	if errors.Is(err, errSignature) {
		err = errPinned
	}
	if err != nil {
		return d, err
	}
	if err := oneEntity(covered); err != nil {
		return d, err
	}
	if err := d.read(covered); err != nil {
		return d, err
	}
	if !d.Until.IsZero() && !now.Before(d.Until) {
		return d, errOver
	}
	if d.Covered, err = write(covered); err == nil {
		d.Meaning, err = meaning(covered)
	}
	return d, err
}

// meaning is a digest of an entity without how long it holds, and without the name of this document.
func meaning(covered *etree.Element) (string, error) {
	bare := covered.Copy()
	bare.RemoveAttr("ID")
	for _, el := range append(bare.ChildElements(), bare) {
		el.RemoveAttr("validUntil")
		el.RemoveAttr("cacheDuration")
	}
	b, err := write(bare)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}

// read takes from an entity and its roles how long they hold: the shortest counts (SAML metadata,
// sections 2.3.2 and 2.4.1), and no role that we do not know.
func (d *Described) read(entity *etree.Element) error {
	d.Entity = attribute(entity, "entityID")
	holding := []*etree.Element{entity}
	for _, tag := range []string{"SPSSODescriptor", "IDPSSODescriptor"} {
		role, err := child(entity, nsMetadata, tag)
		if err != nil {
			return err
		}
		if role == nil {
			continue
		}
		holding = append(holding, role)
		signing, _, err := readKeys(role)
		if err != nil {
			return err
		}
		d.Keys = append(d.Keys, signing...)
	}
	for _, el := range holding {
		if err := d.hold(el); err != nil {
			return err
		}
	}
	return nil
}

func (d *Described) hold(el *etree.Element) error {
	if s := attribute(el, "validUntil"); s != "" {
		until, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return malformed("The metadata says until when it is valid in no form that can be read (validUntil).")
		}
		if d.Until.IsZero() || until.Before(d.Until) {
			d.Until = until
		}
	}
	if s := attribute(el, "cacheDuration"); s != "" {
		keep, err := duration(s)
		if err != nil {
			return err
		}
		if d.Keep == 0 || keep < d.Keep {
			d.Keep = keep
		}
	}
	return nil
}

// durations are xs:duration with whole numbers (XML Schema part 2, section 3.2.6). A month counts as
// 30 days, and a year as 365.
var durations = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})(?:\.\d+)?S)?)?$`)

func duration(s string) (time.Duration, error) {
	m := durations.FindStringSubmatch(s)
	var out time.Duration
	if m != nil {
		for i, unit := range []time.Duration{365 * 24 * time.Hour, 30 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
			n, _ := strconv.Atoi(m[i+1]) // what is left out is 0
			out = min(out+time.Duration(n)*unit, 10*365*24*time.Hour)
		}
	}
	if out <= 0 {
		return 0, malformed("The metadata says how long it is to be kept in no form that can be read (cacheDuration).")
	}
	return out, nil
}

// Identity is what the metadata of an identity provider says of it (SAML metadata, section 2.4.3).
type Identity struct {
	Entity string
	// SignIn is its single sign-on service by HTTP Redirect, and Signing its certificates, in base64.
	SignIn  string
	Signing []string
}

// ReadIdentity reads the metadata of one identity provider, whose signature [ReadSigned] looked at.
func ReadIdentity(b []byte) (Identity, error) {
	var p Identity
	root, err := parse(b)
	if err != nil {
		return p, err
	}
	if err := oneEntity(root); err != nil {
		return p, err
	}
	p.Entity = attribute(root, "entityID")
	idp, err := child(root, nsMetadata, "IDPSSODescriptor")
	if err != nil || idp == nil {
		return p, malformed("The metadata is not that of an identity provider (IDPSSODescriptor).")
	}
	for _, el := range children(idp, nsMetadata, "SingleSignOnService") {
		if attribute(el, "Binding") == BindingRedirect && p.SignIn == "" {
			p.SignIn = attribute(el, "Location")
		}
	}
	if p.SignIn == "" {
		return p, malformed("The metadata has no SingleSignOnService that takes HTTP-Redirect.")
	}
	if p.Signing, _, err = readKeys(idp); err == nil && len(p.Signing) == 0 {
		err = malformed("The metadata has no certificate that signs.")
	}
	return p, err
}
