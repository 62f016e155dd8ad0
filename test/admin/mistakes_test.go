package admin

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
	"countersign/internal/webpush"
)

// mistakes is an installation with everything around it that can be set up wrongly: a VPN,
// a proxy, smart cards, an app, programs that ask for Yubico's one-time passwords.
type mistakes struct {
	*servertest.CardTable
	t       *testing.T
	desk    *servertest.Shell  // grace's command line, who administers
	browser *servertest.Person // and her browser
	grace   *servertest.Person
	lost    *servertest.Phone // whose push service answers 410
}

// The secrets of what is set up, and what people type. None is ever in an answer.
const (
	vpnSecret = "the-VPN-secret-4711-aZ"
	typed     = "hunter2"
)

func newMistakes(t *testing.T) *mistakes {
	t.Helper()
	gone := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	t.Cleanup(gone.Close)
	roots := x509.NewCertPool()
	roots.AddCert(gone.Certificate())
	m := &mistakes{t: t, CardTable: servertest.NewCardTable(t, func(s *server.Settings) {
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/29")}
		s.Push = webpush.Options{Inside: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: roots}
	})}
	m.grace = m.Administrator("grace")
	servertest.PlantApplication(m.World, application.Application{Name: "wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth"}, map[string]any{"hosts": []string{"wiki.example.org"}})
	servertest.PlantApplication(m.World, application.Application{Name: "vpn", Kind: "vpn", Tier: application.Standard, Protocol: "radius"}, map[string]any{"mode": "challenge",
		"clients": []any{map[string]any{"name": "gateway", "networks": []string{"127.0.0.1"}, "secret": vpnSecret}}})
	servertest.Validators(m.World)
	m.lost = servertest.WithPhone(m.World, m.Ada)
	if refused := m.lost.Subscribe(gone.URL+"/p/ada", m.lost.Point(), make([]byte, 16)); refused != "" {
		t.Fatal(refused)
	}
	m.Later(time.Hour)
	m.browser = m.Person()
	m.browser.Get("/sign-in")
	m.browser.SignIn("grace", m.grace.Code())
	m.Later(time.Minute)
	m.desk = m.Shell()
	m.desk.Login(m.Person(), "grace", m.grace.Code())
	return m
}

// radclient asks as equipment does, with these attributes.
func (m *mistakes) radclient(secret, attributes string) {
	m.t.Helper()
	cmd := exec.Command(testbed.Program(m.t, "radclient"), "-r", "1", "-t", "1", m.Radius, "auth", secret)
	cmd.Stdin = strings.NewReader("User-Name = \"ada\"\n" + attributes)
	if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "Received Access-Accept") {
		m.t.Errorf("radclient is let in:\n%s", out)
	}
}

// nginx runs our own example with a mistake in it, and asks for a page.
func (m *mistakes) nginx(replace ...string) {
	m.t.Helper()
	addr, page := testbed.Addr(m.t), testbed.NewPage(m.t)
	testbed.Nginx(m.t, addr, testbed.Example(m.t, "nginx.conf", append([]string{"127.0.0.1:8081", addr, "127.0.0.1:8080", strings.TrimPrefix(m.Base, "http://"), "127.0.0.1:3000", page.Addr}, replace...)...))
	if out, err := exec.Command("curl", "-sS", "http://"+addr+"/"+typed).CombinedOutput(); err != nil {
		m.t.Errorf("curl: %v\n%s", err, out)
	}
	if len(page.Seen()) > 0 {
		m.t.Error("the page was reached")
	}
}

