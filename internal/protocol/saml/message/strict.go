// Package message reads and writes the messages of SAML 2.0: requests to sign in and out,
// responses, assertions, metadata.
//
// It owns their XML: how strictly it is read, how it is signed, checked and encrypted. It
// knows no application, no engine and no network, and the moment is always an argument. Its
// neighbour is protocol/saml. Its one invariant: of what came from outside, nothing is
// returned that was not read from exactly the bytes that a signature covers, where there is
// one.
package message

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/beevik/etree"
	xrv "github.com/mattermost/xml-roundtrip-validator"

	"countersign/internal/failure"
)

// The bounds of a message. A request has a few hundred octets, and metadata of one party
// some thousands.
const (
	// Longest is how many octets of XML are read.
	Longest = 128 << 10
	deepest = 24
	// most bounds elements and attributes together.
	most = 4000
)

// The namespaces (SAML core, section 1.1; XML Signature; XML Encryption; SAML metadata).
const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsEncrypted = "http://www.w3.org/2001/04/xmlenc#"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
)

func malformed(format string, args ...any) error {
	e := failure.New(failure.Invalid, format, args...)
	e.Reason = "malformed"
	return e
}

// parse reads XML of which there can be one reading only. It takes no document type, no
// entity but the five of XML itself, no processing instruction, no comment and no CDATA, so
// that no text can be read in two ways, and nothing that another parser of Go reads otherwise.
func parse(b []byte) (*etree.Element, error) {
	if len(b) > Longest {
		return nil, malformed("The message is longer than %d octets.", Longest)
	}
	if bytes.Contains(b, []byte("<![CDATA[")) {
		return nil, malformed("The message has a CDATA section, which SAML messages do not need.")
	}
	if err := walk(b); err != nil {
		return nil, err
	}
	if err := xrv.Validate(bytes.NewReader(b)); err != nil {
		return nil, malformed("The message is read differently by different programs.")
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(b); err != nil || doc.Root() == nil {
		return nil, malformed("The message is not well-formed XML.")
	}
	return doc.Root(), nil
}

// walk looks at every token before a tree is made of them.
func walk(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Entity = map[string]string{}
	depth, count, roots := 0, 0, 0
	for first := true; ; first = false {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return malformed("The message is not well-formed XML in UTF-8.")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			count += 1 + len(t.Attr)
			if repeats(t.Attr) {
				return malformed("An element of the message has an attribute twice.")
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return malformed("The message has text outside of its element.")
			}
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return malformed("The message has a processing instruction.")
			}
		case xml.Comment:
			return malformed("The message has a comment, which could hide a part of a text.")
		case xml.Directive:
			return malformed("The message has a document type.")
		}
		if depth > deepest || count > most || depth < 0 || roots > 1 {
			return malformed("The message is nested too deeply or has too many parts.")
		}
	}
	if depth != 0 || roots != 1 {
		return malformed("The message is not one whole element.")
	}
	return nil
}

func repeats(all []xml.Attr) bool {
	for i, a := range all {
		for _, o := range all[:i] {
			if a.Name == o.Name {
				return true
			}
		}
	}
	return false
}

// is reports whether an element has this name in this namespace.
func is(el *etree.Element, ns, tag string) bool {
	return el != nil && el.Tag == tag && el.NamespaceURI() == ns
}

// children are the elements of this name among an element's own.
func children(el *etree.Element, ns, tag string) []*etree.Element {
	var out []*etree.Element
	for _, c := range el.ChildElements() {
		if is(c, ns, tag) {
			out = append(out, c)
		}
	}
	return out
}

// child is the one of this name; nil where there is none. Two are malformed.
func child(el *etree.Element, ns, tag string) (*etree.Element, error) {
	switch all := children(el, ns, tag); len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return nil, malformed("The message has the element %s twice.", tag)
}

// text is an element's text, without white space around it. An element within is malformed.
func text(el *etree.Element) (string, error) {
	if el == nil {
		return "", nil
	}
	if len(el.ChildElements()) > 0 {
		return "", malformed("The element %s holds more than a text.", el.Tag)
	}
	return strings.TrimSpace(el.Text()), nil
}

// attribute is one without a namespace.
func attribute(el *etree.Element, name string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

// flag is an xs:boolean attribute; false where there is none.
func flag(el *etree.Element, name string) (bool, error) {
	switch attribute(el, name) {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	}
	return false, malformed("The attribute %s is neither true nor false.", name)
}

// onlyHas says of an element that it has no other children than these, by name.
func onlyHas(el *etree.Element, names ...[2]string) error {
next:
	for _, c := range el.ChildElements() {
		for _, n := range names {
			if is(c, n[0], n[1]) {
				continue next
			}
		}
		return malformed("The element %s holds the element %s, which it cannot.", el.Tag, c.Tag)
	}
	return nil
}

// name reports whether a text is an xs:ID that we take: it must not begin with a digit (XML
// Namespaces, NCName), and is of plain characters.
func name(id string) bool {
	if id == "" || len(id) > 256 {
		return false
	}
	for i, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return true
}
