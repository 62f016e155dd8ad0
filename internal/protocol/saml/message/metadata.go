package message

import (
	"encoding/base64"
	"time"

	"github.com/beevik/etree"
)

// Provider is what applications are told of this identity provider (SAML metadata, section
// 2.4.3).
type Provider struct {
	Entity string
	// SignIn and SignOut are the addresses that requests go to, by either binding.
	SignIn, SignOut string
	// Certificates are those of the keys that sign, now or soon, in DER.
	Certificates [][]byte
	// Formats are the formats of names that can be asked for.
	Formats []string
	// Until is when it must be read again.
	Until time.Time
	ID    string
}

// Write makes the metadata, signed by the key that signs everything else.
func (p Provider) Write(by Credential) ([]byte, error) {
	el := element("md", "EntityDescriptor", "md", "ds")
	el.CreateAttr("ID", p.ID)
	el.CreateAttr("entityID", p.Entity)
	el.CreateAttr("validUntil", moment(p.Until))
	idp := add(el, "md", "IDPSSODescriptor")
	idp.CreateAttr("protocolSupportEnumeration", nsProtocol)
	idp.CreateAttr("WantAuthnRequestsSigned", "true")
	for _, der := range p.Certificates {
		key := add(idp, "md", "KeyDescriptor")
		key.CreateAttr("use", "signing")
		addText(add(add(key, "ds", "KeyInfo"), "ds", "X509Data"), "ds", "X509Certificate", base64.StdEncoding.EncodeToString(der))
	}
	addServices(idp, "SingleLogoutService", p.SignOut)
	for _, format := range p.Formats {
		addText(idp, "md", "NameIDFormat", format)
	}
	addServices(idp, "SingleSignOnService", p.SignIn)
	if err := sign(el, by); err != nil {
		return nil, err
	}
	return write(el)
}

func addServices(idp *etree.Element, tag, location string) {
	if location == "" {
		return
	}
	for _, binding := range []string{BindingRedirect, BindingPost} {
		service := add(idp, "md", tag)
		service.CreateAttr("Binding", binding)
		service.CreateAttr("Location", location)
	}
}
