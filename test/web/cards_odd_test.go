package web

import (
	"crypto/tls"
	"crypto/x509"
	"html"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/pki"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// oddCard is a certificate with its key, both made by OpenSSL and in files.
type oddCard struct{ certificate, key string }

// openssl runs OpenSSL, which makes what crypto/x509 refuses to make.
func openssl(t *testing.T, input string, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.Command(testbed.Program(t, "openssl"), args...)
	cmd.Stdin = strings.NewReader(input)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// issueByOpenSSL has the staff's authority certify a new key: "rsa:2048", or "" for P-256.
func issueByOpenSSL(t *testing.T, staff *testbed.Authority, key, serial, extensions string) oddCard {
	t.Helper()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	testbed.PEM(t, at("ca.pem"), staff.Certificate)
	testbed.KeyPEM(t, at("ca.key"), staff.Key)
	request := []string{"req", "-new", "-subj", "/CN=ada", "-nodes", "-keyout", at("card.key"), "-out", at("card.csr"), "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
	if key != "" {
		request = append(request[:9], "-newkey", key)
	}
	if err := os.WriteFile(at("ext"), []byte("keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n"+extensions+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{request, {"x509", "-req", "-in", at("card.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-set_serial", serial, "-days", "30", "-extfile", at("ext"), "-out", at("card.pem")}} {
		if out, err := openssl(t, "", args...); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	return oddCard{at("card.pem"), at("card.key")}
}

var location = regexp.MustCompile(`(?m)^Location: (\S+)`)

// shownByOpenSSL visits the endpoint with OpenSSL's client, and returns where it sends the
// browser; empty if the handshake failed.
func shownByOpenSSL(t *testing.T, c *servertest.CardTable, address string, card oddCard, more ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"s_client", "-ign_eof", "-connect", c.Endpoint, "-servername", servertest.CardName, "-cert", card.certificate, "-key", card.key}, more...)
	out, _ := openssl(t, "GET "+u.Path+" HTTP/1.1\r\nHost: "+u.Host+"\r\n\r\n", args...) // its status says how the connection ended
	m := location.FindStringSubmatch(out)
	if m == nil {
		t.Logf("openssl: %s", regexp.MustCompile(`(?m)^.*(alert|error|Cipher|Protocol).*$`).FindAllString(out, -1))
		return ""
	}
	return strings.TrimSpace(m[1])
}

// addsOddCard has ada add a card that OpenSSL shows.
func addsOddCard(t *testing.T, c *servertest.CardTable, card oddCard, more ...string) {
	t.Helper()
	p := c.Entered()
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.enroll", "object", "certificate")
	p.Get(shownByOpenSSL(t, c, servertest.CardAt(p), card, more...))
	p.Sees("Add it?")
	p.Post("/account/setup", "authenticator", "certificate", "data", html.UnescapeString(servertest.ShownField.FindStringSubmatch(p.Page)[1]), "label", "My badge")
	p.Sees("Added: Smart card.")
	c.Later(25 * time.Hour) // out of quarantine
}

// signsInWith shows a card on the sign-in page.
func signsInWith(t *testing.T, c *servertest.CardTable, card oddCard, more ...string) *servertest.Person {
	t.Helper()
	p := c.Person()
	p.Get("/sign-in")
	p.Get(shownByOpenSSL(t, c, servertest.CardAt(p), card, more...))
	return p
}

// The promise: a negative serial number, and a user principal name in a type of text that no
// mapping needs, keep nobody out; each stops to work when it is revoked.
func TestOddCards(t *testing.T) {
	const upn = "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;"
	for name, made := range map[string]struct{ serial, extensions string }{
		"a negative serial number":            {"-5", ""},
		"an IA5String for a name":             {"77", upn + "IA5STRING:somebody@example.org"},
		"a BMPString for a name, and minus 1": {"-1", upn + "BMP:somebody"},
	} {
		t.Run(name, func(t *testing.T) {
			c := servertest.NewCardTable(t)
			card := issueByOpenSSL(t, c.Staff, "", made.serial, made.extensions)
			addsOddCard(t, c, card)
			signsInWith(t, c, card).Sees("Where you are signed in")
			other := issueByOpenSSL(t, c.Staff, "", strings.TrimPrefix(made.serial, "-")+"1", made.extensions)
			signsInWith(t, c, other).Sees("That did not work")
			c.Staff.Revoke(readCard(t, card))
			c.Publish(t)
			signsInWith(t, c, card).Sees("That did not work")
			if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "revoked" || !strings.Contains(e.Detail["detail"], "serial "+hexOf(made.serial)) {
				t.Errorf("the log says %q, %v", e.Reason, e.Detail)
			}
		})
	}
}

func hexOf(serial string) string {
	return map[string]string{"-5": "-5", "77": "4D", "-1": "-1"}[serial]
}

func readCard(t *testing.T, card oddCard) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(card.certificate)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pki.ReadCertificates(text)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// The promise: a critical extension that cannot be handled is named, in the log for a card
// and to who assigns it, and nobody is let in past it.
func TestUnhandledCriticalExtension(t *testing.T) {
	c := servertest.NewCardTable(t)
	card := issueByOpenSSL(t, c.Staff, "", "77", "1.2.3.4.5=critical,DER:0500")
	signsInWith(t, c, card).Sees("That did not work")
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "unhandled-extension" || !strings.Contains(e.Detail["detail"], "critical extension 1.2.3.4.5 in the certificate of the card") {
		t.Errorf("the log says %q, %v", e.Reason, e.Detail)
	}
	grace := c.Administrator("grace")
	desk := c.Shell()
	desk.Login(c.Person(), "grace", grace.Code())
	desk.Refuses("critical extension 1.2.3.4.5", "certificate", "assign", card.certificate, "ada", "--note", "seen")
}

// The promise: a card that cannot sign by RSA-PSS is told apart in the log, and works where
// the listener is set to TLS 1.2; nothing else is spoken there.
func TestCardWithoutPSS(t *testing.T) {
	noPSS := []string{"-sigalgs", "ECDSA+SHA256:RSA+SHA256"} // the first is for the server's signature
	c := servertest.NewCardTable(t)
	card := issueByOpenSSL(t, c.Staff, "rsa:2048", "77", "")
	signsInWith(t, c, card).Sees("That did not work") // nobody added it, but it was shown
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "unknown-certificate" {
		t.Errorf("by RSA-PSS: %q", e.Reason)
	}
	signsInWith(t, c, card, noPSS...).Sees("That did not work")
	if e := servertest.LatestOf(c.World, "answer.refused"); e.Reason != "no-certificate" { // the client holds it back
		t.Errorf("without RSA-PSS: %q", e.Reason)
	}

	c = servertest.NewCardTable(t, func(s *server.Settings) { s.Cards.TLS = tls.VersionTLS12 })
	card = issueByOpenSSL(t, c.Staff, "rsa:2048", "77", "")
	addsOddCard(t, c, card, noPSS...)
	signsInWith(t, c, card, noPSS...).Sees("Where you are signed in")
	signsInWith(t, c, card).Sees("Where you are signed in")
	p := c.Person()
	p.Get("/sign-in")
	for _, refused := range [][]string{{"-tls1_3"}, {"-tls1_1"}, {"-cipher", "AES128-GCM-SHA256"}, {"-cipher", "ECDHE-ECDSA-AES128-SHA"}} {
		if to := shownByOpenSSL(t, c, servertest.CardAt(p), card, refused...); to != "" {
			t.Errorf("%v is spoken", refused)
		}
	}
	// No resumption: it would prove an older handshake's key.
	ticket := filepath.Join(t.TempDir(), "session")
	shownByOpenSSL(t, c, servertest.CardAt(p), card, "-sess_out", ticket)
	if out, _ := openssl(t, "", "s_client", "-connect", c.Endpoint, "-servername", servertest.CardName, "-sess_in", ticket); strings.Contains(out, "Reused, ") {
		t.Error("a session is resumed")
	}
	client := c.Reader(servertest.CardOf(readCard(t, card), nil))
	if _, err := client.Get(servertest.CardAt(p)); err == nil {
		t.Error("a card without its key is shown")
	}
}
