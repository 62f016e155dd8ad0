package message

import (
	"encoding/base64"
	"strconv"
	"time"
)

// SignIn is a request to another identity provider that it signs somebody in (SAML core, section
// 3.4.1): by a form, anew, and by a name that stays.
type SignIn struct {
	ID, Issuer, Destination string
	At                      time.Time
	// Consumer is where the response is to go, by a form.
	Consumer string
	// Classes are demanded, exactly; none demands nothing.
	Classes []string
}

// AskSignIn is the request, not yet signed.
func AskSignIn(s SignIn) Outgoing {
	o := outgoing("AuthnRequest", "SAMLRequest", s.ID, s.Issuer, s.Destination, s.At)
	o.el.CreateAttr("AssertionConsumerServiceURL", s.Consumer)
	o.el.CreateAttr("ProtocolBinding", BindingPost)
	o.el.CreateAttr("ForceAuthn", "true")
	policy := add(o.el, "samlp", "NameIDPolicy")
	policy.CreateAttr("Format", FormatPersistent)
	policy.CreateAttr("AllowCreate", "true")
	if len(s.Classes) > 0 {
		wants := add(o.el, "samlp", "RequestedAuthnContext")
		wants.CreateAttr("Comparison", "exact")
		for _, class := range s.Classes {
			addText(wants, "saml", "AuthnContextClassRef", class)
		}
	}
	return o
}

// Consumer is what an identity provider is told of us (SAML metadata, section 2.4.4).
type Consumer struct {
	ID, Entity string
	// At is the assertion consumer service, which takes a form.
	At string
	// Certificates are those of the keys that sign, now or soon, in DER.
	Certificates [][]byte
	Until        time.Time
}

// Write makes the metadata, signed by the key that signs requests.
func (c Consumer) Write(by Credential) ([]byte, error) {
	el := element("md", "EntityDescriptor", "md", "ds")
	el.CreateAttr("ID", c.ID)
	el.CreateAttr("entityID", c.Entity)
	el.CreateAttr("validUntil", moment(c.Until))
	sp := add(el, "md", "SPSSODescriptor")
	sp.CreateAttr("AuthnRequestsSigned", "true")
	sp.CreateAttr("WantAssertionsSigned", "true")
	sp.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, der := range c.Certificates {
		key := add(sp, "md", "KeyDescriptor")
		key.CreateAttr("use", "signing")
		addText(add(add(key, "ds", "KeyInfo"), "ds", "X509Data"), "ds", "X509Certificate", base64.StdEncoding.EncodeToString(der))
	}
	addText(sp, "md", "NameIDFormat", FormatPersistent)
	service := add(sp, "md", "AssertionConsumerService")
	service.CreateAttr("Binding", BindingPost)
	service.CreateAttr("Location", c.At)
	service.CreateAttr("index", strconv.Itoa(0))
	service.CreateAttr("isDefault", "true")
	if err := sign(el, by); err != nil {
		return nil, err
	}
	return write(el)
}
