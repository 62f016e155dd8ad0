package message

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Provider is what applications are told of this identity provider (SAML metadata, section
// 2.4.3).
type Provider struct {
	Entity string
	// SignIn and SignOut are the addresses that requests go to, by either binding.
	SignIn, SignOut string
	// SOAP is where requests to sign out go that no browser carries.
	SOAP string
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
	if p.SOAP != "" {
		service := add(idp, "md", "SingleLogoutService")
		service.CreateAttr("Binding", BindingSOAP)
		service.CreateAttr("Location", p.SOAP)
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

// Party is what the metadata of an application says of it (SAML metadata, section 2.4.4).
type Party struct {
	Entity string
	// Consumers are the assertion consumer services that take a form, the usual one first.
	Consumers []Service
	// Signing and Encryption are certificates, in base64.
	Signing, Encryption []string
	// Logout is its single logout service, and Binding that of it; empty where it has none.
	Logout, Binding string
	// SOAP is where it is told without a browser; empty where it has no such address.
	SOAP string
}

// Service is an address with its number.
type Service struct {
	Location string
	Index    int
	usual    bool
}

// ReadParty reads the metadata of one application. Its signature is not looked at: whoever
// pastes it vouches for it, or [ReadSigned] looked at it before.
func ReadParty(b []byte) (Party, error) {
	root, err := parse(b)
	if err != nil {
		return Party{}, err
	}
	if err := oneEntity(root); err != nil {
		return Party{}, err
	}
	return partyOf(root)
}

func oneEntity(root *etree.Element) error {
	if !is(root, nsMetadata, "EntityDescriptor") {
		return malformed("The metadata is not that of one entity (EntityDescriptor).")
	}
	if attribute(root, "entityID") == "" {
		return malformed("The metadata has no entity ID.")
	}
	return nil
}

func partyOf(root *etree.Element) (Party, error) {
	p := Party{Entity: attribute(root, "entityID")}
	sp, err := child(root, nsMetadata, "SPSSODescriptor")
	if err != nil || sp == nil {
		return p, malformed("The metadata is not that of an application (SPSSODescriptor).")
	}
	if err := p.readConsumers(sp); err != nil {
		return p, err
	}
	for _, el := range children(sp, nsMetadata, "SingleLogoutService") {
		at, binding := attribute(el, "Location"), attribute(el, "Binding")
		if other := attribute(el, "ResponseLocation"); other != "" && other != at {
			continue // it is answered and asked at one address
		}
		if binding == BindingSOAP {
			p.SOAP = at
		}
		if binding == BindingPost || binding == BindingRedirect && p.Logout == "" {
			p.Logout, p.Binding = at, binding
		}
	}
	p.Signing, p.Encryption, err = readKeys(sp)
	return p, err
}

func (p *Party) readConsumers(sp *etree.Element) error {
	for _, el := range children(sp, nsMetadata, "AssertionConsumerService") {
		if attribute(el, "Binding") != BindingPost {
			continue
		}
		index, err := strconv.ParseUint(attribute(el, "index"), 10, 16)
		if err != nil {
			return malformed("An AssertionConsumerService of the metadata has no index from 0 to 65535.")
		}
		usual, err := flag(el, "isDefault")
		if err != nil {
			return err
		}
		p.Consumers = append(p.Consumers, Service{attribute(el, "Location"), int(index), usual})
	}
	if len(p.Consumers) == 0 {
		return malformed("The metadata has no AssertionConsumerService that takes HTTP-POST.")
	}
	slices.SortStableFunc(p.Consumers, func(a, b Service) int {
		switch {
		case a.usual == b.usual:
			return 0
		case a.usual:
			return -1
		}
		return 1
	})
	return nil
}

// readKeys are the certificates of a role, in base64.
func readKeys(role *etree.Element) (signing, encryption []string, err error) {
	for _, el := range children(role, nsMetadata, "KeyDescriptor") {
		use := attribute(el, "use")
		for _, info := range children(el, nsSignature, "KeyInfo") {
			for _, data := range children(info, nsSignature, "X509Data") {
				for _, c := range children(data, nsSignature, "X509Certificate") {
					t, err := text(c)
					if err != nil {
						return nil, nil, err
					}
					t = strings.Join(strings.Fields(t), "")
					if use != "encryption" {
						signing = append(signing, t)
					}
					if use != "signing" {
						encryption = append(encryption, t)
					}
				}
			}
		}
	}
	return signing, encryption, nil
}
