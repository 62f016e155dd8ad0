package web

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
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

	"countersign/internal/pki"
	"countersign/internal/revocation"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// The promise: a card that its owner added signs them in by itself, without a name,
// and as a second factor behind a password; the log says which card it was.
func TestSmartCard(t *testing.T) {
	c := servertest.NewCardTable(t)
	p := c.Entered()
	card := c.Issue(t, "ada lovelace")
	c.Adds(p, card)

	p = c.Person()
	p.Get("/sign-in")
	p.Get(c.Show(servertest.CardAt(p), card))
	p.Sees("Where you are signed in")
	p.Sees("My badge")
	if e := servertest.LatestOf(c.World, "evidence.accepted"); e.AccountName != "ada" || e.Detail["authenticator"] != "certificate" ||
		e.Detail["traits"] != "held+user-verified+phishing-resistant+hardware-bound" || !strings.Contains(e.Detail["detail"], "serial 65") || !strings.Contains(e.Detail["detail"], "CN=Staff Cards") {
		t.Errorf("the log says %+v", e)
	}

	p = c.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Get(c.Show(servertest.CardAt(p), card))
	p.Sees("Where you are signed in")

	// Removed, it is nobody's; and can be added again.
	badge := regexp.MustCompile(`rename\?number=(\d+)">Rename<span class="unseen"> My badge`).FindStringSubmatch(p.Page)
	p.Does("/account/do", "action", "authenticator.remove", "object", badge[1])
	p.Sees("It was removed.")
	p.Sees("set a new password now")
	thief := c.Person()
	thief.Get("/sign-in")
	thief.Get(c.Show(servertest.CardAt(thief), card))
	thief.Sees("That did not work")
	c.Adds(c.Entered(), card)
}

// The same over PostgreSQL: added, removed, added again, and one of 16 at once.
func TestSmartCardOnPostgreSQL(t *testing.T) {
	dsn := storetest.StartPostgres(t).DSN
	c := servertest.NewCardTable(t, func(s *server.Settings) { s.Database = dsn })
	card := c.Issue(t, "ada")
	p := c.Entered()
	c.Adds(p, card)
	p = c.Person()
	p.Get("/sign-in")
	shown := c.Show(servertest.CardAt(p), card)
	var inside atomic.Int64
	var all sync.WaitGroup
	before := c.Events("signin.granted")
	for range 16 {
		q := &servertest.Person{W: c.World, Client: p.Client}
		all.Go(func() {
			q.Get(shown)
			if strings.Contains(q.Page, "Where you are signed in") {
				inside.Add(1)
			}
		})
	}
	all.Wait()
	if n := c.Events("signin.granted") - before; n != 1 || inside.Load() < 1 {
		t.Errorf("one statement signed in %d times, and %d were inside", n, inside.Load())
	}
	p.Get("/account")
	badge := regexp.MustCompile(`rename\?number=(\d+)">Rename<span class="unseen"> My badge`).FindStringSubmatch(p.Page)
	p.Does("/account/do", "action", "authenticator.remove", "object", badge[1])
	p.Sees("It was removed.")
	c.Adds(c.Entered(), card)
}

// The promise: whatever is wrong with a card, nobody is let in, and the log says why.
func TestSmartCardRefusals(t *testing.T) {
	c := servertest.NewCardTable(t)
	p := c.Entered()
	card := c.Issue(t, "ada")
	c.Adds(p, card)
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
		{name: "a card that nobody added", reason: "unknown-certificate", card: c.Issue(t, "ada")},
		{name: "expired", reason: "expired", card: c.Issue(t, "ada", func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) })},
		{name: "for servers", reason: "wrong-usage", card: c.Issue(t, "ada", func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
		{name: "self-signed with the same subject", reason: "unknown-authority", card: servertest.CardOf(testbed.Certify(t, self, self, key.Public(), key), key)},
		{name: "another authority of the same name and serial number", reason: "unknown-authority", card: servertest.CardOf(impostor.Issue("ada", key.Public(), same), key)},
		{name: "the same serial number and another key", reason: "other-key", card: c.Issue(t, "ada", same)},
		{name: "the list is over", reason: "revocation-stale", card: card, before: func() { os.WriteFile(c.Crl, c.Staff.CRL(-time.Hour), 0o600) }},
		{name: "the list is forged", reason: "revocation-forged", card: card, before: func() { os.WriteFile(c.Crl, impostor.CRL(96*time.Hour), 0o600) }},
		{name: "the list is gone", reason: "revocation-unreachable", card: card, before: func() { os.Remove(c.Crl) }},
		{name: "revoked", reason: "revoked", card: card, before: func() { c.Staff.Revoke(leaf); c.Publish(t) }},
	} {
		// Each on a server that has not seen a good list before.
		fresh := &servertest.CardTable{World: c.World, Served: c.Served, Endpoint: anotherEndpoint(c, t)}
		if try.before != nil {
			try.before()
		}
		p := c.Person()
		p.Get("/sign-in")
		p.Get(fresh.Show(servertest.CardAt(p), try.card))
		p.Sees("That did not work")
		if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != try.reason || try.card != nil && !strings.Contains(e.Detail["detail"], "serial ") {
			t.Errorf("%s: the log says %q, %v", try.name, e.Reason, e.Detail)
		}
		if p.Get("/account"); strings.Contains(p.Page, "Where you are signed in") {
			t.Errorf("%s: let in", try.name)
		}
	}
}

