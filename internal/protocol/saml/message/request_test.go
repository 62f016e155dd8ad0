package message

import (
	"encoding/base64"
	"strings"
	"testing"

	dsig "github.com/russellhaering/goxmldsig"
)

// A request is read by both bindings, with a signature and without one.
func TestARequestIsRead(t *testing.T) {
	keys := pairs()
	whole := request(` ForceAuthn="1" IsPassive="false" AssertionConsumerServiceURL="https://wiki.example.org/acs" ProtocolBinding="` + BindingPost + `"` + issuer +
		`<samlp:NameIDPolicy Format="` + FormatTransient + `" AllowCreate="true"/><samlp:RequestedAuthnContext Comparison="minimum"><saml:AuthnContextClassRef>https://refeds.org/profile/mfa</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`)
	check := func(how string, r AuthnRequest, err error, proof Proof) {
		t.Helper()
		if err != nil || r.ID != "_req1" || r.Issuer != spEntity || !r.Instant.Equal(began) || !r.Force || r.Passive || r.ACS != "https://wiki.example.org/acs" || r.Index != -1 ||
			r.Format != FormatTransient || !r.Create || r.Context.Comparison != "minimum" || len(r.Context.Classes) != 1 || r.Proof != proof {
			t.Errorf("%s: %+v, %v", how, r, err)
		}
	}
	r, err := byForm(t, tree(t, whole))
	check("a form", r, err, Unsigned)
	r, err = byForm(t, envelopedBy(t, keys.own, whole), keys.other.cert, keys.own.cert)
	check("a signed form", r, err, Signed)
	r, err = queryRequest(byQuery(t, whole, "back", "", nil))
	check("an address", r, err, Unsigned)
	r, err = queryRequest(byQuery(t, whole, "back", rsaSHA256, keys.own.key), keys.other.cert, keys.own.cert)
	check("a signed address", r, err, Signed)
}

