package message

import (
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
)

// asserting is an assertion about somebody, as an identity provider writes it. The namespaces are declared on
// the response around it alone.
func asserting(who, id string) string {
	return `<saml:Assertion ID="` + id + `" Version="2.0" IssueInstant="` + moment(began) + `"><saml:Issuer>` + spEntity + `</saml:Issuer><saml:Subject><saml:NameID Format="` + FormatPersistent + `">` + who +
		`</saml:NameID><saml:SubjectConfirmation Method="` + bearer + `"><saml:SubjectConfirmationData InResponseTo="_asked" NotOnOrAfter="` + moment(began.Add(time.Minute)) + `" Recipient="https://login.example.org/back"/></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="` + moment(began) + `" NotOnOrAfter="` + moment(began.Add(time.Minute)) + `"><saml:AudienceRestriction><saml:Audience>us</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
		`<saml:AuthnStatement AuthnInstant="` + moment(began) + `"><saml:AuthnContext><saml:AuthnContextClassRef>mfa</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
		`<saml:AttributeStatement><saml:Attribute Name="mail"><saml:AttributeValue>` + who + `@partner.example</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>`
}

// responding is a response around parts.
func responding(id, parts string) string {
	return `<samlp:Response xmlns:samlp="` + nsProtocol + `" xmlns:saml="` + nsAssertion + `" ID="` + id + `" Version="2.0" IssueInstant="` + moment(began) + `" Destination="https://login.example.org/back" InResponseTo="_asked"><saml:Issuer>` + spEntity +
		`</saml:Issuer><samlp:Status><samlp:StatusCode Value="` + Success + `"/></samlp:Status>` + parts + `</samlp:Response>`
}

func assertedOf(t testing.TB, el *etree.Element) (Asserted, error) {
	t.Helper()
	in, err := FromForm(text64(t, el), "")
	if err != nil {
		return Asserted{}, err
	}
	return in.AssertedOf(of(pairs().own.cert))
}

// signedWithin is a response whose assertion is signed where it stands.
func signedWithin(t testing.TB, by pair, xml string) *etree.Element {
	t.Helper()
	root := tree(t, xml)
	assertion := children(root, nsAssertion, "Assertion")[0]
	// As a party signs that writes an assertion first, with its namespace on it.
	alone := tree(t, strings.Replace(textOf(t, assertion), "<saml:Assertion", `<saml:Assertion xmlns:saml="`+nsAssertion+`"`, 1))
	if err := sign(alone, by.credential()); err != nil {
		t.Fatal(err)
	}
	root.RemoveChild(assertion)
	root.AddChild(alone)
	return root
}

