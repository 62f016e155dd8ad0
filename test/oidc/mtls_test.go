package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// certified is a world in which clients show certificates, to a listener of its own.
type certified struct {
	*servertest.World
	issuer *testbed.Authority
	at     string // where certificates are shown
}

// withCertificates has a world whose listener for certificates is on loopback, where no proxy is.
func withCertificates(t *testing.T, edit ...func(*server.Settings)) *certified {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.Settings{Mutual: &url.URL{Scheme: "https", Host: l.Addr().String()}, Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}}
	for _, f := range edit {
		f(&s)
	}
	c := &certified{servertest.NewWorldFrom(t, s, "http://localhost", nil), testbed.NewAuthority(t, "Clients", nil), "https://" + l.Addr().String()}
	key := testbed.NewKey(t)
	own := c.issuer.Issue("clients.test", key.Public(), func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	served := c.MutualServer(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}}}, slog.New(slog.DiscardHandler))
	go served.ServeTLS(l, "", "")
	t.Cleanup(func() { served.Close() })
	return c
}

// issue is a certificate with its key.
func (c *certified) issue(t testing.TB, by *testbed.Authority, edit ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key := testbed.NewKey(t)
	return servertest.CardOf(by.Issue("wiki", key.Public(), edit...), key)
}

// inPEM are certificates as settings have them.
func inPEM(all ...*tls.Certificate) string {
	var b strings.Builder
	for _, c := range all {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	}
	return b.String()
}

// sends sends a form with a certificate, or none, to where certificates are shown.
func (c *certified) sends(t testing.TB, shown *tls.Certificate, path string, form url.Values, header ...string) (int, reply) {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if shown == nil {
			return &tls.Certificate{}, nil
		}
		return shown, nil
	}}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(context.Background(), "POST", c.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := reply{}
	json.NewDecoder(resp.Body).Decode(&out) //nolint:errcheck // a refusal may have no body
	return resp.StatusCode, out
}

// byCertificate is what a client sends for a code that proves itself by nothing else.
func (p *party) byCertificate(code string) url.Values {
	form := p.tokenForm(code)
	form.Del("client_secret")
	return form
}

