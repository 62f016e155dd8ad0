package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	der "golang.org/x/crypto/cryptobyte/asn1"

	"countersign/internal/testbed"
)

// A critical extension that cannot be handled is the refusal, by its name and its place, of
// what would be good without it; and never of what is refused anyway.
func TestUnhandledExtensions(t *testing.T) {
	strange := func(last ...int) func(*x509.Certificate) {
		return func(x *x509.Certificate) {
			for _, n := range last {
				x.ExtraExtensions = append(x.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, n}, Critical: true, Value: []byte{5, 0}})
			}
		}
	}
	staff := testbed.NewAuthority(t, "Staff", nil)
	key := testbed.NewKey(t).Public()
	// A root whose name constraints are of directory names, which crypto/x509 does not handle.
	government := testbed.NewAuthority(t, "Government", nil)
	template := *government.Certificate
	template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true, Value: []byte{0x30, 0x0a, 0xa0, 0x08, 0x30, 0x06, 0xa4, 0x04, 0x30, 0x02, 0x31, 0x00}}}
	template.SerialNumber = big.NewInt(9)
	government.Certificate = testbed.Certify(t, &template, &template, government.Key.Public(), government.Key)
	below := testbed.NewAuthority(t, "Below", government)
	if says := UnhandledIn(government.Certificate); says != "critical extension 2.5.29.30 (name constraints)" {
		t.Fatalf("of the root: %q", says)
	}
	past := func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) }
	for name, c := range map[string]struct {
		leaf    *x509.Certificate
		want    Refusal
		because string
	}{
		"good":                    {staff.Issue("ada", key), "", ""},
		"of the card":             {staff.Issue("ada", key, strange(4)), Unhandled, "critical extension 1.2.3.4 in the certificate of the card"},
		"several of the card":     {staff.Issue("ada", key, strange(1, 2, 3, 4, 5, 6)), Unhandled, "1.2.3.4, and 2 more in the certificate of the card"},
		"of the root":             {below.Issue("ada", key), Unhandled, `2.5.29.30 (name constraints) in the certificate of the authority "CN=Government"`},
		"of both":                 {below.Issue("ada", key, strange(4)), Unhandled, `of the card; critical extension 2.5.29.30`},
		"and it expired":          {staff.Issue("ada", key, strange(4), past), UnknownAuthority, ""},
		"and of nobody we know":   {testbed.NewAuthority(t, "Staff", nil).Issue("ada", key, strange(4)), UnknownAuthority, ""},
		"expired, without any":    {staff.Issue("ada", key, past), Expired, ""},
		"not of the root's below": {testbed.NewAuthority(t, "Below", nil).Issue("ada", key), UnknownAuthority, ""},
	} {
		all := Authorities{{Name: "staff", Certificates: []*x509.Certificate{staff.Certificate}, Mapping: IssuerSerial, Purpose: ClientAuth},
			{Name: "government", Certificates: []*x509.Certificate{government.Certificate, below.Certificate}, Mapping: IssuerSerial, Purpose: ClientAuth}}
		_, _, err := all.Verify(c.leaf.Raw, time.Now())
		var r Refusal
		errors.As(err, &r)
		if says := Because(err); r != c.want || !strings.Contains(says, c.because) || (says == "") != (c.because == "") {
			t.Errorf("%s: %v, %q", name, err, says)
		}
	}
}

// An authority below a constraint that cannot be handled serves where it is named without it,
// as the documents say.
func TestConstraintAboveTheAnchor(t *testing.T) {
	above := testbed.NewAuthority(t, "Government", nil)
	template := *above.Certificate
	template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	above.Certificate = testbed.Certify(t, &template, &template, above.Key.Public(), above.Key)
	below := testbed.NewAuthority(t, "Below", above)
	leaf := below.Issue("ada", testbed.NewKey(t).Public())
	for _, file := range [][]*x509.Certificate{{below.Certificate}, {above.Certificate, below.Certificate}} {
		_, _, err := Authorities{{Name: "a", Certificates: file, Mapping: IssuerSerial, Purpose: ClientAuth}}.Verify(leaf.Raw, time.Now())
		if (err == nil) != (len(file) == 1) {
			t.Errorf("%d certificates: %v", len(file), err)
		}
	}
}

// A user principal name counts in the types of text that authorities write it in; in another
// it is no name where names count, and of no interest where they do not.
func TestTypesOfNames(t *testing.T) {
	staff := testbed.NewAuthority(t, "Staff", nil)
	issue := func(kind der.Tag, critical bool, names ...string) *x509.Certificate {
		return staff.Issue("ada", testbed.NewKey(t).Public(), func(x *x509.Certificate) {
			x.ExtraExtensions = []pkix.Extension{testbed.UPNAs(t, kind, critical, names...)}
		})
	}
	for name, c := range map[string]struct {
		leaf *x509.Certificate
		want string // empty is no name
	}{
		"UTF-8":                   {issue(der.UTF8String, true, "ada@example.org"), "ada@example.org"},
		"IA5":                     {issue(der.IA5String, false, "Ada@example.org"), "ada@example.org"},
		"IA5, critical":           {issue(der.IA5String, true, "ada@example.org"), "ada@example.org"},
		"printable":               {issue(der.PrintableString, false, "ada"), "ada"},
		"IA5 beyond ASCII":        {issue(der.IA5String, false, "ad\u00e4@example.org"), ""},
		"octets":                  {issue(der.OCTET_STRING, false, "ada@example.org"), ""},
		"octets, critical":        {issue(der.OCTET_STRING, true, "ada@example.org"), ""},
		"two, one of them octets": {issue(der.OCTET_STRING, false, "ada@example.org", "bob@example.org"), ""},
		"nothing in it":           {issue(der.IA5String, false, ""), ""},
	} {
		for _, mapping := range []Mapping{UPN, IssuerSerial} {
			a := Authority{Name: "staff", Certificates: []*x509.Certificate{staff.Certificate}, Mapping: mapping, Purpose: ClientAuth}
			_, path, err := Authorities{a}.Verify(c.leaf.Raw, time.Now())
			if err != nil {
				t.Errorf("%s, %s: %v", name, mapping, err)
				continue
			}
			id, err := a.Identify(path[0])
			if mapping == IssuerSerial {
				if err != nil || id.Name != "" {
					t.Errorf("%s, %s: %+v, %v", name, mapping, id, err)
				}
				continue
			}
			if id.Name != c.want || (c.want == "") != errors.Is(err, NoName) {
				t.Errorf("%s, %s: %q, %v", name, mapping, id.Name, err)
			}
		}
	}
}
