package message

import (
	"crypto/x509"
	"time"

	"github.com/beevik/etree"
)

// NameID is what somebody is called by to one application (SAML core, section 2.2.3).
type NameID struct {
	Value, Format string
	// By and For are the two parties between which a persistent or transient name holds.
	By, For string
}

// Attribute is something that an application is told of somebody.
type Attribute struct {
	// Name is the attribute's, and Friendly what people call it.
	Name, Friendly string
	Values         []string
}

// Assertion says who somebody is and how they signed in (SAML core, section 2.3.3; profiles,
// section 4.1.4.2).
type Assertion struct {
	ID         string
	Subject    NameID
	Attributes []Attribute
	// Class is the AuthnContextClassRef, Authenticated when a factor was shown last, and Index
	// the SessionIndex.
	Class         string
	Authenticated time.Time
	Index         string
	// Until is until when the application may keep its session; zero says nothing.
	Until time.Time
}

// Response answers an AuthnRequest (SAML core, section 3.3.3).
type Response struct {
	ID     string
	Issuer string
	// Destination is the application's assertion consumer service, and Audience its entity ID.
	Destination, Audience string
	// InResponseTo is the request's ID; empty where nothing was asked.
	InResponseTo string
	Issued       time.Time
	Status       Status
	// Assertion is nil where nothing is asserted.
	Assertion *Assertion
	// Encrypt is the certificate that the assertion is encrypted to; nil does not.
	Encrypt *x509.Certificate
}

const (
	// Early and Late are how far before and after it was issued an assertion may be used.
	Early = 2 * time.Minute
	Late  = 3 * time.Minute

	bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	// uriFormat says that an attribute's name is a URI, and basicFormat that it is a word.
	uriFormat   = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
	basicFormat = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
)

// Write makes the response, both it and its assertion signed.
func (r Response) Write(by Credential) ([]byte, error) {
	el := element("samlp", "Response", "samlp", "saml")
	el.CreateAttr("ID", r.ID)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", moment(r.Issued))
	el.CreateAttr("Destination", r.Destination)
	if r.InResponseTo != "" {
		el.CreateAttr("InResponseTo", r.InResponseTo)
	}
	addText(el, "saml", "Issuer", r.Issuer)
	addStatus(el, r.Status)
	if r.Assertion != nil {
		assertion := r.assertion()
		if err := sign(assertion, by); err != nil {
			return nil, err
		}
		if r.Encrypt != nil {
			var err error
			if assertion, err = encrypted(assertion, r.Encrypt); err != nil {
				return nil, err
			}
		}
		el.AddChild(assertion)
	}
	if err := sign(el, by); err != nil {
		return nil, err
	}
	return write(el)
}

func (r Response) assertion() *etree.Element {
	a := r.Assertion
	el := element("saml", "Assertion", "saml")
	el.CreateAttr("ID", a.ID)
	el.CreateAttr("Version", "2.0")
	el.CreateAttr("IssueInstant", moment(r.Issued))
	addText(el, "saml", "Issuer", r.Issuer)
	r.addSubject(el)
	conditions := add(el, "saml", "Conditions")
	conditions.CreateAttr("NotBefore", moment(r.Issued.Add(-Early)))
	conditions.CreateAttr("NotOnOrAfter", moment(r.Issued.Add(Late)))
	addText(add(conditions, "saml", "AudienceRestriction"), "saml", "Audience", r.Audience)
	statement := add(el, "saml", "AuthnStatement")
	statement.CreateAttr("AuthnInstant", moment(a.Authenticated))
	statement.CreateAttr("SessionIndex", a.Index)
	if !a.Until.IsZero() {
		statement.CreateAttr("SessionNotOnOrAfter", moment(a.Until))
	}
	addText(add(statement, "saml", "AuthnContext"), "saml", "AuthnContextClassRef", a.Class)
	addAttributes(el, a.Attributes)
	return el
}

func (r Response) addSubject(el *etree.Element) {
	subject := add(el, "saml", "Subject")
	r.Assertion.Subject.add(subject)
	confirmation := add(subject, "saml", "SubjectConfirmation")
	confirmation.CreateAttr("Method", bearer)
	data := add(confirmation, "saml", "SubjectConfirmationData")
	if r.InResponseTo != "" {
		data.CreateAttr("InResponseTo", r.InResponseTo)
	}
	data.CreateAttr("NotOnOrAfter", moment(r.Issued.Add(Late)))
	data.CreateAttr("Recipient", r.Destination)
}

func (n NameID) add(to *etree.Element) {
	el := addText(to, "saml", "NameID", n.Value)
	if n.Format != "" {
		el.CreateAttr("Format", n.Format)
	}
	if n.By != "" {
		el.CreateAttr("NameQualifier", n.By)
	}
	if n.For != "" {
		el.CreateAttr("SPNameQualifier", n.For)
	}
}

func addAttributes(el *etree.Element, all []Attribute) {
	if len(all) == 0 { // the schema wants at least one in a statement
		return
	}
	statement := add(el, "saml", "AttributeStatement")
	for _, a := range all {
		one := add(statement, "saml", "Attribute")
		one.CreateAttr("Name", a.Name)
		one.CreateAttr("NameFormat", formatOf(a.Name))
		if a.Friendly != "" {
			one.CreateAttr("FriendlyName", a.Friendly)
		}
		for _, v := range a.Values {
			addText(one, "saml", "AttributeValue", v)
		}
	}
}

// formatOf is what the name of an attribute is: a URI has a colon.
func formatOf(name string) string {
	for _, c := range name {
		if c == ':' {
			return uriFormat
		}
	}
	return basicFormat
}
