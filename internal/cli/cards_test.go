package cli

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/pki"
	"countersign/internal/revocation"
	"countersign/internal/server"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// cardTable is an installation with a place to show cards, and the authority that
// makes them.
type cardTable struct {
	*world
	staff    *testbed.Authority
	crl      string
	endpoint string // HOST:PORT on loopback
	served   *testbed.Authority
	ada      *person
}

const cardName = "card.test"

// newCardTable has ada with password and authenticator app. Edit changes the
// settings of cards first.
func newCardTable(t *testing.T, edit ...func(*server.Settings)) *cardTable {
	t.Helper()
	c := &cardTable{staff: testbed.NewAuthority(t, "Staff Cards", nil), crl: filepath.Join(t.TempDir(), "staff.crl"), served: testbed.NewAuthority(t, "Served", nil)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.endpoint = l.Addr().String()
	_, port, _ := net.SplitHostPort(c.endpoint)
	c.publish(t)
	s := server.Settings{Cards: &server.Cards{URL: &url.URL{Scheme: "https", Host: cardName + ":" + port},
		Authorities: pki.Authorities{{Name: "staff", Certificates: []*x509.Certificate{c.staff.Certificate}, Mapping: pki.IssuerSerial, Purpose: pki.ClientAuth, Cards: true}},
		Sources:     map[string]revocation.Source{"staff": {CRLs: []string{c.crl}}}}}
	for _, f := range edit {
		f(&s)
	}
	c.world = newWorldFrom(t, s, "http://localhost", nil)
	s.PublicURL, _ = url.Parse(c.base)
	s.Now = c.now
	key := testbed.NewKey(t)
	own := c.served.Issue(cardName, key.Public(), func(x *x509.Certificate) {
		x.DNSNames, x.ExtKeyUsage = []string{cardName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	shown := c.CardServer(s, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}}})
	go shown.ServeTLS(server.ShareCards(l), "", "") // as serve has it
	t.Cleanup(func() { shown.Close() })
	c.ada = c.enrollCodes("ada")
	return c
}

// publish writes the authority's list anew.
func (c *cardTable) publish(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(c.crl, c.staff.CRL(96*time.Hour), 0o600); err != nil {
		t.Fatal(err)
	}
}

// cardOf is a card in software: what a browser shows when it is asked.
func cardOf(c *x509.Certificate, key crypto.PrivateKey) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func (c *cardTable) issue(t testing.TB, name string, edit ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key := testbed.NewKey(t)
	return cardOf(c.staff.Issue(name, key.Public(), edit...), key)
}

// reader is a client that shows a card, or none, whatever authorities the endpoint
// names, and follows nowhere.
func (c *cardTable) reader(card *tls.Certificate) *http.Client {
	c.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if card == nil {
			return &tls.Certificate{}, nil
		}
		return card, nil
	}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	config.RootCAs.AddCert(c.served.Certificate)
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, c.endpoint)
	}}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// show visits the endpoint and returns where it sends the browser.
func (c *cardTable) show(address string, card *tls.Certificate) string {
	c.t.Helper()
	r, err := c.reader(card).Get(address)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusSeeOther {
		b, _ := io.ReadAll(r.Body)
		c.t.Fatalf("%d %s", r.StatusCode, b)
	}
	return r.Header.Get("Location")
}

var cardLink = regexp.MustCompile(`href="(https://card\.test[^"]+)"`)

// cardAt is the link on the page that leads to where the card is shown.
func (p *person) cardAt() string {
	p.w.t.Helper()
	m := cardLink.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("the page asks for no card:\n%s", p.page)
	}
	return html.UnescapeString(m[1])
}

// entered is ada, signed in with password and code.
func (c *cardTable) entered() *person {
	c.t.Helper()
	p := c.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "totp", "text", c.ada.code())
	p.sees("Where you are signed in")
	c.later(time.Minute)
	return p
}

var shownField = regexp.MustCompile(`name="data" value="([^"]+)"`)

// offers begins an enrollment and shows a card, up to the page that asks whether to
// add it.
func (c *cardTable) offers(p *person, card *tls.Certificate) (shown string) {
	c.t.Helper()
	p.get("/account")
	p.post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	p.get(c.show(p.cardAt(), card))
	p.sees("Add it?")
	return html.UnescapeString(shownField.FindStringSubmatch(p.page)[1])
}

