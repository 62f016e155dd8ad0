package message

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"runtime"
	"strings"
	"testing"
)

// Few octets never become many: what is deflated is read as far as a message may go, and one that
// is cut off is none.
func TestInflating(t *testing.T) {
	packed := func(plain []byte) []byte {
		t.Helper()
		s, err := deflate(plain)
		if err != nil {
			t.Fatal(err)
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b, err := inflate(packed(make([]byte, Longest))); err != nil || len(b) != Longest {
		t.Errorf("the longest: %d, %v", len(b), err)
	}
	if b, err := inflate(packed(make([]byte, Longest+1))); reason(err) != "invalid malformed" {
		t.Errorf("longer: %d, %v", len(b), err)
	}
	if b, err := inflate(packed([]byte(request(issuer)))[:60]); reason(err) != "invalid malformed" {
		t.Errorf("cut off: %d, %v", len(b), err)
	}
	bomb := packed(make([]byte, 64<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := inflate(bomb)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; reason(err) != "invalid malformed" || took > 16*Longest {
		t.Errorf("a bomb takes %d octets: %v", took, err)
	}
}

// logoutOf is a LogoutRequest of somebody.
func logoutOf(more string) string {
	return strings.ReplaceAll(request(issuer+more), "AuthnRequest", "LogoutRequest")
}

// What a request says is bounded, and stands there once.
func TestBoundsOfARequest(t *testing.T) {
	class := `<saml:AuthnContextClassRef>a</saml:AuthnContextClassRef>`
	classes := func(n int) string {
		return request(issuer + `<samlp:RequestedAuthnContext>` + strings.Repeat(class, n) + `</samlp:RequestedAuthnContext>`)
	}
	for name, xml := range map[string]string{
		"a long ID":               strings.Replace(request(issuer), "_req1", "_"+strings.Repeat("a", 256), 1),
		"an issuer that is none":  request(`><saml:Issuer></saml:Issuer>`),
		"an issuer by mail":       request(strings.Replace(issuer, "<saml:Issuer>", `<saml:Issuer Format="`+FormatMail+`">`, 1)),
		"a moment of many digits": strings.Replace(request(issuer), ".000Z", "."+strings.Repeat("0", 40)+"Z", 1),
		"many classes":            classes(mostClasses + 1),
		"a later declaration":     `<?xml version="1.0"?>` + request(issuer) + `<?xml version="1.0"?>`,
	} {
		if r, err := byForm64(xml); reason(err) != "invalid malformed" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	long := strings.Repeat("a", 1025)
	in, err := FromForm(base64.StdEncoding.EncodeToString([]byte(strings.Replace(request(issuer), spEntity, long, 1))), "")
	if err == nil {
		_, err = in.AuthnRequest(func(string) ([]*x509.Certificate, error) { return nil, nil })
	}
	if reason(err) != "invalid malformed" {
		t.Errorf("a long issuer: %v", err)
	}
	for name, xml := range map[string]string{"the most classes": classes(mostClasses), "a declaration": `<?xml version="1.0" encoding="UTF-8"?>` + request(issuer),
		"the longest ID": strings.Replace(request(issuer), "_req1", "_"+strings.Repeat("a", 255), 1), "an entity": request(strings.Replace(issuer, "<saml:Issuer>", `<saml:Issuer Format="`+FormatEntity+`">`, 1))} {
		if _, err := byForm64(xml); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func byForm64(xml string) (AuthnRequest, error) {
	in, err := FromForm(base64.StdEncoding.EncodeToString([]byte(xml)), "")
	if err != nil {
		return AuthnRequest{}, err
	}
	return in.AuthnRequest(of())
}

// A request to sign out names one person, in the clear, and 20 sessions at most.
func TestBoundsOfALogout(t *testing.T) {
	const name, index = `<saml:NameID>ada</saml:NameID>`, `<samlp:SessionIndex>a</samlp:SessionIndex>`
	read := func(xml string) (LogoutRequest, error) {
		in, err := FromForm(base64.StdEncoding.EncodeToString([]byte(xml)), "")
		if err != nil {
			return LogoutRequest{}, err
		}
		return in.LogoutRequest(of())
	}
	if r, err := read(logoutOf(name + strings.Repeat(index, mostIndexes))); err != nil || r.Name != "ada" || len(r.Indexes) != mostIndexes || !r.Until.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	for what, more := range map[string]string{"nobody": "", "an empty name": `<saml:NameID> </saml:NameID>`, "two names": name + name, "many sessions": name + strings.Repeat(index, mostIndexes+1),
		"an element beside": name + `<samlp:Other/>`, "somebody encrypted": `<saml:EncryptedID/>`, "an index that is more": name + `<samlp:SessionIndex>a<b/></samlp:SessionIndex>`} {
		if r, err := read(logoutOf(more)); reason(err) != "invalid malformed" {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
}

// Nothing is encrypted to a key that cannot be encrypted to.
func TestEncryptedToAnotherKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := response(certified(key).cert).Write(pairs().own.credential()); reason(err) != "invalid invalid" || bytes.Contains(b, []byte("n4m3")) {
		t.Errorf("%s, %v", b, err)
	}
}

// A certificate of metadata counts for what it is for, and an application that is answered and
// asked at two addresses of sign-out has none.
func TestMetadataSaysWhatFor(t *testing.T) {
	p, err := ReadParty([]byte(party(key(` use="encryption"`) + `<md:SingleLogoutService Binding="` + BindingPost + `" Location="https://a.example.org/slo" ResponseLocation="https://a.example.org/slo2"/>` + consumers)))
	if err != nil || len(p.Signing) != 0 || len(p.Encryption) != 1 || p.Logout != "" {
		t.Errorf("%+v, %v", p, err)
	}
}