// anotherEndpoint serves the same installation with an empty memory of lists.
func anotherEndpoint(c *servertest.CardTable, t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(c.Endpoint)
	base, _ := url.Parse(c.Base)
	s := server.Settings{PublicURL: base, Now: c.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Cards: &server.Cards{URL: &url.URL{Scheme: "https", Host: servertest.CardName + ":" + port},
		Authorities: pki.Authorities{{Name: "staff", Certificates: []*x509.Certificate{c.Staff.Certificate}, Mapping: pki.IssuerSerial, Purpose: pki.ClientAuth, Cards: true}},
		Sources:     map[string]revocation.Source{"staff": {CRLs: []string{c.Crl}}}}}
	key := testbed.NewKey(t)
	own := c.Served.Issue(servertest.CardName, key.Public(), func(x *x509.Certificate) {
		x.DNSNames, x.ExtKeyUsage = []string{servertest.CardName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
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
	c := servertest.NewCardTable(t)
	card := c.Issue(t, "ada")
	c.Adds(c.Entered(), card)

	eve, ada := c.Person(), c.Person()
	eve.Get("/sign-in")
	ada.Get("/sign-in")
	bait := servertest.CardAt(eve)
	comesBack := c.Show(bait, card) // ada follows eve's link with her card in
	ada.Get(comesBack)
	ada.Sees("That did not work")
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "wrong-challenge" {
		t.Errorf("the log says %q", e.Reason)
	}
	eve.Get("/sign-in/wait")
	eve.Get("/account")
	if strings.Contains(eve.Page, "Where you are signed in") {
		t.Fatal("eve is let in by the link that ada followed")
	}
	// Swapped, and replayed: the statement of her first attempt, in her second.
	first := c.Show(servertest.CardAt(ada), card)
	ada.Get(first)
	ada.Sees("Where you are signed in")
	again := c.Person()
	again.Get("/sign-in")
	again.Get(first)
	again.Sees("That did not work")
	replay := c.Person()
	replay.Client.Jar = ada.Client.Jar
	replay.Get(first)
	if strings.Contains(replay.Page, "Where you are signed in") {
		t.Error("the statement serves twice")
	}

	// The same for adding: eve adds nothing that ada showed, and ada nothing to eve's
	// account.
	grace := c.EnrollCodes("grace")
	g := c.Person()
	g.Get("/sign-in")
	g.Post("/sign-in", "name", "grace", "authenticator", "password", "text", servertest.Passphrase)
	g.Post("/sign-in", "authenticator", "totp", "text", grace.Code())
	c.Later(time.Minute)
	g.Get("/account")
	g.Post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	trap := c.Show(servertest.CardAt(g), c.Issue(t, "ada"))
	shown, _ := url.Parse(trap)
	a := c.Person()
	a.Get("/sign-in")
	a.Get(c.Show(servertest.CardAt(a), card))
	a.Get("/account")
	a.Post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	a.Get(trap)
	a.Post("/account/setup", "authenticator", "certificate", "data", `"`+shown.Query().Get("shown")+`"`)
	a.Sees("could not be accepted")
	// Nor somebody else's card, though it is hers that she shows.
	g.Post("/account/setup", "authenticator", "certificate", "data", c.Offers(g, card))
	g.Sees("enrolled already")
	// Nor does ada's card let grace's password through.
	g = c.Person()
	g.Get("/sign-in")
	g.Post("/sign-in", "name", "grace", "authenticator", "password", "text", servertest.Passphrase)
	if servertest.CardLink.MatchString(g.Page) {
		t.Error("grace, who has no card, is asked for one")
	}
}

// The promise: only a key that this connection proved counts: no header, no resumed
// or reused connection, no other name, and no card at the pages.
func TestSmartCardConnection(t *testing.T) {
	c := servertest.NewCardTable(t)
	card := c.Issue(t, "ada")
	c.Adds(c.Entered(), card)
	p := c.Person()
	p.Get("/sign-in")
	address := servertest.CardAt(p)

	r, _ := http.NewRequest("GET", address, nil)
	for _, name := range []string{"X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "X-Client-Cert", "Ssl-Client-Cert", "X-ARR-ClientCert", "Client-Cert"} {
		r.Header.Set(name, url.QueryEscape(string(card.Certificate[0])))
	}
	resp, err := c.Reader(nil).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	p.Get(resp.Header.Get("Location"))
	p.Sees("That did not work")
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "no-certificate" {
		t.Errorf("by a header: %q", e.Reason)
	}

	// A connection is one visit, and proves nothing for the next one.
	client := c.Reader(card)
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
	conn, err := tls.Dial("tcp", c.Endpoint, &tls.Config{ServerName: servertest.CardName, InsecureSkipVerify: true, Certificates: []tls.Certificate{*card}})
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

	for _, try := range []struct{ server, host string }{{"other.test", u.Host}, {servertest.CardName, "localhost:1"}, {"", u.Host}} {
		conn, err := tls.Dial("tcp", c.Endpoint, &tls.Config{ServerName: try.server, InsecureSkipVerify: true, Certificates: []tls.Certificate{*card}})
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
		resp, err := c.Reader(card).Get("https://" + u.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	head, err := c.Reader(card).Head(address)
	if err != nil || head.StatusCode != http.StatusNotFound {
		t.Errorf("HEAD: %v", head)
	}
}