func (c *cardTable) adds(p *person, card *tls.Certificate) {
	c.t.Helper()
	p.post("/account/setup", "authenticator", "certificate", "data", c.offers(p, card), "label", "My badge")
	p.sees("Added: Smart card.")
	c.later(25 * time.Hour) // out of quarantine
}

// latestOf is the newest entry of an event.
func (w *world) latestOf(event string) audit.Entry {
	w.t.Helper()
	all, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: event, Newest: true, Limit: 1})
	if err != nil || len(all) == 0 {
		w.t.Fatalf("no entry %s: %v", event, err)
	}
	return all[0]
}

// The promise: a card that its owner added signs them in by itself, without a name,
// and as a second factor behind a password; the log says which card it was.
func TestSmartCard(t *testing.T) {
	c := newCardTable(t)
	p := c.entered()
	card := c.issue(t, "ada lovelace")
	c.adds(p, card)

	p = c.person()
	p.get("/sign-in")
	p.get(c.show(p.cardAt(), card))
	p.sees("Where you are signed in")
	p.sees("My badge")
	if e := c.latestOf("evidence.accepted"); e.AccountName != "ada" || e.Detail["authenticator"] != "certificate" ||
		e.Detail["traits"] != "held+user-verified+phishing-resistant+hardware-bound" || !strings.Contains(e.Detail["detail"], "serial 65") || !strings.Contains(e.Detail["detail"], "CN=Staff Cards") {
		t.Errorf("the log says %+v", e)
	}

	p = c.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "ada", "authenticator", "password", "text", passphrase)
	p.get(c.show(p.cardAt(), card))
	p.sees("Where you are signed in")

	// Removed, it is nobody's; and can be added again.
	badge := regexp.MustCompile(`rename\?number=(\d+)">Rename<span class="unseen"> My badge`).FindStringSubmatch(p.page)
	p.does("/account/do", "action", "authenticator.remove", "object", badge[1])
	p.sees("It was removed.")
	thief := c.person()
	thief.get("/sign-in")
	thief.get(c.show(thief.cardAt(), card))
	thief.sees("That did not work")
	c.adds(c.entered(), card)
}

// The same over PostgreSQL: added, removed, added again, and one of 16 at once.
func TestSmartCardOnPostgreSQL(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	c := newCardTable(t, func(s *server.Settings) { s.Database = dsn })
	card := c.issue(t, "ada")
	p := c.entered()
	c.adds(p, card)
	p = c.person()
	p.get("/sign-in")
	shown := c.show(p.cardAt(), card)
	var inside atomic.Int64
	var all sync.WaitGroup
	before := c.events("signin.granted")
	for range 16 {
		q := &person{w: c.world, client: p.client}
		all.Go(func() {
			q.get(shown)
			if strings.Contains(q.page, "Where you are signed in") {
				inside.Add(1)
			}
		})
	}
	all.Wait()
	if n := c.events("signin.granted") - before; n != 1 || inside.Load() < 1 {
		t.Errorf("one statement signed in %d times, and %d were inside", n, inside.Load())
	}
	p.get("/account")
	badge := regexp.MustCompile(`rename\?number=(\d+)">Rename<span class="unseen"> My badge`).FindStringSubmatch(p.page)
	p.does("/account/do", "action", "authenticator.remove", "object", badge[1])
	p.sees("It was removed.")
	c.adds(c.entered(), card)
}

