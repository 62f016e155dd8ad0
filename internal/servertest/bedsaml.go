package servertest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"countersign/internal/drill/web"
)

// samlPartner is another organisation's identity provider by crewjam/saml, which we did not write,
// with a key that an attacker has.
type samlPartner struct {
	w      *World
	server *httptest.Server

	mu      sync.Mutex
	idp     *saml.IdentityProvider
	session saml.Session
	// knows edits what it knows of us, or is nil.
	knows func(us *saml.EntityDescriptor)
}

// newPair is a key and its certificate, which is good for as long as a drill moves the clock.
func newPair(w *World) (*rsa.PrivateKey, *x509.Certificate) {
	w.T.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.T.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partner"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasting)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		w.T.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		w.T.Fatal(err)
	}
	return key, c
}

func newSAMLPartner(w *World) *samlPartner {
	w.T.Helper()
	key, certificate := newPair(w)
	p := &samlPartner{w: w, session: saml.Session{ID: "s", Index: "i", NameIDFormat: string(saml.PersistentNameIDFormat)}}
	p.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		saml.TimeNow = w.Now // of whoever asks now: another world may have another clock
		p.idp.Handler().ServeHTTP(rw, r)
	}))
	w.T.Cleanup(p.server.Close)
	base, err := url.Parse(p.server.URL)
	if err != nil {
		w.T.Fatal(err)
	}
	p.idp = &saml.IdentityProvider{Key: key, Certificate: certificate, MetadataURL: url.URL{Scheme: "http", Host: base.Host, Path: "/metadata"}, SSOURL: url.URL{Scheme: "http", Host: base.Host, Path: "/sso"},
		SignatureMethod: dsig.RSASHA256SignatureMethod, ServiceProviderProvider: p, SessionProvider: p, AssertionMaker: boasts{}}
	return p
}

// boasts makes assertions that say that two factors were shown.
type boasts struct{ saml.DefaultAssertionMaker }

func (b boasts) MakeAssertion(r *saml.IdpAuthnRequest, s *saml.Session) error {
	if err := b.DefaultAssertionMaker.MakeAssertion(r, s); err != nil {
		return err
	}
	for i := range r.Assertion.AuthnStatements {
		r.Assertion.AuthnStatements[i].AuthnContext.AuthnContextClassRef = &saml.AuthnContextClassRef{Value: "http://schemas.microsoft.com/claims/multipleauthn"}
	}
	return nil
}

// GetServiceProvider reads our metadata, as it is published.
func (p *samlPartner) GetServiceProvider(_ *http.Request, id string) (*saml.EntityDescriptor, error) {
	answer, err := http.Get(id)
	if err != nil {
		return nil, os.ErrNotExist
	}
	defer answer.Body.Close()
	us := &saml.EntityDescriptor{}
	if answer.StatusCode != http.StatusOK || xml.NewDecoder(answer.Body).Decode(us) != nil {
		return nil, os.ErrNotExist
	}
	if p.knows != nil {
		p.knows(us)
	}
	return us, nil
}

func (p *samlPartner) GetSession(http.ResponseWriter, *http.Request, *saml.IdpAuthnRequest) *saml.Session {
	s := p.session
	s.CreateTime, s.ExpireTime = p.w.Now(), p.w.Now().Add(time.Hour)
	return &s
}

func (p *samlPartner) settings() map[string]any {
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.idp.Certificate.Raw})
	return map[string]any{"title": "Branch", "protocol": "saml", "issuer": p.server.URL + "/metadata", "sign_in": p.server.URL + "/sso", "certificates": string(certificate)}
}

var (
	xmlSignature = regexp.MustCompile(`(?s)<ds:Signature .*?</ds:Signature>`)
	xmlAssertion = regexp.MustCompile(`(?s)<saml:Assertion .*</saml:Assertion>`)
	xmlID        = regexp.MustCompile(` ID="([^"]+)"`)
)

// lies are what is wrong with a response.
func (p *samlPartner) lies() []web.Lie {
	edit := func(name string, edit func(string) string) web.Lie {
		return web.Lie{Name: name, Edit: func(response string) string {
			b, err := base64.StdEncoding.DecodeString(response)
			if err != nil {
				p.w.T.Errorf("the partner's response cannot be read: %v", err)
			}
			changed := edit(string(b))
			if changed == string(b) {
				p.w.T.Errorf("%s: the response is as it was", name)
			}
			return base64.StdEncoding.EncodeToString([]byte(changed))
		}}
	}
	other, certificate := newPair(p.w)
	return []web.Lie{
		edit("unsigned", func(x string) string { return xmlSignature.ReplaceAllString(x, "") }),
		edit("altered", func(x string) string { return strings.Replace(x, "canary-", "canarx-", 1) }),
		edit("wrapped: the signed assertion beside a forged one", wrapped),
		edit("wrapped: the signed assertion within a forged one", within),
		{Name: "signed by a stranger", Tell: func() func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			key, own := p.idp.Key, p.idp.Certificate
			p.idp.Key, p.idp.Certificate = other, certificate
			return func() { p.mu.Lock(); p.idp.Key, p.idp.Certificate = key, own; p.mu.Unlock() }
		}},
		{Name: "for another party", Tell: func() func() {
			p.know(func(us *saml.EntityDescriptor) { us.EntityID = "https://wiki.example.org/saml" })
			return func() { p.know(nil) }
		}},
	}
}

func (p *samlPartner) know(edit func(*saml.EntityDescriptor)) {
	p.mu.Lock()
	p.knows = edit
	p.mu.Unlock()
}

// forged is an assertion without a signature, under another ID.
func forged(assertion string) string {
	bare := xmlSignature.ReplaceAllString(assertion, "")
	return xmlID.ReplaceAllString(bare, ` ID="forged"`)
}

// wrapped puts an unsigned assertion before the signed one (XSW3).
func wrapped(x string) string {
	return xmlAssertion.ReplaceAllStringFunc(x, func(a string) string { return forged(a) + a })
}

// within puts the signed assertion into an unsigned one (XSW4).
func within(x string) string {
	return xmlAssertion.ReplaceAllStringFunc(x, func(a string) string {
		return strings.Replace(forged(a), "</saml:Assertion>", a+"</saml:Assertion>", 1)
	})
}
