package message

import (
	"strings"
	"testing"
	"time"
)

// What comes by SOAP is read as strictly as by any other way: one message in one body, by whatever
// prefixes, whose signature covers it wherever its namespaces are declared.
func TestSOAP(t *testing.T) {
	by := pairs().own.credential()
	ask := func() Outgoing {
		return AskLogout(NewID(), spEntity, "https://idp/saml/soap", time.Now(), NameID{Value: "n4m3", Format: FormatPersistent}, "i1")
	}
	b, err := ask().SOAP(by)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) (LogoutRequest, error) {
		in, err := FromSOAP(b)
		if err != nil {
			return LogoutRequest{}, err
		}
		return in.LogoutRequest(of(pairs().own.cert))
	}
	if r, err := read(b); err != nil || r.Proof != Signed || r.Name != "n4m3" || len(r.Indexes) != 1 || r.Indexes[0] != "i1" {
		t.Fatalf("%+v, %v in %s", r, err, b)
	}
	whole := string(b)
	moved := strings.Replace(whole, ` xmlns:saml="`+nsAssertion+`"`, "", 1)
	moved = strings.Replace(moved, `<soap:Body`, `<soap:Body xmlns:saml="`+nsAssertion+`"`, 1)
	if r, err := read([]byte(moved)); err != nil || r.Proof != Signed {
		t.Errorf("declared further out: %+v, %v", r, err)
	}
	inner := whole[strings.Index(whole, "<samlp:LogoutRequest"):strings.Index(whole, "</soap:Body>")]
	for what, b := range map[string]string{
		"no envelope":        inner,
		"another version":    strings.ReplaceAll(whole, nsSOAP, "http://www.w3.org/2003/05/soap-envelope"),
		"an empty body":      `<soap:Envelope xmlns:soap="` + nsSOAP + `"><soap:Body/></soap:Envelope>`,
		"two messages":       strings.Replace(whole, "</soap:Body>", inner+"</soap:Body>", 1),
		"two bodies":         strings.Replace(whole, "</soap:Body>", "</soap:Body><soap:Body/>", 1),
		"a demanding header": strings.Replace(whole, "<soap:Body", `<soap:Header><x soap:mustUnderstand="1"/></soap:Header><soap:Body`, 1),
		"something else":     strings.Replace(whole, "</soap:Envelope>", "<x/></soap:Envelope>", 1),
		"a document type":    "<!DOCTYPE x>" + whole,
		"another name":       strings.Replace(whole, "n4m3", "r00t", 1),
		"a fault":            `<soap:Envelope xmlns:soap="` + nsSOAP + `"><soap:Body><soap:Fault/></soap:Body></soap:Envelope>`,
	} {
		if r, err := read([]byte(b)); err == nil {
			t.Errorf("%s is taken: %+v", what, r)
		}
	}
}