// card shows a certificate with curl, as ada's browser would on the sign-in page.
func (m *mistakes) card(card *tls.Certificate, more ...string) {
	m.t.Helper()
	p := m.Person()
	p.Get("/sign-in")
	folder := m.t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(card.PrivateKey)
	if err != nil {
		m.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(card.Certificate[0])
	if err != nil {
		m.t.Fatal(err)
	}
	args := []string{"-sS", "--cert", testbed.PEM(m.t, filepath.Join(folder, "card.pem"), leaf), "--key", keyFile(m.t, folder, key),
		"--cacert", testbed.PEM(m.t, filepath.Join(folder, "served.pem"), m.Served.Certificate), "--connect-to", "::" + m.Endpoint, "-o", os.DevNull, "-w", "%{redirect_url}"}
	out, err := exec.Command("curl", append(append(args, more...), servertest.CardAt(p))...).Output()
	if err != nil {
		return // the handshake failed
	}
	p.Get(string(out))
	p.Sees("That did not work")
}

func keyFile(t *testing.T, folder string, pkcs8 []byte) string {
	t.Helper()
	path := filepath.Join(folder, "card.der")
	if err := os.WriteFile(path, pkcs8, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("openssl", "pkey", "-inform", "DER", "-in", path, "-out", path+".pem").CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %s", out)
	}
	return path + ".pem"
}

// ykclient asks as a program does that has another number or key than we know.
func (m *mistakes) ykclient(id, key string) {
	m.t.Helper()
	otp := servertest.NewYubikey(m.t, "9").Touch()
	if exec.Command(testbed.Program(m.t, "ykclient"), "--url", m.Base+"/wsapi/2.0/verify", "--apikey", key, id, otp).Run() == nil {
		m.t.Error("ykclient is told OK")
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

// page is what the application's page in the console says of what was heard of it.
func (m *mistakes) page(name string) func() string {
	return func() string {
		m.browser.Get("/console/applications/" + name)
		_, heard, _ := strings.Cut(m.browser.Page, "What this server heard of it")
		heard, _, _ = strings.Cut(heard, "</section>")
		return html.UnescapeString(tags.ReplaceAllString(heard, ""))
	}
}

// command is what a command prints, whether it succeeds or not.
func (m *mistakes) command(args ...string) func() string {
	return func() string {
		out, complaint, _ := m.desk.Run("", args...)
		return out + complaint
	}
}

func (m *mistakes) log(event string) func() string {
	return m.command("audit", "search", "--event", event)
}

// file is a command about a file with this text.
func (m *mistakes) file(text string, args ...string) func() string {
	return m.command(append(args, m.desk.File(text))...)
}

// mail is what mail test says of a server that was set up to refuse.
func (m *mistakes) mail(edit func(*testbed.MailServer)) func() string {
	s := testbed.NewMailServer(m.t)
	edit(s)
	folder := m.t.TempDir()
	in := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
		return path
	}
	config := in("countersign.yaml", fmt.Sprintf("public_url: https://login.example.org\nmail: {server: %q, from: mfa@example.org, username: mfa, password_file: %q, ca: %q}\n",
		s.Addr, in("password", typed+"\n"), in("ca.pem", string(s.Root()))))
	return m.command("mail", "test", "ada@example.org", "--config", config)
}

// mistake is one, with how it is made, where the administrator looks, and what they read.
type mistake struct {
	name string
	make func() // nil where the look is what is tried
	look func() string
	says string
}

const (
	signed   = "Message-Authenticator = 0x00\n"
	password = "User-Password = \"" + typed + "\"\n"
)

func (m *mistakes) ofEquipment() []mistake {
	vpn := m.page("vpn")
	return []mistake{
		{"another shared secret", func() { m.radclient("another-secret-of-it", password+signed) }, vpn, "the shared secret differs; type the same secret at the equipment and here"},
		{"no Message-Authenticator", func() { m.radclient(vpnSecret, password) }, vpn, "has no Message-Authenticator; switch it on at the equipment"},
		{"CHAP", func() { m.radclient(vpnSecret, "CHAP-Password = \""+typed+"\"\n"+signed) }, vpn, "asks by CHAP, with which a code cannot be checked; set it to PAP"},
		{"MS-CHAP", func() {
			m.radclient(vpnSecret, "MS-CHAP-Challenge = 0x00112233445566778899aabbccddeeff\nMS-CHAP2-Response = 0x"+strings.Repeat("00", 50)+"\n"+signed)
		}, vpn, "asks by MS-CHAP, with which a code cannot be checked; set it to PAP"},
		{"a stray State", func() { m.radclient(vpnSecret, password+"State = 0x0123456789abcdef\n"+signed) }, vpn, "send the State of the last challenge back unchanged"},
		{"an unknown address", func() { m.radclient(vpnSecret, password+signed+"Packet-Src-IP-Address = 127.0.0.9\n") }, vpn, "add the address that the request comes from to the networks of a client. 1 times, the last just now from 127.0.0.9"},
	}
}

func (m *mistakes) ofProxies() []mistake {
	wiki := m.page("wiki")
	return []mistake{
		{"no X-Original-URL", func() {
			m.nginx("        proxy_set_header X-Original-URL    $scheme://$countersign_site$request_uri;\n", "")
		}, wiki, "have it send X-Original-URL (nginx)"},
		{"no X-Original-Method", func() { m.nginx("        proxy_set_header X-Original-Method $request_method;\n", "") }, wiki, "have it send X-Original-Method (nginx)"},
		{"a host of no application", func() { m.nginx("wiki.example.org", "wikis.example.org") }, wiki, "No application has the host that was asked for; add it to the hosts of an application"},
		{"a proxy that is not listed", func() {
			m.nginx("        proxy_pass_request_body off;\n", "        proxy_pass_request_body off;\n        proxy_bind 127.0.0.9;\n")
		}, m.log("request.unserved"), "add it to trusted_proxies if it is your proxy"},
		{"no address of the browser", func() {
			m.nginx("        proxy_set_header X-Forwarded-For   $remote_addr;\n        # Room", "        # Room")
		}, wiki, "have it send X-Forwarded-For"},
	}
}

func (m *mistakes) ofCards() []mistake {
	log := m.log("answer.refused")
	stranger := testbed.NewAuthority(m.t, "Staff Cards", nil)
	key := testbed.NewKey(m.t)
	revoked := m.Issue(m.t, "ada")
	leaf, err := x509.ParseCertificate(revoked.Certificate[0])
	if err != nil {
		m.t.Fatal(err)
	}
	return []mistake{
		{"a card of another authority", func() { m.card(servertest.CardOf(stranger.Issue("ada", key.Public()), key)) }, log, "unknown-authority"},
		{"a card that is over", func() {
			m.card(m.Issue(m.t, "ada", func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) }))
		}, log, "expired"},
		{"a card that was revoked", func() { m.Staff.Revoke(leaf); m.Publish(m.t); m.card(revoked) }, log, "revoked"},
		{"a card that nobody added", func() { m.card(m.Issue(m.t, "ada")) }, log, "unknown-certificate"},
		{"a card by TLS 1.2", func() { m.card(m.Issue(m.t, "ada"), "--tls-max", "1.2") }, m.log("request.unserved"), "switch TLS 1.3 on there"},
	}
}

