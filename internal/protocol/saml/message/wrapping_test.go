package message

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// wrapping is one way to have a signed message verified and another one read: those of
// Somorovsky and others, "On Breaking SAML" (USENIX Security 2012), and what came after.
// Forged gets the signed message, and returns what an attacker sends.
type wrapping struct {
	name string
	of   func(t testing.TB, signed *etree.Element, evil forged) *etree.Element
}

// refusedAs is the guard that such a message meets first: its shape, before any key is tried, its
// algorithm, or that none of the registered keys made it. Behind each stands the library, which
// would refuse most of them too: so a guard that is gone is noticed by the reason alone.
func (w wrapping) refusedAs() string {
	switch w.name {
	case "SHA-1", "a digest by SHA-1", "an HMAC":
		return "refused weak-signature"
	case "changed behind the signature", "a signature without a value", "signed by a key that the signature brings", "the registered certificate, and another key's signature":
		return "refused wrong-signature"
	}
	return "refused signature-shape"
}

// forged is the message that an attacker wants to be read.
type forged string

func (f forged) as(t testing.TB, id string) *etree.Element {
	return tree(t, strings.Replace(string(f), "_req1", id, 1))
}

const evilRequest = ` AssertionConsumerServiceURL="https://evil.example.org/acs"`

// leaving is a request to sign somebody out.
func leaving(who string) string {
	return strings.ReplaceAll(request(issuer+"<saml:NameID>"+who+"</saml:NameID>"), "AuthnRequest", "LogoutRequest")
}

func signatureOf(el *etree.Element) *etree.Element { return children(el, nsSignature, "Signature")[0] }

// bare is a copy without its signature.
func bare(el *etree.Element) *etree.Element {
	c := el.Copy()
	c.RemoveChild(signatureOf(c))
	return c
}

func extensions(el *etree.Element, holding *etree.Element) {
	add(el, "samlp", "Extensions").AddChild(holding)
}

var wrappings = []wrapping{
	{"XSW1: the forged one around, the signature in it covers the original inside of the signature", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e, sig := evil.as(t, "_evil"), signatureOf(s).Copy()
		sig.AddChild(bare(s))
		e.InsertChildAt(1, sig)
		return e
	}},
	{"XSW2: the signature is detached, the original beside it", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e, sig := evil.as(t, "_evil"), signatureOf(s).Copy()
		e.InsertChildAt(1, sig)
		e.InsertChildAt(1, bare(s))
		return e
	}},
	{"XSW3: the forged one first, the signed one behind it in one element", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		out := evil.as(t, "_evil")
		extensions(out, s.Copy())
		return out
	}},
	{"XSW4: the signed one within the forged one", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e := evil.as(t, "_evil")
		e.AddChild(s.Copy())
		return e
	}},
	{"XSW5: the forged one has the signature, the original at the end", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e := evil.as(t, "_req1")
		e.InsertChildAt(1, signatureOf(s).Copy())
		e.AddChild(bare(s))
		return e
	}},
	{"XSW6: the original within the signature of the forged one", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e, sig := evil.as(t, "_req1"), signatureOf(s).Copy()
		object := add(sig, "ds", "Object")
		object.AddChild(bare(s))
		e.InsertChildAt(1, sig)
		return e
	}},
	{"XSW7: the original within extensions", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e := evil.as(t, "_req1")
		e.InsertChildAt(1, signatureOf(s).Copy())
		extensions(e, bare(s))
		return e
	}},
	{"XSW8: the original within an object of the signature, by another ID", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		e, sig := evil.as(t, "_evil"), signatureOf(s).Copy()
		add(sig, "ds", "Object").AddChild(bare(s))
		e.InsertChildAt(1, sig)
		return e
	}},
	{"the same ID twice", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		add(c, "samlp", "Extensions").CreateAttr("ID", "_req1")
		return c
	}},
	{"the same ID in small letters", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		add(c, "samlp", "Extensions").CreateAttr("id", "_req1")
		return c
	}},
	{"two signatures", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		c.InsertChildAt(1, signatureOf(s).Copy())
		return c
	}},
	{"a reference to the whole document", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		reference(c).CreateAttr("URI", "")
		return c
	}},
	{"two references", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		info := children(signatureOf(c), nsSignature, "SignedInfo")[0]
		info.AddChild(reference(c).Copy())
		return c
	}},
	{"two digests", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		reference(c).AddChild(children(reference(c), nsSignature, "DigestValue")[0].Copy())
		return c
	}},
	{"a transform that chooses", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		list := children(reference(c), nsSignature, "Transforms")[0]
		list.ChildElements()[1].CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")
		return c
	}},
	{"no transforms", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		reference(c).RemoveChild(children(reference(c), nsSignature, "Transforms")[0])
		return c
	}},
	{"two SignedInfo", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		sig := signatureOf(c)
		sig.AddChild(sig.ChildElements()[0].Copy())
		return c
	}},
	{"SHA-1", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		children(children(signatureOf(c), nsSignature, "SignedInfo")[0], nsSignature, "SignatureMethod")[0].CreateAttr("Algorithm", dsig.RSASHA1SignatureMethod)
		return c
	}},
	{"a digest by SHA-1", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		children(reference(c), nsSignature, "DigestMethod")[0].CreateAttr("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")
		return c
	}},
	{"an HMAC", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		children(children(signatureOf(c), nsSignature, "SignedInfo")[0], nsSignature, "SignatureMethod")[0].CreateAttr("Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")
		return c
	}},
	{"changed behind the signature", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		c.CreateAttr("Destination", "https://login.example.org/saml/slo")
		return c
	}},
	{"a signature without a value", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		sig := signatureOf(c)
		sig.RemoveChild(children(sig, nsSignature, "SignatureValue")[0])
		return c
	}},
	{"the signature somewhere else", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := bare(s)
		extensions(c, signatureOf(s).Copy())
		return c
	}},
	{"a second signature deeper inside", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := s.Copy()
		extensions(c, signatureOf(s).Copy())
		return c
	}},
	{"signed by a key that the signature brings", func(t testing.TB, _ *etree.Element, evil forged) *etree.Element {
		return envelopedBy(t, pairs().other, string(evil))
	}},
	{"the registered certificate, and another key's signature", func(t testing.TB, s *etree.Element, evil forged) *etree.Element {
		c := envelopedBy(t, pairs().other, string(evil))
		info := children(signatureOf(c), nsSignature, "KeyInfo")[0]
		info.ChildElements()[0].ChildElements()[0].SetText(base64.StdEncoding.EncodeToString(pairs().own.cert.Raw))
		return c
	}},
}