func textOf(t testing.TB, el *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(el.Copy())
	s, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The promise: somebody is asserted where the assertion is signed, or the response around it, or both;
// and all that is read is of what was signed.
func TestAnAssertionIsRead(t *testing.T) {
	keys := pairs()
	both := signedWithin(t, keys.own, responding("_req1", asserting("ada", "_a1")))
	if err := sign(both, keys.own.credential()); err != nil {
		t.Fatal(err)
	}
	for what, el := range map[string]*etree.Element{"the assertion": signedWithin(t, keys.own, responding("_req1", asserting("ada", "_a1"))), "the response": envelopedBy(t, keys.own, responding("_req1", asserting("ada", "_a1"))), "both": both} {
		a, err := assertedOf(t, el)
		if err != nil || a.Name.Value != "ada" || a.Answers != "_asked" || a.Recipient != "https://login.example.org/back" || a.Class != "mfa" || a.By != spEntity || len(a.Audiences) != 1 || a.Attributes["mail"][0] != "ada@partner.example" || !a.Authenticated.Equal(began) {
			t.Errorf("%s is signed: %+v, %v", what, a, err)
		}
		if (a.Proof == Signed) != (what != "the assertion") {
			t.Errorf("%s is signed, and the heading is believed: %t", what, a.Proof == Signed)
		}
	}
}

// The promise: whoever has a signed response, or a signed assertion, has no other person believed
// with its signature: in every published shape, around the response and around the assertion.
func TestWrappedResponses(t *testing.T) {
	keys := pairs()
	for _, w := range wrappings {
		whole := envelopedBy(t, keys.own, responding("_req1", asserting("ada", "_a1")))
		if a, err := assertedOf(t, w.of(t, whole, forged(responding("_req1", asserting("eve", "_a2"))))); err == nil {
			t.Errorf("%s, around the response: %q is believed", w.name, a.Name.Value)
		}
		within := signedWithin(t, keys.own, responding("_r", asserting("ada", "_req1")))
		one := children(within, nsAssertion, "Assertion")[0]
		evil := forged(strings.Replace(asserting("eve", "_req1"), "<saml:Assertion", `<saml:Assertion xmlns:samlp="`+nsProtocol+`" xmlns:saml="`+nsAssertion+`"`, 1))
		wrapped := w.of(t, one, evil)
		within.RemoveChild(one)
		within.AddChild(wrapped)
		if a, err := assertedOf(t, within); err == nil {
			t.Errorf("%s, around the assertion: %q is believed", w.name, a.Name.Value)
		}
	}
}

func TestResponsesThatAssertNothing(t *testing.T) {
	keys := pairs()
	good := responding("_req1", asserting("ada", "_a1"))
	signedOne := func(edit func(root *etree.Element)) *etree.Element {
		el := signedWithin(t, keys.own, good)
		edit(el)
		return el
	}
	other := tree(t, strings.Replace(asserting("eve", "_a2"), "<saml:Assertion", `<saml:Assertion xmlns:saml="`+nsAssertion+`"`, 1))
	for what, el := range map[string]*etree.Element{
		"nothing is signed":         tree(t, good),
		"signed by another key":     signedWithin(t, keys.other, good),
		"an unsigned one before it": signedOne(func(r *etree.Element) { r.InsertChildAt(2, other.Copy()) }),
		"an unsigned one behind it": signedOne(func(r *etree.Element) { r.AddChild(other.Copy()) }),
		"one in extensions":         signedOne(func(r *etree.Element) { extensions(r, other.Copy()) }),
		"one in the status":         signedOne(func(r *etree.Element) { r.ChildElements()[1].AddChild(other.Copy()) }),
		"the response has its ID":   signedOne(func(r *etree.Element) { r.CreateAttr("ID", "_a1") }),
		"a signature of nobody beside": signedOne(func(r *etree.Element) {
			r.InsertChildAt(1, signatureOf(children(r, nsAssertion, "Assertion")[0]).Copy())
		}),
		"encrypted":                tree(t, strings.ReplaceAll(responding("_r", `<saml:EncryptedAssertion/>`), "_r", "_req1")),
		"two conditions":           envelopedBy(t, keys.own, responding("_req1", strings.Replace(asserting("ada", "_a1"), "<saml:Conditions", `<saml:Conditions/><saml:Conditions`, 1))),
		"a condition nobody knows": envelopedBy(t, keys.own, responding("_req1", strings.Replace(asserting("ada", "_a1"), "<saml:AudienceRestriction>", `<saml:Condition/><saml:AudienceRestriction>`, 1))),
		"no conditions":            envelopedBy(t, keys.own, responding("_req1", strings.Replace(strings.Replace(asserting("ada", "_a1"), "<saml:Conditions", `<saml:Advice`, 1), "</saml:Conditions", "</saml:Advice", 1))),
		"no bearer":                envelopedBy(t, keys.own, responding("_req1", strings.Replace(asserting("ada", "_a1"), bearer, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches", 1))),
		"two statements":           envelopedBy(t, keys.own, responding("_req1", strings.Replace(asserting("ada", "_a1"), "<saml:AuthnStatement", `<saml:AuthnStatement/><saml:AuthnStatement`, 1))),
		"an attribute twice":       envelopedBy(t, keys.own, responding("_req1", strings.Replace(asserting("ada", "_a1"), "<saml:Attribute ", `<saml:Attribute Name="mail"/><saml:Attribute `, 1))),
	} {
		if a, err := assertedOf(t, el); err == nil {
			t.Errorf("%s: %q is believed", what, a.Name.Value)
		}
	}
	// A name that is cut by a comment, a section or an instruction is no message at all.
	for _, cut := range []string{"ada<!-- -->.evil", "ada<![CDATA[.evil]]>", "ada<?x?>.evil"} {
		in := Incoming{form: true, xml: []byte(responding("_req1", asserting(cut, "_a1")))}
		if _, err := in.AssertedOf(of(keys.own.cert)); err == nil || reason(err) == "refused unsigned" {
			t.Errorf("%s: %v", cut, err)
		}
	}
	failed, err := assertedOf(t, tree(t, strings.Replace(responding("_req1", ""), Success, Responder, 1)))
	if err != nil || failed.By != "" || failed.Code != Responder {
		t.Errorf("a failure: %+v, %v", failed, err)
	}
}

// FuzzAsserted: nobody is asserted by what a stranger signed.
func FuzzAsserted(f *testing.F) {
	keys := pairs()
	f.Add([]byte(responding("_req1", asserting("ada", "_a1"))))
	for _, w := range wrappings {
		if b, err := write(w.of(f, envelopedBy(f, keys.own, responding("_req1", asserting("ada", "_a1"))), forged(responding("_req1", asserting("eve", "_a2"))))); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, xml []byte) {
		in := Incoming{form: true, xml: xml}
		if a, err := in.AssertedOf(of(keys.nobody.cert)); err == nil && a.By != "" {
			t.Errorf("%q is believed", a.Name.Value)
		}
	})
}