func (m *mistakes) ofMessages() []mistake {
	return []mistake{
		{"a mail server that refuses the password", nil, m.mail(func(s *testbed.MailServer) { s.Password = "another" }), "refused the name or the password (mail.username, mail.password_file): 535"},
		{"a mail server that refuses the sender", nil, m.mail(func(s *testbed.MailServer) {
			s.Password, s.Says = typed, map[string]string{"MAIL": "550 5.7.60 SendAsDenied"}
		}), "refused the sender (mail.from): 550 5.7.60 SendAsDenied"},
		{"a push service that answers 410", func() {
			servertest.Equipment{W: m.World, Secret: vpnSecret}.Ask("ada", servertest.Passphrase, "")
			if err := m.Pusher.WakeAll(m.t.Context()); err != nil {
				m.t.Fatal(err)
			}
		}, m.log("push.failed"), "answered 410: the browser is no longer subscribed"},
		{"a program with another key", func() { m.ykclient("7", "YW5vdGhlci1rZXktb2YtaXQh") }, m.page("gate"), "the client's key differs; type the same key at the program and here"},
		{"a program with another number", func() { m.ykclient("9", servertest.GatewayKey) }, m.page("gate"), "type the number of its client at the program"},
		{"a seed file of another form", nil, m.file("<?xml version=\"1.0\"?>\n<KeyContainer/>\n", "token", "import", "--format", "oath-csv"), "line 1: "},
		{"a seed file without its seeds", nil, m.file("serial,seed\nT1,not-a-seed-at-all-hunter2\n", "token", "import", "--format", "oath-csv"), "line 2: the secret is not hexadecimal"},
		{"a network that another application has", nil, m.clash(), `which belongs to the application "vpn" already`},
	}
}

// clash is what saving an application says that claims the network of another.
func (m *mistakes) clash() func() string {
	return m.command("application", "set", "other", "--kind", "vpn", "--protocol", "radius",
		"--settings", m.desk.File(`{"mode":"challenge","clients":[{"name":"other","networks":["127.0.0.1/32"],"secret":"another-secret-aZ-4712"}]}`))
}

// The promise: with countersign alone, an administrator reads within a minute why a VPN, a
// proxy, a card, a mail, an app, a program or a file does not work, and what to do, and never
// a secret or what somebody typed.
func TestMistakesAreExplained(t *testing.T) {
	m := newMistakes(t)
	all := append(append(append(m.ofEquipment(), m.ofProxies()...), m.ofCards()...), m.ofMessages()...)
	for _, made := range all {
		t.Run(made.name, func(t *testing.T) {
			m.t = t
			if made.make != nil {
				if strings.Contains(made.look(), made.says) {
					t.Fatalf("%q is there before the mistake is made", made.says)
				}
				made.make()
			}
			var read string
			for end := time.Now().Add(20 * time.Second); !strings.Contains(read, made.says); {
				if time.Now().After(end) {
					t.Fatalf("%q is not there:\n%s", made.says, read)
				}
				if err := m.TellUnserved(t.Context(), false); err != nil { // as a server does every ten seconds
					t.Fatal(err)
				}
				read = made.look()
			}
			for _, hidden := range []string{typed, vpnSecret, "another-secret", servertest.GatewayKey, "not-a-seed"} {
				if strings.Contains(read, hidden) {
					t.Errorf("the answer has %q", hidden)
				}
			}
		})
	}
}