func thumb(c *tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// The promise: a client is known by a certificate of its authority that bears its registered name,
// in its time and made for that, and by no other.
func TestAClientProvesItselfByACertificate(t *testing.T) {
	c := withCertificates(t)
	ada := c.EnrollCodes("ada")
	p := signedIn(c.World, ada)
	subject := func(x *x509.Certificate) {
		x.Subject = pkix.Name{CommonName: "wiki", Organization: []string{"Example"}, Country: []string{"DE"}}
	}
	site := &url.URL{Scheme: "https", Host: "wiki.test", Path: "/id"}
	rogue := testbed.NewAuthority(t, "Clients", nil) // of the same name
	registered := []string{inPEM(&tls.Certificate{Certificate: [][]byte{c.issuer.Certificate.Raw}})}
	tries := 0
	try := func(name string, shown *tls.Certificate, good bool, edit func(form url.Values)) {
		t.Helper()
		tries++
		id := fmt.Sprintf("wiki%d", tries)
		wiki := newParty(c.World, id, map[string]any{"authentication": "tls", "client_secret": nil, "tls_certificates": registered, "tls_name": name})
		form := wiki.byCertificate(wiki.code(p))
		if edit != nil {
			edit(form)
		}
		status, got := c.sends(t, shown, "/oidc/token", form)
		if good != (status == 200) || !good && got["error"] != "invalid_client" && got["error"] != "invalid_request" {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	try("dn:CN=wiki,O=Example,C=DE", c.issue(t, c.issuer, subject), true, nil)
	for name, edit := range map[string]func(x *x509.Certificate){
		"dns:wiki.example.test": func(x *x509.Certificate) { x.DNSNames = []string{"other.test", "wiki.example.test"} },
		"uri:https://wiki.test/id": func(x *x509.Certificate) {
			x.URIs = []*url.URL{site}
		},
		"ip:192.0.2.7":           func(x *x509.Certificate) { x.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 7)} },
		"email:wiki@example.org": func(x *x509.Certificate) { x.EmailAddresses = []string{"wiki@example.org"} },
	} {
		try(name, c.issue(t, c.issuer, edit), true, nil)
		try(name, c.issue(t, c.issuer, subject), false, nil) // another client's
		try(name, c.issue(t, rogue, edit), false, nil)       // another authority's
	}
	const dn = "dn:CN=wiki,O=Example,C=DE"
	for what, edit := range map[string]func(x *x509.Certificate){
		"over":                     func(x *x509.Certificate) { x.NotAfter = c.Now().Add(-time.Minute) },
		"not yet":                  func(x *x509.Certificate) { x.NotBefore = c.Now().Add(time.Hour) },
		"of a server":              func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"of another name":          func(x *x509.Certificate) { x.Subject.CommonName = "Wiki" },
		"of a longer name":         func(x *x509.Certificate) { x.Subject.OrganizationalUnit = []string{"More"} },
		"of an authority":          func(x *x509.Certificate) { x.IsCA, x.BasicConstraintsValid = true, true },
		"its name as another kind": func(x *x509.Certificate) { x.Subject, x.DNSNames = pkix.Name{}, []string{"wiki"} },
	} {
		t.Run(what, func(t *testing.T) { try(dn, c.issue(t, c.issuer, subject, edit), false, nil) })
	}
	good := c.issue(t, c.issuer, subject)
	try(dn, nil, false, nil)
	try(dn, c.issue(t, rogue, subject), false, nil)
	try(dn, good, false, func(f url.Values) { f.Set("client_secret", clientSecret) })
	try(dn, good, false, func(f url.Values) { f.Del("client_id") })
}

// A client of its own certificate is known by that very one, whatever another one says.
func TestAClientProvesItselfByItsOwnCertificate(t *testing.T) {
	c := withCertificates(t)
	ada := c.EnrollCodes("ada")
	p := signedIn(c.World, ada)
	// Each signs itself: the authority of another name that issues its one certificate.
	mine, next, copied := c.issue(t, testbed.NewAuthority(t, "self", nil)), c.issue(t, c.issuer), c.issue(t, testbed.NewAuthority(t, "self", nil))
	wiki := newParty(c.World, "wiki", map[string]any{"authentication": "self-signed-tls", "client_secret": nil, "tls_certificates": []string{inPEM(mine, next)}})
	other := newParty(c.World, "other", map[string]any{"authentication": "self-signed-tls", "client_secret": nil, "tls_certificates": []string{inPEM(copied)}})
	for name, shown := range map[string]*tls.Certificate{"its own": mine, "its next": next} {
		if status, got := c.sends(t, shown, "/oidc/token", wiki.byCertificate(wiki.code(p))); status != 200 || got["token_type"] != "Bearer" {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	for name, shown := range map[string]*tls.Certificate{"another client's": copied, "none": nil} {
		status, got := c.sends(t, shown, "/oidc/token", wiki.byCertificate(wiki.code(p)))
		fails(t, name, status, got, "invalid_client")
	}
	status, got := c.sends(t, mine, "/oidc/token", other.byCertificate(other.code(p)))
	fails(t, "as another client", status, got, "invalid_client")
	form := wiki.byCertificate(wiki.code(p))
	status, got = wiki.post(t, "/oidc/token", form, "Client-Cert", ":"+base64.StdEncoding.EncodeToString(mine.Certificate[0])+":")
	fails(t, "a header, from outside of any proxy", status, got, "invalid_client")
	status, got = c.sends(t, nil, "/oidc/token", form, "Client-Cert", ":"+base64.StdEncoding.EncodeToString(mine.Certificate[0])+":")
	fails(t, "a header, at our own listener", status, got, "invalid_client")
	if status, _ := c.sends(t, mine, "/sign-in", nil); status != http.StatusNotFound {
		t.Errorf("pages are served where certificates are shown: %d", status)
	}
}

// The promise: behind a proxy the certificate is what the proxy says, in the header that the
// configuration names; what anybody else says there is nothing.
func TestAProxyHandsACertificateOn(t *testing.T) {
	for name, good := range map[string]bool{"of a proxy that is trusted": true, "of a proxy, where no header is set": false, "of nobody's proxy": false} {
		t.Run(name, func(t *testing.T) {
			s := server.Settings{CertificateHeader: "Client-Cert"}
			switch name {
			case "of a proxy, where no header is set":
				s.CertificateHeader = ""
			case "of nobody's proxy":
				s.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
			}
			w := servertest.NewWorldFrom(t, s, "http://localhost", nil)
			ada := w.EnrollCodes("ada")
			c := &certified{World: w, issuer: testbed.NewAuthority(t, "Clients", nil)}
			mine := c.issue(t, c.issuer)
			wiki := newParty(w, "wiki", map[string]any{"authentication": "self-signed-tls", "client_secret": nil, "tls_certificates": strings.Split(inPEM(mine), "\n"), "sender_constrained": "tls"})
			p := signedIn(w, ada)
			header := ":" + base64.StdEncoding.EncodeToString(mine.Certificate[0]) + ":"
			status, got := wiki.post(t, "/oidc/token", wiki.byCertificate(wiki.code(p)), "Client-Cert", header, "X-Forwarded-For", "198.51.100.7")
			if (status == 200) != good {
				t.Fatalf("%d %v", status, got)
			}
			status, got = wiki.post(t, "/oidc/token", wiki.byCertificate(wiki.code(p)), "Client-Cert", header, "Client-Cert", header)
			fails(t, "twice", status, got, "invalid_client")
		})
	}
}

// The promise: a token that is bound to a certificate is nothing without it; who stole it, and
// another client whose certificate is as good, has nothing.
func TestATokenIsBoundToACertificate(t *testing.T) {
	c := withCertificates(t)
	ada := c.EnrollCodes("ada")
	p := signedIn(c.World, ada)
	mine, thief := c.issue(t, c.issuer), c.issue(t, c.issuer)
	registered := []string{inPEM(&tls.Certificate{Certificate: [][]byte{c.issuer.Certificate.Raw}})}
	wiki := newParty(c.World, "wiki", map[string]any{"authentication": "tls", "client_secret": nil, "tls_certificates": registered, "tls_name": "dn:CN=wiki", "sender_constrained": "tls", "refresh": "session"})
	api := resourceServer(c.World, "api", "wiki")
	status, got := c.sends(t, mine, "/oidc/token", wiki.byCertificate(wiki.code(p)))
	if status != 200 || got["token_type"] != "Bearer" {
		t.Fatalf("%d %v", status, got)
	}
	access, _ := got["access_token"].(string)
	refresh, _ := got["refresh_token"].(string)
	told := api.asks(t, access)
	if cnf, _ := told["cnf"].(map[string]any); told["active"] != true || cnf["x5t#S256"] != thumb(mine) || len(cnf) != 1 || told["token_type"] != "Bearer" {
		t.Errorf("a resource server is told %v", told)
	}
	uses := func(shown *tls.Certificate) int {
		t.Helper()
		status, _ := c.sends(t, shown, "/oidc/userinfo", nil, "Authorization", "Bearer "+access)
		return status
	}
	if status := uses(mine); status != 200 {
		t.Errorf("with its certificate: %d", status)
	}
	for name, shown := range map[string]*tls.Certificate{"another's": thief, "none": nil} {
		if status := uses(shown); status != http.StatusUnauthorized {
			t.Errorf("with %s: %d", name, status)
		}
	}
	if status, _ := wiki.uses(t, "Bearer", access); status != http.StatusUnauthorized {
		t.Errorf("where no certificate is shown: %d", status)
	}
	if status, _ := wiki.uses(t, "DPoP", access, newHolder(t, c.World).proof("GET", "/oidc/userinfo", "ath", ath(access))); status != http.StatusUnauthorized {
		t.Errorf("with a key in the place of the certificate: %d", status)
	}
	again := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"wiki"}}
	status, got = c.sends(t, nil, "/oidc/token", again)
	fails(t, "a refresh without a certificate", status, got, "invalid_client")
	if status, got = c.sends(t, mine, "/oidc/token", again); status != 200 {
		t.Fatalf("%d %v", status, got)
	}
	// A program that proves itself by nothing else stays with the certificate that it began with
	// (RFC 8705 section 7.1).
	phone := newParty(c.World, "phone", map[string]any{"authentication": "none", "client_secret": nil, "sender_constrained": "tls", "refresh": "session"})
	status, got = c.sends(t, nil, "/oidc/token", phone.byCertificate(phone.code(p)))
	fails(t, "a program without a certificate", status, got, "invalid_request")
	if status, got = c.sends(t, mine, "/oidc/token", phone.byCertificate(phone.code(p))); status != 200 {
		t.Fatalf("%d %v", status, got)
	}
	refresh, _ = got["refresh_token"].(string)
	again = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"phone"}}
	status, got = c.sends(t, thief, "/oidc/token", again)
	fails(t, "a refresh with another certificate", status, got, "invalid_grant")
	if status, got = c.sends(t, mine, "/oidc/token", again); status != 200 {
		t.Errorf("%d %v", status, got)
	}
}

