package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"countersign/internal/failure"
)

func certified(t *testing.T, key crypto.Signer, err error) string {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// What is weak, endless or of another kind is not saved, and what is just within is.
func TestBoundsOfSettings(t *testing.T) {
	strongKey, err := rsa.GenerateKey(rand.Reader, 2048)
	strong := certified(t, strongKey, err)
	weakKey, err := rsa.GenerateKey(rand.Reader, 1024)
	weak := certified(t, weakKey, err)
	curveKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	curve := certified(t, curveKey, err)
	all := func(n int) (out []any) {
		for i := range n {
			out = append(out, map[string]any{"url": fmt.Sprintf("https://wiki.example.org/%d", i), "index": i})
		}
		return out
	}
	indexed := func(index int) []any {
		return []any{map[string]any{"url": "https://wiki.example.org/acs", "index": index}}
	}
	at := func(octets int) string {
		return "https://wiki.example.org/" + strings.Repeat("a", octets-len("https://wiki.example.org/"))
	}
	attribute := func(as string) []any { return []any{map[string]any{"what": "mail", "as": as}} }
	signed := func(logout string) func(map[string]any) {
		return func(m map[string]any) { m["certificates"], m["logout"] = []any{strong}, logout }
	}
	for name, change := range map[string]func(map[string]any){
		"the longest entity": set("entity_id", strings.Repeat("e", 1024)), "20 addresses": set("consumers", all(20)), "the last index": set("consumers", indexed(65535)), "the longest address": set("consumers", []any{map[string]any{"url": at(1024)}}),
		"2048 bits": set("certificates", []any{strong}), "ten": set("certificates", strings.Fields(strings.Repeat(strong+" ", 10))), "encrypted": set("encryption", []any{strong}), "a logout": signed("https://wiki.example.org/slo"), "a long attribute": set("attributes", attribute(strings.Repeat("a", 256))),
	} {
		if err := CheckSettings(settings(change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(map[string]any){
		"a long entity": set("entity_id", strings.Repeat("e", 1025)), "21 addresses": set("consumers", all(21)), "no such index": set("consumers", indexed(65536)), "an index below zero": set("consumers", indexed(-1)), "a long address": set("consumers", []any{map[string]any{"url": at(1025)}}),
		"1024 bits": set("certificates", []any{weak}), "eleven": set("certificates", strings.Fields(strings.Repeat(strong+" ", 11))), "encrypted to two": set("encryption", []any{strong, strong}), "encrypted to a curve": set("encryption", []any{curve}), "encrypted to 1024 bits": set("encryption", []any{weak}),
		"a logout nowhere": signed("wiki"), "a script at the logout": signed("javascript:alert(1)"), "an attribute too long": set("attributes", attribute(strings.Repeat("a", 257))), "an attribute of two words": set("attributes", attribute("a b")), "an attribute of two lines": set("attributes", attribute("a\nb")),
		"another's metadata": set("metadata", []any{`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://other.example.org"><md:SPSSODescriptor><md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://other.example.org/acs" index="0"/></md:SPSSODescriptor></md:EntityDescriptor>`}),
	} {
		if err := CheckSettings(settings(change)); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
