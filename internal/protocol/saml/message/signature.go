package message

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"countersign/internal/failure"
)

// Credential is what a party signs with: its private key, and the certificate of it, in DER.
type Credential struct {
	Signer      crypto.Signer
	Certificate []byte
}

const (
	rsaSHA256 = dsig.RSASHA256SignatureMethod
	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// methods are the signatures that are believed. Those with SHA-1 and HMAC are not among them:
// the first can be forged, and by the second whoever has our public words could sign. Nor are
// those with ECDSA, which libraries write in two forms; RSA is what all must have (SAML
// conformance, section 4).
var methods = map[string]x509.SignatureAlgorithm{
	rsaSHA256:                     x509.SHA256WithRSA,
	dsig.RSASHA384SignatureMethod: x509.SHA384WithRSA,
	dsig.RSASHA512SignatureMethod: x509.SHA512WithRSA,
}

var digests = []string{"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512"}

func refuse(reason, says string) error { return failure.Refuse(reason, says) }

var (
	errSignature = refuse("wrong-signature", "The signature is not by a key that this application is registered with.")
	errWeak      = refuse("weak-signature", "The signature is by an algorithm that is not believed: use RSA with SHA-256.")
	errShape     = refuse("signature-shape", "The signature does not cover exactly the message that it is in.")
)

// sign puts an enveloped signature behind the issuer of an element, which has an ID (SAML
// core, section 5.4).
func sign(el *etree.Element, by Credential) error {
	ctx, err := dsig.NewSigningContext(by.Signer, [][]byte{by.Certificate})
	if err != nil {
		return err
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := ctx.ConstructSignature(el, true)
	if err != nil {
		return err
	}
	at := 0
	if len(children(el, nsAssertion, "Issuer")) > 0 {
		at = 1
	}
	el.InsertChildAt(at, signature)
	return nil
}

// signed reports whether an element has a signature of its own.
func signed(el *etree.Element) bool { return len(children(el, nsSignature, "Signature")) > 0 }

// verified returns an element as its enveloped signature covers it, read anew from the
// covered bytes, where one of the certificates' keys made the signature. What key, certificate
// or address a signature itself names is not looked at.
func verified(root *etree.Element, by []*x509.Certificate) (*etree.Element, error) {
	return verifiedAround(root, 0, by)
}

// verifiedAround is verified for an element within which others are signed: so many of them, which
// its own signature covers as they stand.
func verifiedAround(root *etree.Element, inner int, by []*x509.Certificate) (*etree.Element, error) {
	if err := checkShape(root, inner); err != nil {
		return nil, err
	}
	bare := root.Copy()
	signature := children(bare, nsSignature, "Signature")[0]
	for _, info := range children(signature, nsSignature, "KeyInfo") {
		signature.RemoveChild(info)
	}
	for _, certificate := range by {
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{certificate}})
		// The key is believed because an administrator registered it, for as long as it is
		// registered: SAML's certificates carry keys and no promise of dates.
		ctx.Clock = dsig.NewFakeClockAt(certificate.NotBefore)
		if el, err := ctx.Validate(bare); err == nil && el != nil && el.Tag == root.Tag && el.NamespaceURI() == root.NamespaceURI() && attribute(el, "ID") == attribute(root, "ID") {
			return el, nil
		}
	}
	return nil, errSignature
}

// checkShape takes one signature beside those of elements within, of the whole message that it is directly in, by algorithms
// that are believed, and no ID twice (SAML core, section 5.4.2): every published way of
// wrapping a signed message in another needs something else.
func checkShape(root *etree.Element, inner int) error {
	own := children(root, nsSignature, "Signature")
	if len(own) != 1 || count(root, func(el *etree.Element) bool { return el.Tag == "Signature" }) != 1+inner {
		return errShape
	}
	id := attribute(root, "ID")
	if !name(id) || count(root, func(el *etree.Element) bool { return hasID(el, id) }) != 1 {
		return errShape
	}
	info, err := child(own[0], nsSignature, "SignedInfo")
	if err != nil || info == nil || onlyHas(own[0], [2]string{nsSignature, "SignedInfo"}, [2]string{nsSignature, "SignatureValue"}, [2]string{nsSignature, "KeyInfo"}) != nil {
		return errShape
	}
	return checkInfo(info, id)
}

// hasID reports whether an attribute of an element could be taken for this ID.
func hasID(el *etree.Element, id string) bool {
	return slices.ContainsFunc(el.Attr, func(a etree.Attr) bool { return strings.EqualFold(a.Key, "id") && a.Value == id })
}

func count(el *etree.Element, of func(*etree.Element) bool) (n int) {
	if of(el) {
		n++
	}
	for _, c := range el.ChildElements() {
		n += count(c, of)
	}
	return n
}

