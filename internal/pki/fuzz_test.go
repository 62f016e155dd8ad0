package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"countersign/internal/testbed"
)

func FuzzUPNs(f *testing.F) {
	f.Add(testbed.UPN(f, false, "ada@example.org").Value)
	f.Add(testbed.UPN(f, false, "a", "b").Value)
	f.Add([]byte{0x30, 0x02, 0xa0, 0x00})
	f.Fuzz(func(t *testing.T, value []byte) {
		names, err := parseUPNs(value)
		for _, n := range names {
			if err != nil || n == "" || !utf8.ValidString(n) || !bytes.Contains(value, []byte(n)) {
				t.Errorf("%q from %x, %v", n, value, err)
			}
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte{5, 7, 1}, []byte{2, 1, 9}, []byte{2, 1})
	f.Add([]byte{5, 7}, []byte{2, 1, 0xff}, []byte{2})
	f.Fuzz(func(t *testing.T, firmware, serial, policy []byte) {
		c := &x509.Certificate{Extensions: []pkix.Extension{{Id: extensionFirmware, Value: firmware}, {Id: extensionSerial, Value: serial}, {Id: extensionPolicy, Value: policy}}}
		a, err := statement(c)
		if err == nil && (len(firmware) != 3 || len(policy) != 2 || a.Serial <= 0 || byte(a.PIN) != policy[0]) {
			t.Errorf("%+v from %x %x %x", a, firmware, serial, policy)
		}
		c.Extensions = append(c.Extensions, c.Extensions[2])
		if _, err := statement(c); err == nil {
			t.Error("an extension that is there twice is read")
		}
		c.Extensions = c.Extensions[:2]
		if _, err := statement(c); !errors.Is(err, ErrAttestationWords) {
			t.Errorf("without its policy: %v", err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	a := testbed.NewAuthority(f, "Staff", nil)
	all := Authorities{{Name: "staff", Certificates: []*x509.Certificate{a.Certificate}, Mapping: UPN, Purpose: ClientAuth}}
	good := a.Issue("ada", testbed.NewKey(f).Public(), func(x *x509.Certificate) {
		x.ExtraExtensions = []pkix.Extension{testbed.UPN(f, true, "ada@example.org")}
	})
	if _, _, err := all.Verify(good.Raw, time.Now()); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Raw[:40])
	f.Fuzz(func(t *testing.T, der []byte) {
		_, path, err := all.Verify(der, time.Now())
		if err == nil && (len(path) < 2 || !bytes.Equal(der, good.Raw)) {
			t.Errorf("accepted %x", der)
		}
		if r := Refusal(""); err != nil && (!errors.As(err, &r) || r == "") {
			t.Errorf("not a refusal: %v", err)
		}
	})
}
