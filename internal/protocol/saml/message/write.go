package message

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/beevik/etree"
)

// The formats of names (SAML core, section 8.3).
const (
	FormatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	FormatMail        = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	FormatEntity      = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	FormatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	FormatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	FormatEncrypted   = "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted"
)

// The bindings (SAML bindings, sections 3.4 and 3.5).
const (
	BindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	BindingPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// Status says how a request fared (SAML core, section 3.2.2.2). Code is of the top level, and
// Second the one below it, or empty.
type Status struct {
	Code, Second string
	// Says is a sentence for the log of whoever asked; it holds nothing of a person.
	Says string
}

// The codes of a status.
const (
	Success             = "urn:oasis:names:tc:SAML:2.0:status:Success"
	Requester           = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	Responder           = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	AuthnFailed         = "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"
	InvalidNameIDPolicy = "urn:oasis:names:tc:SAML:2.0:status:InvalidNameIDPolicy"
	NoAuthnContext      = "urn:oasis:names:tc:SAML:2.0:status:NoAuthnContext"
	NoPassive           = "urn:oasis:names:tc:SAML:2.0:status:NoPassive"
	PartialLogout       = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
	RequestDenied       = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied"
	RequestUnsupported  = "urn:oasis:names:tc:SAML:2.0:status:RequestUnsupported"
	UnsupportedBinding  = "urn:oasis:names:tc:SAML:2.0:status:UnsupportedBinding"
	UnknownPrincipal    = "urn:oasis:names:tc:SAML:2.0:status:UnknownPrincipal"
)

// NewID returns an ID that nobody can guess (SAML core, section 1.3.4: at least 128 bits).
func NewID() string {
	var b [20]byte
	rand.Read(b[:])
	return "_" + hex.EncodeToString(b[:])
}

// moment is how a time is written: in UTC, to the millisecond.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// element makes the root of a message. The namespaces are declared on it by the prefixes that
// everybody uses.
func element(space, tag string, namespaces ...string) *etree.Element {
	el := &etree.Element{Space: space, Tag: tag}
	for _, prefix := range namespaces {
		el.CreateAttr("xmlns:"+prefix, map[string]string{"samlp": nsProtocol, "saml": nsAssertion, "md": nsMetadata, "ds": nsSignature, "xenc": nsEncrypted}[prefix])
	}
	return el
}

func add(to *etree.Element, space, tag string) *etree.Element {
	el := to.CreateElement(tag)
	el.Space = space
	return el
}

func addText(to *etree.Element, space, tag, text string) *etree.Element {
	el := add(to, space, tag)
	el.SetText(text)
	return el
}

// write is an element as octets, escaped so that whoever parses and canonicalizes it comes to
// what was signed.
func write(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.WriteSettings.CanonicalText, doc.WriteSettings.CanonicalAttrVal = true, true
	doc.SetRoot(el)
	return doc.WriteToBytes()
}

func addStatus(to *etree.Element, s Status) {
	status := add(to, "samlp", "Status")
	code := add(status, "samlp", "StatusCode")
	code.CreateAttr("Value", s.Code)
	if s.Second != "" {
		add(code, "samlp", "StatusCode").CreateAttr("Value", s.Second)
	}
	if s.Says != "" {
		addText(status, "samlp", "StatusMessage", s.Says)
	}
}