// What is not a request of SAML 2.0 in XML of one reading is refused, and nobody is asked who
// sent it.
func TestStrictXML(t *testing.T) {
	good := request(issuer)
	for name, xml := range map[string]string{
		"nothing":                    "",
		"no XML":                     "hello",
		"cut off":                    good[:len(good)-3],
		"two roots":                  good + good,
		"text behind it":             good + "x",
		"a document type":            `<!DOCTYPE samlp:AuthnRequest>` + good,
		"an external entity":         `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + strings.Replace(good, spEntity, "&x;", 1),
		"entities that grow":         `<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + strings.Replace(good, spEntity, "&b;", 1),
		"an unknown entity":          strings.Replace(good, spEntity, "&nbsp;", 1),
		"a processing instruction":   strings.Replace(good, issuer, `>`+`<?php x ?>`+issuer[1:], 1),
		"a comment":                  strings.Replace(good, "wiki.example.org/saml", "wiki.example.org/saml<!-- x -->", 1),
		"a comment in the root":      strings.Replace(good, issuer, `><!-- -->`+issuer[1:], 1),
		"CDATA":                      strings.Replace(good, spEntity, "<![CDATA["+spEntity+"]]>", 1),
		"an attribute twice":         strings.Replace(good, `Version="2.0"`, `Version="2.0" Version="2.0"`, 1),
		"an element in the issuer":   strings.Replace(good, spEntity, spEntity+"<saml:X/>", 1),
		"two issuers":                strings.Replace(good, issuer, issuer+issuer[1:], 1),
		"no issuer":                  request(">"),
		"another encoding":           `<?xml version="1.0" encoding="UTF-16"?>` + good,
		"no UTF-8":                   strings.Replace(good, "wiki", "w\xffki", 1),
		"another version":            strings.Replace(good, `"2.0"`, `"1.1"`, 1),
		"another element":            strings.ReplaceAll(good, "AuthnRequest", "LogoutRequest"),
		"another namespace":          strings.Replace(good, nsProtocol, nsProtocol+"x", 1),
		"an ID with a digit first":   strings.Replace(good, "_req1", "1req", 1),
		"an ID with a quote":         strings.Replace(good, "_req1", "_re&quot;q", 1),
		"no ID":                      strings.Replace(good, `ID="_req1"`, "", 1),
		"no moment":                  strings.Replace(good, moment(began), "yesterday", 1),
		"a moment elsewhere":         strings.Replace(good, moment(began), "2026-11-30T12:00:00+01:00", 1),
		"an unknown element":         request(issuer + "<samlp:Other/>"),
		"a flag of another word":     request(` ForceAuthn="yes"` + issuer),
		"an index and an address":    request(` AssertionConsumerServiceIndex="1" AssertionConsumerServiceURL="https://wiki.example.org/acs"` + issuer),
		"an index below zero":        request(` AssertionConsumerServiceIndex="-1"` + issuer),
		"two policies":               request(issuer + "<samlp:NameIDPolicy/><samlp:NameIDPolicy/>"),
		"an unknown comparison":      request(issuer + `<samlp:RequestedAuthnContext Comparison="most"><saml:AuthnContextClassRef>a</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>`),
		"a context without a class":  request(issuer + `<samlp:RequestedAuthnContext/>`),
		"classes and declarations":   request(issuer + `<samlp:RequestedAuthnContext><saml:AuthnContextClassRef>a</saml:AuthnContextClassRef><saml:AuthnContextDeclRef>a</saml:AuthnContextDeclRef></samlp:RequestedAuthnContext>`),
		"nested deeply":              request(issuer + "<samlp:Extensions>" + strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100) + "</samlp:Extensions>"),
		"too many parts":             request(issuer + "<samlp:Extensions>" + strings.Repeat("<a/>", most) + "</samlp:Extensions>"),
		"too long":                   request(issuer + "<samlp:Extensions>" + strings.Repeat(" ", Longest) + "</samlp:Extensions>"),
		"a colon that moves (Go)":    strings.Replace(good, "samlp:AuthnRequest", "samlp::AuthnRequest", 1),
		"an attribute with a colon":  strings.Replace(good, `Version="2.0"`, `:Version="2.0"`, 1),
		"a signature that is hidden": request(issuer + `<samlp:Extensions><ds:Signature xmlns:ds="` + nsSignature + `"/></samlp:Extensions>`),
	} {
		in, err := FromForm(base64.StdEncoding.EncodeToString([]byte(xml)), "")
		if err == nil {
			_, err = in.AuthnRequest(of())
		}
		if got := reason(err); got != "invalid malformed" && got != "refused signature-shape" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := byForm(t, tree(t, good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// The parameters of an address have one reading, and few octets never become many.
func TestStrictAddresses(t *testing.T) {
	keys := pairs()
	good := byQuery(t, request(issuer), "back", rsaSHA256, keys.own.key)
	if _, err := queryRequest(good, keys.own.cert); err != nil {
		t.Fatal(err)
	}
	bomb, err := deflate(append([]byte(request(issuer)), make([]byte, 64<<20)...))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ query, want string }{
		"nothing":                       {"", "invalid malformed"},
		"the request twice":             {good + "&SAMLRequest=a", "invalid malformed"},
		"RelayState twice":              {good + "&RelayState=other", "invalid malformed"},
		"a response as well":            {good + "&SAMLResponse=a", "invalid malformed"},
		"spelled otherwise":             {strings.Replace(good, "RelayState", "Relay%53tate", 1), "invalid malformed"},
		"no base64":                     {"SAMLRequest=%%%", "invalid malformed"},
		"not deflated":                  {"SAMLRequest=AAAA", "invalid malformed"},
		"a bomb":                        {"SAMLRequest=" + escape(bomb), "invalid malformed"},
		"an algorithm alone":            {byQuery(t, request(issuer), "", "", nil) + "&SigAlg=" + escape(rsaSHA256), "invalid malformed"},
		"a signature alone":             {byQuery(t, request(issuer), "", "", nil) + "&Signature=AAAA", "invalid malformed"},
		"another encoding":              {byQuery(t, request(issuer), "", "", nil) + "&SAMLEncoding=urn:other", "invalid malformed"},
		"another RelayState":            {strings.Replace(good, "RelayState=back", "RelayState=evil", 1), "refused wrong-signature"},
		"RelayState taken out":          {strings.Replace(good, "&RelayState=back", "", 1), "refused wrong-signature"},
		"signed by somebody else":       {byQuery(t, request(issuer), "back", rsaSHA256, keys.other.key), "refused wrong-signature"},
		"SHA-1":                         {byQuery(t, request(issuer), "back", dsig.RSASHA1SignatureMethod, keys.own.key), "refused weak-signature"},
		"an HMAC by the public key":     {byQuery(t, request(issuer), "back", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", keys.own.key), "refused weak-signature"},
		"the algorithm of another key":  {byQuery(t, request(issuer), "back", dsig.ECDSASHA256SignatureMethod, keys.own.key), "refused weak-signature"},
		"a signature for another":       {swapSignature(good, byQuery(t, request(issuer), "other", rsaSHA256, keys.own.key)), "refused wrong-signature"},
		"a request by another entity":   {byQuery(t, strings.Replace(request(issuer), spEntity, "https://evil.example.org", 1), "", rsaSHA256, keys.own.key), "refused unknown-entity"},
		"an enveloped one that is none": {byQuery(t, request(issuer+`<ds:Signature xmlns:ds="`+nsSignature+`"/>`), "", rsaSHA256, keys.own.key), "refused signature-shape"},
	} {
		if _, err := queryRequest(c.query, keys.own.cert); reason(err) != c.want {
			t.Errorf("%s: %s", name, reason(err))
		}
	}
}

func escape(s string) string {
	return strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D", ":", "%3A", "#", "%23").Replace(s)
}

func swapSignature(of, by string) string {
	return of[:strings.Index(of, "&Signature=")] + by[strings.Index(by, "&Signature="):]
}

// FuzzAuthnRequest: whatever comes by a form, nothing is returned as signed that no key
// signed, and nothing breaks.
func FuzzAuthnRequest(f *testing.F) {
	keys, stranger := pairs(), pairs().nobody
	f.Add([]byte(request(issuer)))
	b, _ := write(envelopedBy(f, keys.own, request(issuer)))
	f.Add(b)
	for _, w := range wrappings {
		if b, err := write(w.of(f, envelopedBy(f, keys.own, request(issuer)), forged(request(evilRequest+issuer)))); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, xml []byte) {
		in := Incoming{form: true, xml: xml}
		r, err := in.AuthnRequest(of(stranger.cert)) // whose key signed nothing
		if err == nil && r.Proof == Signed {
			t.Errorf("signed by nobody: %q", xml)
		}
		if err == nil && (!name(r.ID) || r.Issuer != spEntity) {
			t.Errorf("%+v", r)
		}
		_, _ = in.AuthnRequest(of(keys.own.cert))
	})
}

// FuzzQuery: whatever stands in an address, nothing breaks, and nothing is longer than a
// message may be.
func FuzzQuery(f *testing.F) {
	keys := pairs()
	f.Add(byQuery(f, request(issuer), "back", rsaSHA256, keys.own.key))
	f.Add("SAMLRequest=a&SigAlg=b&Signature=c")
	f.Fuzz(func(t *testing.T, raw string) {
		in, err := FromQuery(raw)
		if err != nil {
			return
		}
		if len(in.xml) > Longest {
			t.Errorf("%d octets", len(in.xml))
		}
		if r, err := in.AuthnRequest(of(keys.nobody.cert)); err == nil && r.Proof == Signed {
			t.Errorf("signed by nobody: %q", raw)
		}
	})
}
