package tokenfile

import (
	"cmp"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// namespace is that of RFC 6030 section 11.
const namespace = "urn:ietf:params:xml:ns:keyprov:pskc"

// container is a PSKC file as far as its beginning goes.
type container struct {
	*reading
	doc     *document
	cipher  *opener
	encrypt *node
	mac     *node
}

// pskc reads a key container (RFC 6030 section 4) package by package.
func (x *reading) pskc(r io.Reader) error {
	c := &container{reading: x, doc: x.newDocument(r)}
	if err := c.root(); err != nil {
		return err
	}
	for {
		t, err := c.doc.next()
		if errors.Is(err, io.EOF) {
			return fatal(c.doc.line(), "the file ends too early")
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := c.part(t); err != nil {
				return err
			}
		case xml.EndElement:
			return c.end()
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return fatal(c.doc.line(), "there is text between the key packages")
			}
		}
	}
}

func (c *container) root() error {
	for {
		t, err := c.doc.next()
		if errors.Is(err, io.EOF) {
			return fatal(0, "that is not a PSKC file")
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			n := &node{attributes: t.Attr}
			if t.Name.Space != namespace || c.doc.spell(t.Name.Local) != c.doc.spell("KeyContainer") {
				return fatal(c.doc.line(), "that is not a PSKC file")
			}
			if v := n.attribute("Version") + n.attribute("version"); v != "1.0" {
				return fatal(c.doc.line(), "only PSKC of version 1.0 can be read")
			}
			return nil
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return fatal(c.doc.line(), "that is not a PSKC file")
			}
		}
	}
}

// end reads what follows the container, which is nothing.
func (c *container) end() error {
	for {
		t, err := c.doc.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text, ok := t.(xml.CharData); !ok || strings.TrimSpace(string(text)) != "" {
			return fatal(c.doc.line(), "something follows the container")
		}
	}
}

// part reads one child of the container.
func (c *container) part(start xml.StartElement) error {
	line := c.doc.line()
	n, err := c.doc.element(start)
	if err != nil {
		return err
	}
	name := c.doc.spell(start.Name.Local)
	switch name {
	case c.doc.spell("EncryptionKey"):
		if c.encrypt != nil || c.cipher != nil {
			return fatal(line, "the file has two encryption keys")
		}
		c.encrypt = n
		return nil
	case c.doc.spell("MACMethod"):
		if c.mac != nil || c.cipher != nil {
			return fatal(line, "the file has two MAC methods")
		}
		c.mac = n
		return nil
	case c.doc.spell("KeyPackage"):
		if c.cipher == nil {
			if c.cipher, err = c.newOpener(); err != nil {
				return err
			}
		}
		return c.keyPackage(n, line)
	case c.doc.spell("Signature"), c.doc.spell("Extensions"):
		return nil // a signature says who made the file, which our operator knows otherwise
	}
	return fatal(line, "an element between the key packages is not one of RFC 6030")
}

// child is kid, in the spelling of the document.
func (c *container) child(n *node, path ...string) *node {
	for _, name := range path {
		n = n.kid(c.doc.spell(name))
	}
	return n
}

func (c *container) attribute(n *node, name string) string { return n.attribute(c.doc.spell(name)) }

// keyPackage reads one package (RFC 6030 section 4.1). A value that cannot be
// opened or whose MAC is wrong ends the reading; everything else is noted.
func (c *container) keyPackage(n *node, line int) error {
	c.at = line
	key := c.child(n, "Key")
	t := Token{Line: line, Serial: c.child(n, "DeviceInfo", "SerialNo").value(), Manufacturer: c.child(n, "DeviceInfo", "Manufacturer").value()}
	if key == nil {
		c.problem(t, errors.New("the package has no key"))
		return nil
	}
	if t.Serial == "" {
		t.Serial = c.attribute(key, "Id")
	}
	kind := c.attribute(key, "Algorithm")
	if kind == namespace+":pin" {
		c.report.Left++
		return nil
	}
	t.Kind = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(kind), namespace), "#")
	t.Kind = strings.TrimPrefix(t.Kind, ":")
	// OCRA has its suite in the URI (draft-hoyer-keyprov-pskc-algorithm-profiles,
	// section 3) or beside it, under the name that token makers write.
	if at := strings.Index(kind, "OCRA-1:"); at >= 0 && strings.HasPrefix(t.Kind, "ocra-1:") {
		t.Kind, t.Suite = OCRA, kind[at:]
	}
	if t.Kind == "ocra-1" {
		t.Kind = OCRA
	}
	if t.Kind != HOTP && t.Kind != TOTP && t.Kind != OCRA {
		c.problem(t, fmt.Errorf("keys of %s cannot be used; only hotp, totp and ocra", word(t.Kind, "another algorithm")))
		return nil
	}
	err := c.key(&t, n, key)
	var s *stop
	if errors.As(err, &s) {
		return err
	}
	if err != nil {
		c.problem(t, err)
		return nil
	}
	return c.add(t)
}

