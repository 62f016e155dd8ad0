package message

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"countersign/internal/failure"
)

var began = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// pair is a key with its certificate.
type pair struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func (p pair) credential() Credential { return Credential{p.key, p.cert.Raw} }

func certified(key crypto.Signer) pair {
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"}, NotBefore: began.Add(-time.Hour), NotAfter: began.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	return pair{key, c}
}

var pairs = sync.OnceValue(func() (out struct{ own, other, nobody pair }) {
	for _, to := range []*pair{&out.own, &out.other, &out.nobody} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		*to = certified(key)
	}
	return out
})

const spEntity = "https://wiki.example.org/saml"

// request is an AuthnRequest as an application writes it.
func request(more string) string {
	return `<samlp:AuthnRequest xmlns:samlp="` + nsProtocol + `" xmlns:saml="` + nsAssertion + `" ID="_req1" Version="2.0" IssueInstant="` + moment(began) +
		`" Destination="https://login.example.org/saml/sso"` + more + `</samlp:AuthnRequest>`
}

const issuer = `><saml:Issuer>` + spEntity + `</saml:Issuer>`

func tree(t testing.TB, xml string) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml); err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// enveloped is a message signed within.
func envelopedBy(t testing.TB, by pair, xml string) *etree.Element {
	t.Helper()
	el := tree(t, xml)
	if err := sign(el, by.credential()); err != nil {
		t.Fatal(err)
	}
	return el
}

func text64(t testing.TB, el *etree.Element) string {
	t.Helper()
	b, err := write(el)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func of(certificates ...*x509.Certificate) Certificates {
	return func(issuer string) ([]*x509.Certificate, error) {
		if issuer != spEntity {
			return nil, failure.Refuse("unknown-entity", "Unknown.")
		}
		return certificates, nil
	}
}

// byForm reads a request that came by a form.
func byForm(t testing.TB, el *etree.Element, certificates ...*x509.Certificate) (AuthnRequest, error) {
	t.Helper()
	in, err := FromForm(text64(t, el), "")
	if err != nil {
		return AuthnRequest{}, err
	}
	return in.AuthnRequest(of(certificates...))
}

// byQuery is the address of a request, signed by an algorithm where key is not nil.
func byQuery(t testing.TB, xml, relay, algorithm string, key crypto.Signer) string {
	t.Helper()
	packed, err := deflate([]byte(xml))
	if err != nil {
		t.Fatal(err)
	}
	q := "SAMLRequest=" + url.QueryEscape(packed)
	if relay != "" {
		q += "&RelayState=" + url.QueryEscape(relay)
	}
	if key == nil {
		return q
	}
	q += "&SigAlg=" + url.QueryEscape(algorithm)
	return q + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signText(t, q, algorithm, key)))
}

func signText(t testing.TB, text, algorithm string, key crypto.Signer) []byte {
	t.Helper()
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(text))
	digest := sum[:]
	if strings.HasSuffix(algorithm, "sha1") {
		old := sha1.Sum([]byte(text))
		hash, digest = crypto.SHA1, old[:]
	}
	b, err := key.Sign(rand.Reader, digest, hash)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func queryRequest(q string, certificates ...*x509.Certificate) (AuthnRequest, error) {
	in, err := FromQuery(q)
	if err != nil {
		return AuthnRequest{}, err
	}
	return in.AuthnRequest(of(certificates...))
}

func reason(err error) string {
	if err == nil {
		return "none"
	}
	return fmt.Sprint(failure.ClassOf(err), " ", failure.ReasonOf(err))
}