func checkInfo(info *etree.Element, id string) error {
	if err := onlyHas(info, [2]string{nsSignature, "CanonicalizationMethod"}, [2]string{nsSignature, "SignatureMethod"}, [2]string{nsSignature, "Reference"}); err != nil {
		return errShape
	}
	canonical, method, reference := children(info, nsSignature, "CanonicalizationMethod"), children(info, nsSignature, "SignatureMethod"), children(info, nsSignature, "Reference")
	if len(canonical) != 1 || len(method) != 1 || len(reference) != 1 || attribute(reference[0], "URI") != "#"+id {
		return errShape
	}
	if attribute(canonical[0], "Algorithm") != exclusive {
		return errShape
	}
	if _, ok := methods[attribute(method[0], "Algorithm")]; !ok {
		return errWeak
	}
	digest := children(reference[0], nsSignature, "DigestMethod")
	if len(digest) != 1 || len(children(reference[0], nsSignature, "DigestValue")) != 1 {
		return errShape
	}
	if !slices.Contains(digests, attribute(digest[0], "Algorithm")) {
		return errWeak
	}
	return checkTransforms(reference[0])
}

// checkTransforms takes the two transforms that SAML knows (core, section 5.4.4), in their
// order.
func checkTransforms(reference *etree.Element) error {
	lists := children(reference, nsSignature, "Transforms")
	if len(lists) != 1 {
		return errShape
	}
	var named []string
	for _, t := range lists[0].ChildElements() {
		named = append(named, attribute(t, "Algorithm"))
	}
	if !slices.Equal(named, []string{enveloped, exclusive}) {
		return errShape
	}
	return nil
}

// Query are the parameters of the HTTP Redirect binding (SAML bindings, section 3.4.4), as
// they were in the address.
type Query struct {
	// Message is the deflated message, decoded from base64.
	Message []byte
	Relay   string
	// Request says that it is a request; else it is a response.
	Request bool

	raw       string // what is signed, octet for octet
	algorithm string
	signature []byte
}

// Signed reports whether the address has a signature.
func (q Query) Signed() bool { return q.signature != nil }

// ReadQuery takes the parameters from an address. One that is there twice, or is not in
// base64, is malformed.
func ReadQuery(raw string) (Query, error) {
	var q Query
	held := map[string]string{}
	for part := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return q, malformed("The address is not well-formed.")
		}
		if plain != "SAMLRequest" && plain != "SAMLResponse" && plain != "RelayState" && plain != "SigAlg" && plain != "Signature" && plain != "SAMLEncoding" {
			continue
		}
		if _, twice := held[plain]; twice || key != plain {
			return q, malformed("The address has the parameter %s twice, or spelled in another way.", plain)
		}
		held[plain] = value
	}
	return q, q.fill(held)
}

func (q *Query) fill(held map[string]string) error {
	sent, request := held["SAMLRequest"]
	response, answers := held["SAMLResponse"]
	if request == answers {
		return malformed("The address has no SAMLRequest.")
	}
	q.Request = request
	kind := "SAMLRequest="
	if answers {
		sent, kind = response, "SAMLResponse="
	}
	var err error
	if q.Message, err = decoded(sent); err != nil {
		return err
	}
	if encoding, _ := url.QueryUnescape(held["SAMLEncoding"]); encoding != "" && encoding != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
		return malformed("The message is in an encoding other than DEFLATE.")
	}
	if q.Relay, err = url.QueryUnescape(held["RelayState"]); err != nil {
		return malformed("The RelayState is not well-formed.")
	}
	return q.fillSignature(held, kind+sent)
}

func (q *Query) fillSignature(held map[string]string, signed string) error {
	signature, there := held["Signature"]
	algorithm, named := held["SigAlg"]
	if there != named {
		return malformed("The address has a signature without its algorithm, or an algorithm without a signature.")
	}
	if !there {
		return nil
	}
	if relay, has := held["RelayState"]; has {
		signed += "&RelayState=" + relay
	}
	q.raw = signed + "&SigAlg=" + algorithm
	var err error
	if q.algorithm, err = url.QueryUnescape(algorithm); err != nil {
		return malformed("The algorithm of the signature is not well-formed.")
	}
	q.signature, err = decoded(signature)
	return err
}

// decoded is a parameter's octets. Line breaks are taken out, which some programs leave in.
func decoded(escaped string) ([]byte, error) {
	plain, err := url.QueryUnescape(escaped)
	if err != nil {
		return nil, malformed("A parameter of the address is not well-formed.")
	}
	return unbase64(plain)
}

func unbase64(plain string) ([]byte, error) {
	if len(plain) > 2*Longest {
		return nil, malformed("The message is too long.")
	}
	b, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(plain))
	if err != nil || len(b) == 0 {
		return nil, malformed("The message is not in base64.")
	}
	return b, nil
}

// Verify is nil if one of the certificates' keys signed the address.
func (q Query) Verify(by []*x509.Certificate) error {
	algorithm, ok := methods[q.algorithm]
	if !ok {
		return errWeak
	}
	for _, certificate := range by {
		if certificate.CheckSignature(algorithm, []byte(q.raw), q.signature) == nil {
			return nil
		}
	}
	return errSignature
}

// signQuery signs the parameters of an address.
func signQuery(query string, by Credential) (string, error) {
	sum := sha256.Sum256([]byte(query))
	b, err := by.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	return base64Of(b), err
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
