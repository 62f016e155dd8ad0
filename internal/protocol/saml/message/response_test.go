package message

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

const acs = "https://wiki.example.org/saml/acs"

func response(encrypt *x509.Certificate) Response {
	return Response{ID: "_res1", Issuer: "https://login.example.org/saml/metadata", Destination: acs, Audience: spEntity, InResponseTo: "_req1", Issued: began, Status: Status{Code: Success}, Encrypt: encrypt,
		Assertion: &Assertion{ID: "_ass1", Subject: NameID{Value: "n4m3 & <co>\r\n", Format: FormatPersistent, By: "a", For: spEntity}, Class: "https://refeds.org/profile/mfa", Authenticated: began.Add(-time.Minute), Index: "ix", Until: began.Add(time.Hour),
			Attributes: []Attribute{{Name: "urn:oid:0.9.2342.19200300.100.1.3", Friendly: "mail", Values: []string{"ada@example.org"}}, {Name: "groups", Values: []string{"a\tb", "\"c\"\n", "<d>"}}}}}
}

// believed is what a library verifies of an element that was written and read again.
func believed(t *testing.T, el *etree.Element, by pair) *etree.Element {
	t.Helper()
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{by.cert}})
	ctx.Clock = dsig.NewFakeClockAt(began)
	out, err := ctx.Validate(el)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Response and assertion are each signed so that what is read is what was written, whatever
// a name or an attribute holds.
func TestAResponseIsSigned(t *testing.T) {
	by := pairs().own
	b, err := response(nil).Write(by.credential())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(b); err != nil {
		t.Errorf("what we write is not what we would read: %v", err)
	}
	whole := believed(t, tree(t, string(b)), by)
	if attribute(whole, "InResponseTo") != "_req1" || attribute(whole, "Destination") != acs {
		t.Errorf("%s", b)
	}
	assertion := believed(t, children(tree(t, string(b)), nsAssertion, "Assertion")[0], by)
	name := assertion.FindElement("./Subject/NameID")
	if name.Text() != "n4m3 & <co>\r\n" || attribute(name, "SPNameQualifier") != spEntity {
		t.Errorf("the name is %q", name.Text())
	}
	var values []string
	for _, v := range assertion.FindElements("./AttributeStatement/Attribute/AttributeValue") {
		values = append(values, v.Text())
	}
	if strings.Join(values, "|") != "ada@example.org|a\tb|\"c\"\n|<d>" {
		t.Errorf("%q", values)
	}
	data := assertion.FindElement("./Subject/SubjectConfirmation/SubjectConfirmationData")
	if attribute(data, "Recipient") != acs || attribute(data, "InResponseTo") != "_req1" || attribute(data, "NotOnOrAfter") != moment(began.Add(Late)) || attribute(data, "NotBefore") != "" {
		t.Error("the confirmation is another")
	}
	if a := assertion.FindElement("./Conditions/AudienceRestriction/Audience"); a.Text() != spEntity {
		t.Errorf("for %q", a.Text())
	}
	statement := assertion.FindElement("./AuthnStatement")
	if attribute(statement, "AuthnInstant") != moment(began.Add(-time.Minute)) || attribute(statement, "SessionIndex") != "ix" || attribute(statement, "SessionNotOnOrAfter") != moment(began.Add(time.Hour)) {
		t.Error("the statement is another")
	}
}

// A failure asserts nothing.
func TestAFailureAssertsNothing(t *testing.T) {
	r := response(nil)
	r.Assertion, r.Status = nil, Status{Code: Responder, Second: NoAuthnContext, Says: "It cannot be."}
	b, err := r.Write(pairs().own.credential())
	if err != nil || bytes.Contains(b, []byte("Assertion ")) || bytes.Contains(b, []byte("ada@")) {
		t.Fatalf("%s %v", b, err)
	}
	whole := believed(t, tree(t, string(b)), pairs().own)
	if code := whole.FindElement("./Status/StatusCode/StatusCode"); attribute(code, "Value") != NoAuthnContext {
		t.Errorf("%s", b)
	}
}

// An encrypted assertion is read by whoever has the key, and says nothing to others.
func TestAnAssertionIsEncrypted(t *testing.T) {
	by, to := pairs().own, pairs().other
	b, err := response(to.cert).Write(by.credential())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"n4m3", "ada@", "refeds"} {
		if bytes.Contains(b, []byte(word)) {
			t.Errorf("%s can be read", word)
		}
	}
	root := believed(t, tree(t, string(b)), by)
	secret := func(path string) []byte {
		v, err := base64.StdEncoding.DecodeString(root.FindElement(path).Text())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	key, err := rsa.DecryptOAEP(sha1.New(), nil, to.key.(*rsa.PrivateKey), secret("./EncryptedAssertion/EncryptedData/KeyInfo/EncryptedKey/CipherData/CipherValue"), nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed := secret("./EncryptedAssertion/EncryptedData/CipherData/CipherValue")
	plain, err := gcm.Open(nil, sealed[:12], sealed[12:], nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := believed(t, tree(t, string(plain)), by); a.FindElement("./Subject/NameID").Text() != "n4m3 & <co>\r\n" {
		t.Errorf("%s", plain)
	}
}

// Metadata announces every key, and is signed.
func TestMetadataOut(t *testing.T) {
	by := pairs().own
	p := Provider{ID: "_m", Entity: "https://login.example.org/saml/metadata", SignIn: "https://login.example.org/saml/sso", SignOut: "https://login.example.org/saml/slo",
		Certificates: [][]byte{by.cert.Raw, pairs().other.cert.Raw}, Formats: []string{FormatPersistent}, Until: began}
	b, err := p.Write(by.credential())
	if err != nil {
		t.Fatal(err)
	}
	root := believed(t, tree(t, string(b)), by)
	if n := len(root.FindElements("./IDPSSODescriptor/KeyDescriptor")); n != 2 {
		t.Errorf("%d keys", n)
	}
	if n := len(root.FindElements("./IDPSSODescriptor/SingleSignOnService")); n != 2 {
		t.Errorf("%d services", n)
	}
}
