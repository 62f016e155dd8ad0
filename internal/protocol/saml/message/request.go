package message

import (
	"crypto/x509"
	"strconv"
	"time"

	"github.com/beevik/etree"
)

// Proof says how a message that came is known to be its sender's.
type Proof int

// The proofs. Unsigned is the zero value.
const (
	Unsigned Proof = iota
	Signed
)

// Heading is what every message from outside begins with (SAML core, sections 3.2.1 and 3.2.2).
type Heading struct {
	ID          string
	Issuer      string
	Destination string
	Instant     time.Time
	// Proof says whether a registered key signed it.
	Proof Proof
}

// AuthnRequest asks that somebody is signed in (SAML core, section 3.4.1).
type AuthnRequest struct {
	Heading
	Force, Passive bool
	// ACS is the address that the response is asked for at, and Index the number of one; empty
	// and negative where the request does not say.
	ACS   string
	Index int
	// Binding is what the response is asked for by; empty where the request does not say.
	Binding string
	// Format and Qualifier are of the NameIDPolicy; Create is its AllowCreate, and Policy says
	// that there is one.
	Policy    bool
	Format    string
	Qualifier string
	Create    bool
	// Subject says that it names whom it wants.
	Subject bool
	Context Context
}

// Context is what a request demands of how somebody signs in (SAML core, section 3.3.2.2.1).
// The zero value demands nothing.
type Context struct {
	// Comparison is "exact", "minimum", "maximum" or "better".
	Comparison string
	// Classes are the class references, in the order of preference.
	Classes []string
	// Declarations says that it names declarations in the place of classes.
	Declarations bool
}

// Certificates finds the certificates of who says to have sent a message, by its issuer. An
// error ends the reading.
type Certificates func(issuer string) ([]*x509.Certificate, error)

// Incoming is a message as it came by one of the two bindings.
type Incoming struct {
	query Query
	form  bool
	xml   []byte
	relay string
}

// FromQuery takes a message from an address (HTTP Redirect binding).
func FromQuery(raw string) (Incoming, error) {
	q, err := ReadQuery(raw)
	if err != nil {
		return Incoming{}, err
	}
	plain, err := inflate(q.Message)
	return Incoming{query: q, xml: plain, relay: q.Relay}, err
}

// FromForm takes a message from a form (HTTP POST binding).
func FromForm(message, relay string) (Incoming, error) {
	plain, err := unbase64(message)
	return Incoming{form: true, xml: plain, relay: relay}, err
}

// Request reports whether an address brought a request; else it is a response.
func (in Incoming) Request() bool { return in.query.Request }

// Relay is the RelayState that came with it.
func (in Incoming) Relay() string { return in.relay }

// open reads the message, asks for the certificates of its issuer, and returns the element
// that is to be believed: that which the signature covers, where there is one.
func (in Incoming) open(tag string, of Certificates) (*etree.Element, Heading, error) {
	root, err := parse(in.xml)
	if err != nil {
		return nil, Heading{}, err
	}
	if !is(root, nsProtocol, tag) {
		return nil, Heading{}, malformed("The message is not the %s that is taken here.", tag)
	}
	h, err := heading(root)
	if err != nil {
		return nil, h, err
	}
	certificates, err := of(h.Issuer)
	if err != nil {
		return nil, h, err
	}
	switch {
	case signed(root): // also in an address, where it does not belong: a signature that is there is right
		if root, err = verified(root, certificates); err != nil {
			return nil, h, err
		}
		if h, err = heading(root); err != nil {
			return nil, h, err
		}
		h.Proof = Signed
	case count(root, func(el *etree.Element) bool { return el.Tag == "Signature" }) > 0:
		return nil, h, errShape
	}
	if !in.form && in.query.Signed() {
		if err := in.query.Verify(certificates); err != nil {
			return nil, h, err
		}
		h.Proof = Signed
	}
	return root, h, nil
}

// heading reads what every message begins with.
func heading(root *etree.Element) (Heading, error) {
	h := Heading{ID: attribute(root, "ID"), Destination: attribute(root, "Destination")}
	if !name(h.ID) {
		return h, malformed("The ID of the message is not one of 1 to 256 plain characters.")
	}
	if attribute(root, "Version") != "2.0" {
		return h, malformed("The message is not of SAML 2.0.")
	}
	var err error
	if h.Instant, err = instant(attribute(root, "IssueInstant")); err != nil {
		return h, err
	}
	issuer, err := child(root, nsAssertion, "Issuer")
	if err != nil || issuer == nil {
		return h, malformed("The message has no issuer, or two.")
	}
	if format := attribute(issuer, "Format"); format != "" && format != FormatEntity {
		return h, malformed("The issuer of the message is not named as an entity.")
	}
	if h.Issuer, err = text(issuer); err != nil {
		return h, err
	}
	if h.Issuer == "" || len(h.Issuer) > 1024 {
		return h, malformed("The issuer of the message is empty or longer than 1024 octets.")
	}
	return h, nil
}