// The metadata says where certificates are shown, and nothing of it where they cannot be; the FAPI
// 2.0 profile takes them in the place of a private key and of DPoP.
func TestWhereCertificatesAreShown(t *testing.T) {
	metadata := func(base string) map[string]any {
		t.Helper()
		r, err := http.Get(base + "/.well-known/openid-configuration")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var all map[string]any
		if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := metadata(servertest.NewWorld(t).Base); all["mtls_endpoint_aliases"] != nil || strings.Contains(fmt.Sprint(all["token_endpoint_auth_methods_supported"]), "tls_client_auth") {
		t.Errorf("nothing takes certificates, and the metadata says %v", all["token_endpoint_auth_methods_supported"])
	}
	c := withCertificates(t)
	all := metadata(c.Base)
	aliases, _ := all["mtls_endpoint_aliases"].(map[string]any)
	if aliases["token_endpoint"] != c.at+"/oidc/token" || aliases["introspection_endpoint"] != c.at+"/oidc/introspect" || all["tls_client_certificate_bound_access_tokens"] != true ||
		!strings.Contains(fmt.Sprint(all["token_endpoint_auth_methods_supported"]), "self_signed_tls_client_auth") {
		t.Errorf("%v", all)
	}
	ada := c.EnrollCodes("ada")
	mine := c.issue(t, c.issuer)
	bank := newParty(c.World, "plain", nil)
	register(c.World, "bank", map[string]any{"client_id": "bank", "authentication": "self-signed-tls", "tls_certificates": []string{inPEM(mine)}, "profile": "fapi2", "sender_constrained": "tls", "redirect_uris": []string{"https://bank.example.test/callback"}})
	bank.config.ClientID, bank.config.RedirectURL = "bank", "https://bank.example.test/callback"
	p := signedIn(c.World, ada)
	u, _ := url.Parse(bank.begin())
	status, got := c.sends(t, mine, "/oidc/par", u.Query())
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, got)
	}
	code := where(p, bank.by(got["request_uri"])).Query().Get("code")
	if status, got = c.sends(t, mine, "/oidc/token", bank.byCertificate(code)); status != 200 || got["token_type"] != "Bearer" {
		t.Errorf("%d %v", status, got)
	}
}