func reference(el *etree.Element) *etree.Element {
	return children(children(signatureOf(el), nsSignature, "SignedInfo")[0], nsSignature, "Reference")[0]
}

// The promise: whoever has a signed message has no other one believed with its signature.
func TestWrappedRequests(t *testing.T) {
	keys := pairs()
	for _, w := range wrappings {
		signed := envelopedBy(t, keys.own, request(issuer))
		if _, err := byForm(t, signed, keys.own.cert); err != nil {
			t.Fatal(err)
		}
		r, err := byForm(t, w.of(t, signed, forged(request(evilRequest+issuer))), keys.own.cert)
		if err == nil {
			t.Errorf("%s is believed: %+v", w.name, r)
		}
		if got := reason(err); got != w.refusedAs() {
			t.Errorf("%s: %s, not %s", w.name, got, w.refusedAs())
		}
	}
}

// The promise: so it is with a message that signs somebody out.
func TestWrappedLogout(t *testing.T) {
	keys := pairs()
	read := func(el *etree.Element) (LogoutRequest, error) {
		in, err := FromForm(text64(t, el), "")
		if err != nil {
			t.Fatal(err)
		}
		return in.LogoutRequest(of(keys.own.cert))
	}
	for _, w := range wrappings {
		signed := envelopedBy(t, keys.own, leaving("ada"))
		if r, err := read(signed); err != nil || r.Name != "ada" {
			t.Fatalf("%+v, %v", r, err)
		}
		r, err := read(w.of(t, signed, forged(leaving("mallory"))))
		if err == nil {
			t.Errorf("%s is believed: %+v", w.name, r)
		}
		if got := reason(err); got != w.refusedAs() {
			t.Errorf("%s: %s, not %s", w.name, got, w.refusedAs())
		}
	}
}

// FuzzLogout: nobody's message that signs somebody out is taken for a signed one, and each that
// is read names somebody.
func FuzzLogout(f *testing.F) {
	keys, stranger := pairs(), pairs().nobody
	f.Add([]byte(leaving("ada")))
	f.Add([]byte(strings.ReplaceAll(request(issuer+`<samlp:Status><samlp:StatusCode Value="x"/></samlp:Status>`), "AuthnRequest", "LogoutResponse")))
	for _, w := range wrappings {
		if b, err := write(w.of(f, envelopedBy(f, keys.own, leaving("ada")), forged(leaving("mallory")))); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, xml []byte) {
		in := Incoming{form: true, xml: xml}
		if r, err := in.LogoutRequest(of(stranger.cert)); err == nil && (r.Proof == Signed || r.Name == "" || !name(r.ID) || r.Issuer != spEntity) {
			t.Errorf("%+v of %q", r, xml)
		}
		if r, err := in.LogoutResponse(of(stranger.cert)); err == nil && (r.Proof == Signed || r.Issuer != spEntity) {
			t.Errorf("%+v of %q", r, xml)
		}
		_, _ = in.LogoutRequest(of(keys.own.cert))
	})
}

// What a signature says of keys is not looked at: an address in it is not fetched, and none
// or another certificate makes no difference.
func TestKeysOfTheSignatureItself(t *testing.T) {
	keys := pairs()
	for name, change := range map[string]func(info *etree.Element){
		"none": func(info *etree.Element) { info.Parent().RemoveChild(info) },
		"an address": func(info *etree.Element) {
			add(info, "ds", "RetrievalMethod").CreateAttr("URI", "http://127.0.0.1:1/key")
		},
		"another's": func(info *etree.Element) {
			info.ChildElements()[0].ChildElements()[0].SetText(base64.StdEncoding.EncodeToString(keys.other.cert.Raw))
		},
		"nonsense": func(info *etree.Element) { info.ChildElements()[0].ChildElements()[0].SetText("!") },
	} {
		signed := envelopedBy(t, keys.own, request(issuer))
		change(children(signatureOf(signed), nsSignature, "KeyInfo")[0])
		if r, err := byForm(t, signed, keys.own.cert); err != nil || r.Proof != Signed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
