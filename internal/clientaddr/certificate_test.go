package clientaddr

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func shown(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The promise: a certificate is that of the connection, or what a trusted proxy says in the one
// header that is set for it, once; never what anybody else wrote, and never the proxy's own.
func TestWhoseCertificate(t *testing.T) {
	own, others := shown(t), shown(t)
	bytes := ":" + base64.StdEncoding.EncodeToString(own.Raw) + ":"
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Raw}))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: own.Raw}))
	for name, c := range map[string]struct {
		header, from string
		tls          *x509.Certificate
		values       []string
		want         *x509.Certificate
	}{
		"of the connection":                      {"", "192.0.2.1:1", own, nil, own},
		"of the connection, beside a header":     {"Client-Cert", "192.0.2.1:1", own, []string{":" + base64.StdEncoding.EncodeToString(others.Raw) + ":"}, own},
		"none":                                   {"Client-Cert", "192.0.2.1:1", nil, nil, nil},
		"of a proxy, as bytes":                   {"Client-Cert", "10.0.0.1:1", nil, []string{bytes}, own},
		"of a proxy, in PEM":                     {"Client-Cert", "10.0.0.1:1", nil, []string{url.PathEscape(text)}, own},
		"of a proxy that shows its own":          {"Client-Cert", "10.0.0.1:1", others, []string{bytes}, own},
		"of a proxy that shows its own for none": {"Client-Cert", "10.0.0.1:1", others, nil, nil},
		"from outside":                           {"Client-Cert", "192.0.2.1:1", nil, []string{bytes}, nil},
		"by a proxy that was not said to":        {"", "10.0.0.1:1", nil, []string{bytes}, nil},
		"in another header":                      {"X-Cert", "10.0.0.1:1", nil, []string{bytes}, nil},
		"twice":                                  {"Client-Cert", "10.0.0.1:1", nil, []string{bytes, bytes}, nil},
		"empty":                                  {"Client-Cert", "10.0.0.1:1", nil, []string{""}, nil},
		"two in one":                             {"Client-Cert", "10.0.0.1:1", nil, []string{bytes + ", " + bytes}, nil},
		"with something behind":                  {"Client-Cert", "10.0.0.1:1", nil, []string{url.PathEscape(text + text)}, nil},
		"a key":                                  {"Client-Cert", "10.0.0.1:1", nil, []string{url.PathEscape(key)}, nil},
		"nonsense":                               {"Client-Cert", "10.0.0.1:1", nil, []string{":AAAA:"}, nil},
		"without an end":                         {"Client-Cert", "10.0.0.1:1", nil, []string{bytes[:len(bytes)-1]}, nil},
		"more than anybody needs":                {"Client-Cert", "10.0.0.1:1", nil, []string{url.PathEscape(text) + strings.Repeat("%20", 10_000)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewReader([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, time.Now, nil)
			d.HandedOn(c.header)
			r := &http.Request{RemoteAddr: c.from, Header: http.Header{"Client-Cert": c.values}, URL: &url.URL{}}
			if c.tls != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.tls}}
			}
			if got := d.Certificate(r); got != c.want && (got == nil || c.want == nil || !got.Equal(c.want)) {
				t.Errorf("%v", got)
			}
		})
	}
}

// Whatever stands in the header, reading it ends.
func FuzzCertificate(f *testing.F) {
	c := shown(f)
	f.Add(":" + base64.StdEncoding.EncodeToString(c.Raw) + ":")
	f.Add(url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))))
	f.Fuzz(func(t *testing.T, text string) {
		if got := readCertificate(text); got != nil && len(got.Raw) == 0 {
			t.Error("a certificate of nothing")
		}
	})
}
