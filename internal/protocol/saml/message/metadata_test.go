package message

import (
	"strings"
	"testing"
)

// party is the metadata of an application.
func party(more string) string {
	return `<md:EntityDescriptor xmlns:md="` + nsMetadata + `" xmlns:ds="` + nsSignature + `" entityID="` + spEntity + `"><md:SPSSODescriptor protocolSupportEnumeration="` + nsProtocol + `">` + more + `</md:SPSSODescriptor></md:EntityDescriptor>`
}

const consumers = `<md:AssertionConsumerService Binding="` + BindingPost + `" Location="https://a.example.org/acs" index="1"/><md:AssertionConsumerService Binding="urn:other" Location="https://b.example.org/acs" index="2"/>` +
	`<md:AssertionConsumerService Binding="` + BindingPost + `" Location="https://c.example.org/acs" index="3" isDefault="true"/>`

func key(use string) string {
	return `<md:KeyDescriptor` + use + `><ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA
 BBBB</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
}

// Metadata fills in what an administrator would have to type, the usual address first, and a
// certificate for what it is for.
func TestMetadataIn(t *testing.T) {
	p, err := ReadParty([]byte(party(key(` use="signing"`) + key("") + `<md:SingleLogoutService Binding="` + BindingRedirect + `" Location="https://a.example.org/slo"/>` + consumers)))
	if err != nil || p.Entity != spEntity || len(p.Consumers) != 2 || p.Consumers[0].Location != "https://c.example.org/acs" || p.Consumers[1].Index != 1 || len(p.Signing) != 2 || len(p.Encryption) != 1 || p.Signing[0] != "AAAABBBB" || p.Logout != "https://a.example.org/slo" || p.Binding != BindingRedirect {
		t.Errorf("%+v, %v", p, err)
	}
	for name, xml := range map[string]string{
		"nothing": "", "many entities": strings.ReplaceAll(party(consumers), "EntityDescriptor", "EntitiesDescriptor"), "no address": party(key("")), "an identity provider's": strings.ReplaceAll(party(consumers), "SPSSO", "IDPSSO"),
		"a comment": strings.Replace(party(consumers), "</md:SPSSO", "<!-- --></md:SPSSO", 1), "no index": strings.Replace(party(consumers), ` index="1"`, "", 1), "no entity": strings.Replace(party(consumers), "entityID", "entity", 1),
	} {
		if p, err := ReadParty([]byte(xml)); reason(err) != "invalid malformed" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// FuzzMetadata: whatever is pasted, nothing breaks, and what is read has an entity and an address.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(party(key("") + consumers)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ReadParty(b); err == nil && (p.Entity == "" || len(p.Consumers) == 0) {
			t.Errorf("%+v", p)
		}
	})
}
