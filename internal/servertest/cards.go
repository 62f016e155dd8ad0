package servertest

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/pki"
	"countersign/internal/revocation"
	"countersign/internal/server"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// CardTable is an installation with a place to show cards, and the authority that
// makes them.
type CardTable struct {
	*World
	Staff    *testbed.Authority
	Crl      string
	Endpoint string // HOST:PORT on loopback
	Served   *testbed.Authority
	Ada      *Person
}

const CardName = "card.test"

// NewCardTable has ada with password and authenticator app. Edit changes the
// settings of cards first.
func NewCardTable(t *testing.T, edit ...func(*server.Settings)) *CardTable {
	t.Helper()
	s := server.Settings{}
	c, l := cardTable(t, &s)
	for _, f := range edit {
		f(&s)
	}
	c.World = NewWorldFrom(t, s, "http://localhost", nil)
	c.serve(t, s, l)
	c.Ada = c.EnrollCodes("ada")
	return c
}

// cardTable has settings name a place to show cards and the authority that makes them, before
// there is an installation, and returns it with its socket.
func cardTable(t testing.TB, s *server.Settings) (*CardTable, net.Listener) {
	t.Helper()
	c := &CardTable{Staff: testbed.NewAuthority(t, "Staff Cards", nil), Crl: filepath.Join(t.TempDir(), "staff.crl"), Served: testbed.NewAuthority(t, "Served", nil)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Endpoint = l.Addr().String()
	_, port, _ := net.SplitHostPort(c.Endpoint)
	c.Publish(t)
	s.Cards = &server.Cards{URL: &url.URL{Scheme: "https", Host: CardName + ":" + port},
		Authorities: pki.Authorities{{Name: "staff", Certificates: []*x509.Certificate{c.Staff.Certificate}, Mapping: pki.IssuerSerial, Purpose: pki.ClientAuth, Cards: true}},
		Sources:     map[string]revocation.Source{"staff": {CRLs: []string{c.Crl}}}}
	return c, l
}

// serve serves the place at its socket, for the installation.
func (c *CardTable) serve(t testing.TB, s server.Settings, l net.Listener) {
	t.Helper()
	s.PublicURL, _ = url.Parse(c.Base)
	s.Now, s.Log = c.Now, slog.New(slog.NewTextHandler(t.Output(), nil))
	key := testbed.NewKey(t)
	own := c.Served.Issue(CardName, key.Public(), func(x *x509.Certificate) {
		x.DNSNames, x.ExtKeyUsage = []string{CardName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	shown := c.CardServer(s, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}}})
	go shown.ServeTLS(server.ShareCards(l), "", "") // as serve has it
	t.Cleanup(func() { shown.Close() })
}

// Publish writes the authority's list anew.
func (c *CardTable) Publish(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(c.Crl, c.Staff.CRL(96*time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
}

// CardOf is a card in software: what a browser shows when it is asked.
func CardOf(c *x509.Certificate, key crypto.PrivateKey) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func (c *CardTable) Issue(t testing.TB, name string, edit ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key := testbed.NewKey(t)
	return CardOf(c.Staff.Issue(name, key.Public(), edit...), key)
}

// Reader is a client that shows a card, or none, whatever authorities the endpoint
// names, and follows nowhere.
func (c *CardTable) Reader(card *tls.Certificate) *http.Client {
	c.T.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if card == nil {
			return &tls.Certificate{}, nil
		}
		return card, nil
	}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	config.RootCAs.AddCert(c.Served.Certificate)
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, c.Endpoint)
	}}
	c.T.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Show visits the endpoint and returns where it sends the browser.
func (c *CardTable) Show(address string, card *tls.Certificate) string {
	c.T.Helper()
	r, err := c.Reader(card).Get(address)
	if err != nil {
		c.T.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusSeeOther {
		b, _ := io.ReadAll(r.Body)
		c.T.Fatalf("%d %s", r.StatusCode, b)
	}
	return r.Header.Get("Location")
}

var CardLink = regexp.MustCompile(`href="(https://card\.test[^"]+)"`)

// CardAt is the link on the page that leads to where the card is shown.
func CardAt(p *Person) string {
	p.W.T.Helper()
	m := CardLink.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("the page asks for no card:\n%s", p.Page)
	}
	return html.UnescapeString(m[1])
}

// Entered is ada, signed in with password and code.
func (c *CardTable) Entered() *Person {
	c.T.Helper()
	p := c.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", c.Ada.Code())
	p.Sees("Where you are signed in")
	c.Later(time.Minute)
	return p
}

var ShownField = regexp.MustCompile(`name="data" value="([^"]+)"`)

// Offers begins an enrollment and shows a card, up to the page that asks whether to
// add it.
func (c *CardTable) Offers(p *Person, card *tls.Certificate) (shown string) {
	c.T.Helper()
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	p.Get(c.Show(CardAt(p), card))
	p.Sees("Add it?")
	return html.UnescapeString(ShownField.FindStringSubmatch(p.Page)[1])
}

func (c *CardTable) Adds(p *Person, card *tls.Certificate) {
	c.T.Helper()
	p.Post("/account/setup", "authenticator", "certificate", "data", c.Offers(p, card), "label", "My badge")
	p.Sees("Added: Smart card.")
	c.Later(25 * time.Hour) // out of quarantine
}

// LatestOf is the newest entry of an event.
func LatestOf(w *World, event string) audit.Entry {
	w.T.Helper()
	all, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Newest: true, Limit: 1})
	if err != nil || len(all) == 0 {
		w.T.Fatalf("no entry %s: %v", event, err)
	}
	return all[0]
}