func (c *container) problem(t Token, err error) { c.note(Problem{t.Line, err.Error()}) }

// key fills in what the Key element says.
func (c *container) key(t *Token, pack, key *node) error {
	parameters := c.child(key, "AlgorithmParameters")
	suite := c.child(parameters, "Suite")
	name := suite.value()
	if name == "" {
		name = c.attribute(suite, "hashalgo") // privacyIDEA
	}
	var err error
	if t.Kind == OCRA {
		err = c.ocra(t, name, parameters)
	} else if t.Algorithm, err = algorithm(name, cmp.Or(c.Algorithm, "SHA1")); err == nil {
		err = c.response(t, c.child(parameters, "ResponseFormat"))
	}
	if err != nil {
		return err
	}
	if err := c.usable(pack, key, t); err != nil {
		return err
	}
	data := c.child(key, "Data")
	secret := c.child(data, "Secret")
	if secret == nil {
		return errors.New("the file holds no secret for it, only how a device derives one")
	}
	if t.Secret, err = c.secret(secret, t.Line); err != nil {
		return err
	}
	if err := c.unsaid(t, name); err != nil {
		return err
	}
	if t.Kind == TOTP {
		n, err := c.integer(c.child(data, "TimeInterval"), t.Line, 30)
		t.Period = int(min(n, 1<<30))
		return err
	}
	t.Counter, err = c.integer(c.child(data, "Counter"), t.Line, 0)
	return err
}

// unsaid judges a key whose hash nobody named. It is SHA1 by the profiles of the
// algorithms, but old versions of privacyIDEA left the hash out, whatever it was.
func (c *container) unsaid(t *Token, name string) error {
	if name != "" || t.Kind == OCRA || c.Algorithm != "" || natural[len(t.Secret)] == "" {
		return nil
	}
	if c.Format == "privacyidea" {
		return errAmbiguous
	}
	c.forgive("no hash is named: SHA1 was taken, although the secret has the length of a longer hash")
	return nil
}

// ocra reads the suite, and holds what is said beside it to it (RFC 6030 section
// 4.3.4): a file that says two things is not believed.
func (c *container) ocra(t *Token, name string, parameters *node) error {
	if t.Suite != "" && name != "" && t.Suite != name {
		return errors.New("the algorithm and the suite say different things")
	}
	if err := t.suite(cmp.Or(name, t.Suite)); err != nil {
		return err
	}
	said := Token{}
	if err := c.response(&said, c.child(parameters, "ResponseFormat")); err != nil {
		return err
	}
	if c.child(parameters, "ResponseFormat") != nil && said.Digits != t.Digits {
		return errors.New("the format of the response is not that of the suite")
	}
	challenge := c.child(parameters, "ChallengeFormat")
	if challenge == nil {
		return nil
	}
	form := map[string]string{"DECIMAL": "QN", "HEXADECIMAL": "QH", "ALPHANUMERIC": "QA"}[c.attribute(challenge, "Encoding")]
	most, err := number(c.attribute(challenge, "Max"), 0)
	if err != nil {
		return err
	}
	if d := c.attribute(challenge, "CheckDigits"); d == "true" || d == "1" {
		return errors.New("challenges with a check digit cannot be used")
	}
	if inputs := "-" + t.Suite[strings.LastIndexByte(t.Suite, ':')+1:]; form == "" || !strings.Contains(inputs, fmt.Sprintf("-%s%02d", form, most)) {
		return errors.New("the format of the challenge is not that of the suite")
	}
	return nil
}

