package message

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/beevik/etree"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// Asserted is what another identity provider says of somebody, read from the bytes that its
// signature covers and from no others (SAML profiles, section 4.1.4.3).
type Asserted struct {
	// Heading is that of the response; its Proof is Unsigned where only the assertion is signed,
	// and then nothing in it is to be believed.
	Heading
	// InResponseTo is what the response says, signed or not, and Code its status.
	InResponseTo, Code string

	// Issuer, Name and all below are the assertion's. They are empty where there is none.
	By     string
	Issued time.Time
	Name   NameID
	// Answers is the request that the bearer may show it for, Recipient where, and Until until when.
	Answers, Recipient string
	Until              time.Time
	// From and To bound when it may be used; zero where they do not.
	From, To time.Time
	// Audiences are those of each restriction: whoever uses it must be in each.
	Audiences [][]string
	// Class is how they signed in, and Authenticated when. Over is when its session ends; zero does not say.
	Class         string
	Authenticated time.Time
	Over          time.Time
	// Attributes are those that hold texts, by name.
	Attributes map[string][]string
}

// AssertedOf reads the message as a response to a request to sign somebody in. Where it asserts
// something, one of the certificates' keys has signed the assertion, or the response around it; a
// signature that is there is right, or all is refused. It takes one assertion, not encrypted.
func (in Incoming) AssertedOf(of Certificates) (Asserted, error) {
	var a Asserted
	root, err := parse(in.xml)
	if err != nil {
		return a, err
	}
	if !in.form || !is(root, nsProtocol, "Response") {
		return a, malformed("The message is not the Response by a form that is taken here.")
	}
	if a.Heading, err = heading(root); err != nil {
		return a, err
	}
	certificates, err := of(a.Issuer)
	if err != nil {
		return a, err
	}
	assertion, inner, err := onlyAssertion(root)
	if err != nil {
		return a, err
	}
	if signed(root) {
		whole, err := verifiedAround(root, inner, certificates)
		if err != nil {
			return a, err
		}
		root = whole
		if a.Heading, err = heading(root); err != nil {
			return a, err
		}
		a.Proof = Signed
		if assertion, inner, err = onlyAssertion(root); err != nil {
			return a, err
		}
	}
	if err := a.readStatus(root); err != nil {
		return a, err
	}
	switch {
	case assertion == nil:
		return a, nil
	case inner == 1:
		if assertion, err = verifiedWithin(root, assertion, certificates); err != nil {
			return a, err
		}
	case a.Proof != Signed:
		return a, errUnsigned
	}
	return a, a.read(assertion)
}

var errUnsigned = refuse("unsigned", "Neither the assertion nor the response around it is signed.")

// onlyAssertion is the one assertion of a response, and how many signatures it has of its own: none or one.
// It is nil where there is none. There is no other signature anywhere but the response's own.
func onlyAssertion(root *etree.Element) (*etree.Element, int, error) {
	if err := onlyHas(root, [2]string{nsAssertion, "Issuer"}, [2]string{nsSignature, "Signature"}, [2]string{nsProtocol, "Extensions"}, [2]string{nsProtocol, "Status"}, [2]string{nsAssertion, "Assertion"}, [2]string{nsAssertion, "EncryptedAssertion"}); err != nil {
		return nil, 0, err
	}
	if len(children(root, nsAssertion, "EncryptedAssertion")) > 0 {
		return nil, 0, refuse("encrypted", "The assertion is encrypted, and nobody was told a key to encrypt to.")
	}
	total := count(root, func(el *etree.Element) bool { return el.Tag == "Signature" })
	own := len(children(root, nsSignature, "Signature"))
	all := children(root, nsAssertion, "Assertion")
	if anywhere := count(root, func(el *etree.Element) bool { return el.Tag == "Assertion" }); len(all) != anywhere || anywhere > 1 {
		return nil, 0, refuse("several-assertions", "The response holds more than one assertion, or one where none belongs.")
	}
	if len(all) == 0 {
		if total != own {
			return nil, 0, errShape
		}
		return nil, 0, nil
	}
	inner := len(children(all[0], nsSignature, "Signature"))
	if inner > 1 || own > 1 || total != own+inner {
		return nil, 0, errShape
	}
	id := attribute(all[0], "ID")
	if !name(id) || count(root, func(el *etree.Element) bool { return hasID(el, id) }) != 1 {
		return nil, 0, errShape
	}
	return all[0], inner, nil
}

// verifiedWithin is an element inside of a message, as its own signature covers it: taken out with the
// namespaces that it is in.
func verifiedWithin(root, el *etree.Element, by []*x509.Certificate) (*etree.Element, error) {
	around, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		return nil, errShape
	}
	alone, err := etreeutils.NSDetatch(around, el)
	if err != nil {
		return nil, errShape
	}
	return verified(alone, by)
}

func (a *Asserted) readStatus(root *etree.Element) error {
	a.InResponseTo = attribute(root, "InResponseTo")
	status, err := child(root, nsProtocol, "Status")
	if err != nil || status == nil {
		return malformed("The response has no status.")
	}
	code, err := child(status, nsProtocol, "StatusCode")
	if err != nil || code == nil {
		return malformed("The response has no status.")
	}
	a.Code = attribute(code, "Value")
	return nil
}