// instant reads a moment, which is in UTC (SAML core, section 1.3.3).
func instant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if _, offset := t.Zone(); err != nil || offset != 0 || len(s) > 40 {
		return time.Time{}, malformed("A moment in the message is not one in UTC.")
	}
	return t.UTC(), nil
}

// AuthnRequest reads the message as a request to sign somebody in. A signature that it has is
// by one of the certificates, or it is refused; whether one is demanded, its caller decides.
func (in Incoming) AuthnRequest(of Certificates) (AuthnRequest, error) {
	root, h, err := in.open("AuthnRequest", of)
	r := AuthnRequest{Heading: h, Index: -1}
	if err != nil {
		return r, err
	}
	if err := onlyHas(root, [2]string{nsAssertion, "Issuer"}, [2]string{nsSignature, "Signature"}, [2]string{nsProtocol, "Extensions"}, [2]string{nsAssertion, "Subject"},
		[2]string{nsProtocol, "NameIDPolicy"}, [2]string{nsAssertion, "Conditions"}, [2]string{nsProtocol, "RequestedAuthnContext"}, [2]string{nsProtocol, "Scoping"}); err != nil {
		return r, err
	}
	if r.Force, err = flag(root, "ForceAuthn"); err != nil {
		return r, err
	}
	if r.Passive, err = flag(root, "IsPassive"); err != nil {
		return r, err
	}
	if err := r.readConsumer(root); err != nil {
		return r, err
	}
	if err := r.readPolicy(root); err != nil {
		return r, err
	}
	subject, err := child(root, nsAssertion, "Subject")
	if err != nil {
		return r, err
	}
	r.Subject = subject != nil
	r.Context, err = readContext(root)
	return r, err
}

// readConsumer reads where the response is asked for, by number or by address (SAML core,
// section 3.4.1: not by both).
func (r *AuthnRequest) readConsumer(root *etree.Element) error {
	r.ACS, r.Binding = attribute(root, "AssertionConsumerServiceURL"), attribute(root, "ProtocolBinding")
	number := attribute(root, "AssertionConsumerServiceIndex")
	if number == "" {
		return nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return malformed("AssertionConsumerServiceIndex is not a number from 0 to 65535.")
	}
	if r.ACS != "" || r.Binding != "" {
		return malformed("The request asks for the response both by an index and by an address or a binding.")
	}
	r.Index = int(n)
	return nil
}

func (r *AuthnRequest) readPolicy(root *etree.Element) error {
	policy, err := child(root, nsProtocol, "NameIDPolicy")
	if err != nil || policy == nil {
		return err
	}
	r.Policy, r.Format, r.Qualifier = true, attribute(policy, "Format"), attribute(policy, "SPNameQualifier")
	r.Create, err = flag(policy, "AllowCreate")
	return err
}

// mostClasses bounds the classes of a request.
const mostClasses = 20

func readContext(root *etree.Element) (c Context, err error) {
	el, err := child(root, nsProtocol, "RequestedAuthnContext")
	if err != nil || el == nil {
		return c, err
	}
	if err := onlyHas(el, [2]string{nsAssertion, "AuthnContextClassRef"}, [2]string{nsAssertion, "AuthnContextDeclRef"}); err != nil {
		return c, err
	}
	if c.Comparison = attribute(el, "Comparison"); c.Comparison == "" {
		c.Comparison = "exact"
	}
	if c.Comparison != "exact" && c.Comparison != "minimum" && c.Comparison != "maximum" && c.Comparison != "better" {
		return c, malformed("RequestedAuthnContext compares by something else than exact, minimum, maximum or better.")
	}
	c.Declarations = len(children(el, nsAssertion, "AuthnContextDeclRef")) > 0
	for _, one := range children(el, nsAssertion, "AuthnContextClassRef") {
		class, err := text(one)
		if err != nil {
			return c, err
		}
		c.Classes = append(c.Classes, class)
	}
	if len(c.Classes) > mostClasses || len(c.Classes) == 0 == !c.Declarations || c.Declarations && len(c.Classes) > 0 {
		return c, malformed("RequestedAuthnContext has no classes, too many, or classes and declarations.")
	}
	return c, nil
}