// response reads the format of the codes (RFC 6030 section 4.3.4).
func (c *container) response(t *Token, n *node) error {
	t.Digits = c.Digits
	if n == nil {
		return nil
	}
	if e := c.attribute(n, "Encoding"); e != "DECIMAL" && e != "" {
		return fmt.Errorf("codes in %s cannot be used, only DECIMAL", word(e, "another encoding"))
	}
	if d := c.attribute(n, "CheckDigits"); d == "true" || d == "1" {
		return errors.New("codes with a check digit cannot be used")
	}
	digits, err := number(c.attribute(n, "Length"), c.Digits)
	t.Digits = digits
	return err
}

// usable refuses keys that their policy forbids to use so (RFC 6030 section 5):
// what is not understood forbids too.
func (c *container) usable(pack, key *node, t *Token) error {
	device := c.child(pack, "DeviceInfo")
	policy := c.child(key, "Policy")
	switch err := c.dates(c.child(device, "StartDate"), c.child(device, "ExpiryDate"), t); {
	case errors.Is(err, errExpired):
		// The device's date is its maker's; the policy's date below binds the key.
		c.forgive("the date at which the device expires has passed")
	case err != nil:
		return err
	}
	if policy == nil {
		return nil
	}
	usages, otp := 0, false
	for _, k := range policy.kids {
		switch k.name {
		case c.doc.spell("KeyUsage"):
			usages++
			otp = otp || k.value() == "OTP" && t.Kind != OCRA || k.value() == "CR" && t.Kind == OCRA
		case c.doc.spell("PINPolicy"):
			mode := c.attribute(k, "PINUsageMode")
			if mode == "Algorithmic" && strings.Contains(t.Suite, "-PSHA") {
				continue // the suite says so too
			}
			if mode != "" && mode != "Local" {
				return fmt.Errorf("its PIN is of the mode %s; only a PIN that the device itself asks for can be used", word(mode, "of another name"))
			}
		case c.doc.spell("StartDate"), c.doc.spell("ExpiryDate"):
		case c.doc.spell("NumberOfTransactions"):
			return errors.New("its number of codes is limited, which is not kept here")
		default:
			return errors.New("its policy has an element that is not known")
		}
	}
	if usages > 0 && !otp {
		return errors.New("its policy does not let it be used for " + map[bool]string{true: "challenge-response", false: "one-time codes"}[t.Kind == OCRA])
	}
	return c.dates(c.child(policy, "StartDate"), c.child(policy, "ExpiryDate"), t)
}

// errExpired is a key or a device after its time.
var errExpired = errors.New("it expired")

func (c *container) dates(start, expiry *node, t *Token) error {
	if s := start.value(); s != "" {
		at, err := date(s)
		if err != nil {
			return err
		}
		t.Issued = at
	}
	if e := expiry.value(); e != "" {
		at, err := date(e)
		if err != nil {
			return err
		}
		if !c.Now.Before(at) {
			return fmt.Errorf("%w on %s; take it out of the file", errExpired, at.Format(time.DateOnly))
		}
	}
	return nil
}

// date reads an xs:dateTime, or a day; one without a zone is taken to be UTC.
func date(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04:05.999999999", time.DateOnly, "2006-01-02Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("a date must look like 2026-01-31T00:00:00Z")
}

// secret returns a value that is plain or encrypted. One that is plain in a file
// that has keys would be one that somebody put there.
func (c *container) secret(n *node, line int) ([]byte, error) {
	if plainValue := c.child(n, "PlainValue"); plainValue != nil {
		if c.cipher.encrypted() {
			return nil, fatal(line, "a secret is not encrypted although the file has a key")
		}
		return decode(plainValue.value())
	}
	return c.cipher.open(c, n, line)
}

// integer returns a number, plain or encrypted; without an element it is the
// fallback. Encrypted, it is big-endian (RFC 6030 section 4.2).
func (c *container) integer(n *node, line int, fallback uint64) (uint64, error) {
	if n == nil {
		return fallback, nil
	}
	if p := c.child(n, "PlainValue"); p != nil {
		v, err := strconv.ParseUint(p.value(), 10, 63)
		if err != nil {
			return 0, errors.New("a counter or an interval is not a number")
		}
		return v, nil
	}
	b, err := c.cipher.open(c, n, line)
	if err != nil {
		return 0, err
	}
	if len(b) > 8 {
		return 0, errors.New("a counter or an interval is too long")
	}
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v, nil
}

// decode reads base64 with spaces and line breaks in it.
func decode(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("a value is not base64")
	}
	return b, nil
}