// read reads an assertion that a signature covers.
func (a *Asserted) read(el *etree.Element) error {
	h, err := heading(el) // an assertion begins as a message does
	if err != nil {
		return err
	}
	a.By, a.Issued = h.Issuer, h.Instant
	if err := onlyHas(el, [2]string{nsAssertion, "Issuer"}, [2]string{nsSignature, "Signature"}, [2]string{nsAssertion, "Subject"}, [2]string{nsAssertion, "Conditions"}, [2]string{nsAssertion, "Advice"},
		[2]string{nsAssertion, "AuthnStatement"}, [2]string{nsAssertion, "AttributeStatement"}); err != nil {
		return err
	}
	for _, part := range []func(*etree.Element) error{a.readSubject, a.readConditions, a.readStatement, a.readAttributes} {
		if err := part(el); err != nil {
			return err
		}
	}
	return nil
}

func (a *Asserted) readSubject(el *etree.Element) error {
	subject, err := child(el, nsAssertion, "Subject")
	if err != nil || subject == nil {
		return malformed("The assertion is about nobody.")
	}
	if err := onlyHas(subject, [2]string{nsAssertion, "NameID"}, [2]string{nsAssertion, "SubjectConfirmation"}); err != nil {
		return err
	}
	id, err := child(subject, nsAssertion, "NameID")
	if err != nil || id == nil {
		return malformed("The assertion names nobody, or somebody encrypted.")
	}
	a.Name = NameID{Format: attribute(id, "Format"), By: attribute(id, "NameQualifier"), For: attribute(id, "SPNameQualifier")}
	if a.Name.Value, err = text(id); err != nil {
		return err
	}
	confirmation, err := child(subject, nsAssertion, "SubjectConfirmation")
	if err != nil || confirmation == nil || attribute(confirmation, "Method") != bearer {
		return malformed("The assertion is not for whoever bears it, or is confirmed in several ways.")
	}
	data, err := child(confirmation, nsAssertion, "SubjectConfirmationData")
	if err != nil || data == nil || attribute(data, "NotBefore") != "" { // profiles, section 4.1.4.2
		return malformed("The assertion does not say where and until when it may be shown.")
	}
	a.Answers, a.Recipient = attribute(data, "InResponseTo"), attribute(data, "Recipient")
	a.Until, err = instant(attribute(data, "NotOnOrAfter"))
	return err
}

// conditions are those that are understood; whoever finds another one must not use the assertion
// (SAML core, section 2.5.1.1).
var conditions = []string{"AudienceRestriction", "OneTimeUse", "ProxyRestriction"}

func (a *Asserted) readConditions(el *etree.Element) error {
	all, err := child(el, nsAssertion, "Conditions")
	if err != nil || all == nil {
		return malformed("The assertion has no conditions.")
	}
	for to, s := range map[*time.Time]string{&a.From: attribute(all, "NotBefore"), &a.To: attribute(all, "NotOnOrAfter")} {
		if s == "" {
			continue
		}
		if *to, err = instant(s); err != nil {
			return err
		}
	}
	for _, c := range all.ChildElements() {
		if c.NamespaceURI() != nsAssertion || !slices.Contains(conditions, c.Tag) {
			return malformed("The assertion has a condition that is not known here.")
		}
		if c.Tag != "AudienceRestriction" {
			continue
		}
		var names []string
		for _, one := range children(c, nsAssertion, "Audience") {
			t, err := text(one)
			if err != nil {
				return err
			}
			names = append(names, t)
		}
		a.Audiences = append(a.Audiences, names)
	}
	return nil
}

func (a *Asserted) readStatement(el *etree.Element) error {
	statement, err := child(el, nsAssertion, "AuthnStatement")
	if err != nil || statement == nil {
		return malformed("The assertion does not say once that somebody signed in.")
	}
	if a.Authenticated, err = instant(attribute(statement, "AuthnInstant")); err != nil {
		return err
	}
	if over := attribute(statement, "SessionNotOnOrAfter"); over != "" {
		if a.Over, err = instant(over); err != nil {
			return err
		}
	}
	context, err := child(statement, nsAssertion, "AuthnContext")
	if err != nil || context == nil {
		return malformed("The assertion does not say how somebody signed in.")
	}
	class, err := child(context, nsAssertion, "AuthnContextClassRef")
	if err != nil {
		return err
	}
	a.Class, err = text(class)
	return err
}

// mostAttributes bounds the attributes of an assertion.
const mostAttributes = 200

func (a *Asserted) readAttributes(el *etree.Element) error {
	a.Attributes = map[string][]string{}
	for _, statement := range children(el, nsAssertion, "AttributeStatement") {
		for _, one := range children(statement, nsAssertion, "Attribute") {
			name := attribute(one, "Name")
			if _, twice := a.Attributes[name]; twice || name == "" || len(a.Attributes) >= mostAttributes {
				return malformed("The assertion has an attribute twice, without a name, or more than %d.", mostAttributes)
			}
			values := []string{}
			for _, v := range children(one, nsAssertion, "AttributeValue") {
				if t, err := text(v); err == nil { // others hold more than a text, and are for others
					values = append(values, t)
				}
			}
			a.Attributes[name] = values
		}
	}
	return nil
}
