package message

import (
	"github.com/beevik/etree"
)

// The SOAP binding (SAML bindings, section 3.2): a message is the one child of the body of a SOAP
// 1.1 envelope, in a request over HTTP and in its answer, and no browser carries it.
const (
	BindingSOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
	nsSOAP      = "http://schemas.xmlsoap.org/soap/envelope/"
)

// FromSOAP takes a message from an envelope. A header that must be understood is none that we do,
// and so malformed.
func FromSOAP(b []byte) (Incoming, error) {
	root, err := parse(b)
	if err != nil {
		return Incoming{}, err
	}
	if !is(root, nsSOAP, "Envelope") || onlyHas(root, [2]string{nsSOAP, "Header"}, [2]string{nsSOAP, "Body"}) != nil {
		return Incoming{}, malformed("The message is no SOAP 1.1 envelope.")
	}
	header, err := child(root, nsSOAP, "Header")
	if err != nil {
		return Incoming{}, err
	}
	if header != nil && count(header, func(el *etree.Element) bool { return mustUnderstand(el) }) > 0 {
		return Incoming{}, malformed("The envelope has a header that must be understood, and is not.")
	}
	body, err := child(root, nsSOAP, "Body")
	if err != nil || body == nil || len(body.ChildElements()) != 1 {
		return Incoming{}, malformed("The body of the envelope does not hold exactly one message.")
	}
	alone, err := write(carved(body.ChildElements()[0]))
	return Incoming{form: true, xml: alone}, err
}

func mustUnderstand(el *etree.Element) bool {
	for _, a := range el.Attr {
		if a.Key == "mustUnderstand" && a.Value != "0" {
			return true
		}
	}
	return false
}

// carved is an element by itself, with the namespaces that were declared around it: what signs it
// covers those that it uses (exclusive canonicalization), wherever they are declared.
func carved(el *etree.Element) *etree.Element {
	out := el.Copy()
	has := map[string]bool{}
	for _, a := range out.Attr {
		has[a.FullKey()] = true
	}
	for up := el.Parent(); up != nil; up = up.Parent() {
		for _, a := range up.Attr {
			declares := a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns"
			if declares && !has[a.FullKey()] {
				has[a.FullKey()] = true
				out.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	return out
}

// SOAP is the message in an envelope, signed within.
func (o Outgoing) SOAP(by Credential) ([]byte, error) {
	if err := sign(o.el, by); err != nil {
		return nil, err
	}
	envelope := enveloped11()
	envelope.ChildElements()[0].AddChild(o.el)
	return write(envelope)
}

func enveloped11() *etree.Element {
	envelope := &etree.Element{Space: "soap", Tag: "Envelope"}
	envelope.CreateAttr("xmlns:soap", nsSOAP)
	add(envelope, "soap", "Body")
	return envelope
}

// SOAPFault says that an envelope was not taken (SOAP 1.1, section 4.4), in a sentence.
func SOAPFault(says string) ([]byte, error) {
	envelope := enveloped11()
	fault := add(envelope.ChildElements()[0], "soap", "Fault")
	code := fault.CreateElement("faultcode")
	code.SetText("soap:Client")
	fault.CreateElement("faultstring").SetText(says)
	return write(envelope)
}