// The promise: whatever is wrong with a card, nobody is let in, and the log says why.
func TestSmartCardRefusals(t *testing.T) {
	c := newCardTable(t)
	p := c.entered()
	card := c.issue(t, "ada")
	c.adds(p, card)
	leaf, err := x509.ParseCertificate(card.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	impostor := testbed.NewAuthority(t, "Staff Cards", nil)
	same := func(x *x509.Certificate) { x.SerialNumber = leaf.SerialNumber }
	key := testbed.NewKey(t)
	self := &x509.Certificate{SerialNumber: leaf.SerialNumber, Subject: leaf.Subject, NotAfter: leaf.NotAfter, ExtKeyUsage: leaf.ExtKeyUsage}
	for _, try := range []struct {
		name, reason string
		card         *tls.Certificate
		before       func()
	}{
		{name: "no card", reason: "no-certificate"},
		{name: "a card that nobody added", reason: "unknown-certificate", card: c.issue(t, "ada")},
		{name: "expired", reason: "expired", card: c.issue(t, "ada", func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) })},
		{name: "for servers", reason: "wrong-usage", card: c.issue(t, "ada", func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		{name: "self-signed with the same subject", reason: "unknown-authority", card: cardOf(testbed.Certify(t, self, self, key.Public(), key), key)},
		{name: "another authority of the same name and serial number", reason: "unknown-authority", card: cardOf(impostor.Issue("ada", key.Public(), same), key)},
		{name: "the same serial number and another key", reason: "other-key", card: c.issue(t, "ada", same)},
		{name: "the list is over", reason: "revocation-stale", card: card, before: func() { os.WriteFile(c.crl, c.staff.CRL(-time.Hour), 0o600) }},
		{name: "the list is forged", reason: "revocation-forged", card: card, before: func() { os.WriteFile(c.crl, impostor.CRL(96*time.Hour), 0o600) }},
		{name: "the list is gone", reason: "revocation-unreachable", card: card, before: func() { os.Remove(c.crl) }},
		{name: "revoked", reason: "revoked", card: card, before: func() { c.staff.Revoke(leaf); c.publish(t) }},
	} {
		// Each on a server that has not seen a good list before.
		fresh := &cardTable{world: c.world, served: c.served, endpoint: c.anotherEndpoint(t)}
		if try.before != nil {
			try.before()
		}
		p := c.person()
		p.get("/sign-in")
		p.get(fresh.show(p.cardAt(), try.card))
		p.sees("That did not work")
		if e := c.latestOf("answer.refused"); e.Reason != try.reason || try.card != nil && !strings.Contains(e.Detail["detail"], "serial ") {
			t.Errorf("%s: the log says %q, %v", try.name, e.Reason, e.Detail)
		}
		if p.get("/account"); strings.Contains(p.page, "Where you are signed in") {
			t.Errorf("%s: let in", try.name)
		}
	}
}

// anotherEndpoint serves the same installation with an empty memory of lists.
func (c *cardTable) anotherEndpoint(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(c.endpoint)
	base, _ := url.Parse(c.base)
	s := server.Settings{PublicURL: base, Now: c.now, Cards: &server.Cards{URL: &url.URL{Scheme: "https", Host: cardName + ":" + port},
		Authorities: pki.Authorities{{Name: "staff", Certificates: []*x509.Certificate{c.staff.Certificate}, Mapping: pki.IssuerSerial, Purpose: pki.ClientAuth, Cards: true}},
		Sources:     map[string]revocation.Source{"staff": {CRLs: []string{c.crl}}}}}
	key := testbed.NewKey(t)
	own := c.served.Issue(cardName, key.Public(), func(x *x509.Certificate) {
		x.DNSNames, x.ExtKeyUsage = []string{cardName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	shown := c.CardServer(s, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{own.Raw}, PrivateKey: key}}})
	go shown.ServeTLS(server.ShareCards(l), "", "") // as serve has it
	t.Cleanup(func() { shown.Close() })
	return l.Addr().String()
}

// The promise: what a browser brings back is good in that browser's own sign-in,
// once. An attacker who sends the link of a sign-in of their own to somebody with a
// card gets nothing.
func TestSmartCardRelay(t *testing.T) {
	c := newCardTable(t)
	card := c.issue(t, "ada")
	c.adds(c.entered(), card)

	eve, ada := c.person(), c.person()
	eve.get("/sign-in")
	ada.get("/sign-in")
	bait := eve.cardAt()
	comesBack := c.show(bait, card) // ada follows eve's link with her card in
	ada.get(comesBack)
	ada.sees("That did not work")
	if e := c.latestOf("answer.refused"); e.Reason != "wrong-challenge" {
		t.Errorf("the log says %q", e.Reason)
	}
	eve.get("/sign-in/wait")
	eve.get("/account")
	if strings.Contains(eve.page, "Where you are signed in") {
		t.Fatal("eve is let in by the link that ada followed")
	}
	// Swapped, and replayed: the statement of her first attempt, in her second.
	first := c.show(ada.cardAt(), card)
	ada.get(first)
	ada.sees("Where you are signed in")
	again := c.person()
	again.get("/sign-in")
	again.get(first)
	again.sees("That did not work")
	replay := c.person()
	replay.client.Jar = ada.client.Jar
	replay.get(first)
	if strings.Contains(replay.page, "Where you are signed in") {
		t.Error("the statement serves twice")
	}

	// The same for adding: eve adds nothing that ada showed, and ada nothing to eve's
	// account.
	grace := c.enrollCodes("grace")
	g := c.person()
	g.get("/sign-in")
	g.post("/sign-in", "name", "grace", "authenticator", "password", "text", passphrase)
	g.post("/sign-in", "authenticator", "totp", "text", grace.code())
	c.later(time.Minute)
	g.get("/account")
	g.post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	trap := c.show(g.cardAt(), c.issue(t, "ada"))
	shown, _ := url.Parse(trap)
	a := c.person()
	a.get("/sign-in")
	a.get(c.show(a.cardAt(), card))
	a.get("/account")
	a.post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	a.get(trap)
	a.post("/account/setup", "authenticator", "certificate", "data", `"`+shown.Query().Get("shown")+`"`)
	a.sees("could not be accepted")
	// Nor somebody else's card, though it is hers that she shows.
	g.post("/account/setup", "authenticator", "certificate", "data", c.offers(g, card))
	g.sees("enrolled already")
	// Nor does ada's card let grace's password through.
	g = c.person()
	g.get("/sign-in")
	g.post("/sign-in", "name", "grace", "authenticator", "password", "text", passphrase)
	if cardLink.MatchString(g.page) {
		t.Error("grace, who has no card, is asked for one")
	}
}

// The promise: only a key that this connection proved counts: no header, no resumed
// or reused connection, no other name, and no card at the pages.
func TestSmartCardConnection(t *testing.T) {
	c := newCardTable(t)
	card := c.issue(t, "ada")
	c.adds(c.entered(), card)
	p := c.person()
	p.get("/sign-in")
	address := p.cardAt()

	r, _ := http.NewRequest("GET", address, nil)
	for _, name := range []string{"X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "X-Client-Cert", "Ssl-Client-Cert", "X-ARR-ClientCert", "Client-Cert"} {
		r.Header.Set(name, url.QueryEscape(string(card.Certificate[0])))
	}
	resp, err := c.reader(nil).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	p.get(resp.Header.Get("Location"))
	p.sees("That did not work")
	if e := c.latestOf("answer.refused"); e.Reason != "no-certificate" {
		t.Errorf("by a header: %q", e.Reason)
	}

	// A connection is one visit, and proves nothing for the next one.
	client := c.reader(card)
	for range 2 {
		resp, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if !resp.Close || resp.TLS.DidResume || resp.TLS.Version != tls.VersionTLS13 || resp.TLS.NegotiatedProtocol == "h2" {
			t.Errorf("close is %t, resumed %t, version %x, %q", resp.Close, resp.TLS.DidResume, resp.TLS.Version, resp.TLS.NegotiatedProtocol)
		}
	}
	client.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if _, err := client.Get(address); err == nil {
		t.Error("TLS 1.2 is spoken")
	}

	// Two requests on one connection: the second is not answered with a statement.
	conn, err := tls.Dial("tcp", c.endpoint, &tls.Config{ServerName: cardName, InsecureSkipVerify: true, Certificates: []tls.Certificate{*card}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	u, _ := url.Parse(address)
	one := "GET " + u.Path + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"
	io.WriteString(conn, one+one)
	all, _ := io.ReadAll(conn)
	if n := strings.Count(string(all), "shown="); n > 2 || strings.Count(string(all), "303 See Other") != 1 {
		t.Errorf("two requests were answered:\n%s", all)
	}

	for _, try := range []struct{ server, host string }{{"other.test", u.Host}, {cardName, "localhost:1"}, {"", u.Host}} {
		conn, err := tls.Dial("tcp", c.endpoint, &tls.Config{ServerName: try.server, InsecureSkipVerify: true, Certificates: []tls.Certificate{*card}})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET "+u.Path+" HTTP/1.1\r\nHost: "+try.host+"\r\n\r\n")
		all, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.HasPrefix(string(all), "HTTP/1.1 421 ") {
			t.Errorf("%v: %.200s", try, all)
		}
	}
	for _, path := range []string{"/", "/sign-in", "/sign-in/", "/sign-in/short", "/evil/" + filepath.Base(u.Path), "/sign-in/" + strings.Repeat("A", 44)} {
		resp, err := c.reader(card).Get("https://" + u.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	head, err := c.reader(card).Head(address)
	if err != nil || head.StatusCode != http.StatusNotFound {
		t.Errorf("HEAD: %v", head)
	}
}
