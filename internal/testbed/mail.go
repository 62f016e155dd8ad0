package testbed

import (
	"bufio"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is one message as a mail server got it.
type Mail struct {
	// From and To are the envelope's, and Login who signed in, or empty.
	From, Login string
	To          []string
	Header      mail.Header
	Body        string // decoded
	TLS         bool
	// Hello is who the sender said it is, and Sender all of its MAIL command.
	Hello, Sender string
}

// MailServer is a mail server that keeps what it is sent (RFC 5321, STARTTLS of
// RFC 3207, AUTH PLAIN and LOGIN of RFC 4954). What is set in it is set before it is used.
type MailServer struct {
	Addr string
	// Password is what a login must have; empty offers none. NoTLS offers no
	// STARTTLS, and Implicit expects TLS from the start (RFC 8314).
	Password string
	NoTLS    bool
	Implicit bool
	// Mechanisms is what it offers after the word AUTH, " PLAIN" unless it is set.
	Mechanisms string
	// Offers are more lines of its answer to EHLO.
	Offers []string
	// Says is what it says in place of its own words, by the command in capitals, with
	// GREETING, USERNAME and PASSWORD (of AUTH LOGIN) and DOT (the message). After
	// Hangs it says nothing more, and after Ends it closes the connection. {line} is
	// what it was sent.
	Says map[string]string

	t           testing.TB
	l           net.Listener
	certificate tls.Certificate
	mu          sync.Mutex
	mails       []Mail
	refuse      bool
}

// NewMailServer starts one on loopback.
func NewMailServer(t testing.TB) *MailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &MailServer{Addr: l.Addr().String(), t: t, l: l, certificate: selfSigned(t)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	return m
}

// selfSigned is a certificate for this machine that nobody vouches for.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Root is the certificate that vouches for it, as PEM.
func (m *MailServer) Root() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.certificate.Certificate[0]})
}

// What a server does in place of an answer, see [MailServer.Says].
const (
	Hangs = "(hangs)"
	Ends  = "(ends)"
)

// Refuse has it answer every message with a passing error, or stop that.
func (m *MailServer) Refuse(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = yes
}

// Mails are those that it took, oldest first.
func (m *MailServer) Mails() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Mail{}, m.mails...)
}

// talk is one conversation.
type talk struct {
	c    net.Conn
	in   *bufio.Reader
	mail Mail
}

func (k *talk) say(line string) { io.WriteString(k.c, line+"\r\n") }

// instead says what is to be said in place of the server's own answer to a command, and
// reports whether there was anything and whether to go on.
func (m *MailServer) instead(k *talk, verb, line string) (said, on bool) {
	switch words := m.Says[verb]; words {
	case "":
		return false, true
	case Hangs:
		io.Copy(io.Discard, k.in) //nolint:errcheck // until the other side has enough
		return true, false
	case Ends:
		return true, false
	default:
		k.say(strings.ReplaceAll(words, "{line}", line))
		return true, true
	}
}

func (m *MailServer) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	k := &talk{c: c, in: bufio.NewReader(c)}
	if m.Implicit {
		m.encrypt(k)
	}
	said, on := m.instead(k, "GREETING", "")
	if !on {
		return
	}
	if !said {
		k.say("220 sink ready")
	}
	for {
		line, err := k.in.ReadString('\n')
		if err != nil || !m.answer(k, strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

// answer takes one command, and reports whether to go on.
func (m *MailServer) answer(k *talk, line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	if said, on := m.instead(k, verb, line); said || !on {
		return on
	}
	switch verb {
	case "HELO":
		k.mail.Hello = rest
		k.say("250 sink")
	case "EHLO":
		k.mail.Hello = rest
		k.say("250-sink")
		if !m.NoTLS && !k.mail.TLS {
			k.say("250-STARTTLS")
		}
		if m.Password != "" {
			k.say("250-AUTH" + cmp.Or(m.Mechanisms, " PLAIN"))
		}
		for _, line := range m.Offers {
			k.say("250-" + line)
		}
		k.say("250 8BITMIME")
	case "STARTTLS":
		k.say("220 go on")
		m.encrypt(k)
	case "AUTH":
		return m.login(k, rest)
	case "MAIL":
		k.mail.From, k.mail.To, k.mail.Sender = address(rest), nil, line
		k.say("250 ok")
	case "RCPT":
		k.mail.To = append(k.mail.To, address(rest))
		k.say("250 ok")
	case "DATA":
		return m.data(k)
	case "RSET", "NOOP":
		k.say("250 ok")
	case "QUIT":
		k.say("221 bye")
		return false
	default:
		k.say("502 what?")
	}
	return true
}

func (m *MailServer) encrypt(k *talk) {
	secure := tls.Server(k.c, &tls.Config{Certificates: []tls.Certificate{m.certificate}})
	k.c, k.in, k.mail = secure, bufio.NewReader(secure), Mail{TLS: true}
}

// login takes a name and a password by the mechanism that is asked for, if it is offered.
func (m *MailServer) login(k *talk, asked string) bool {
	mechanism, first, _ := strings.Cut(asked, " ")
	if !strings.Contains(cmp.Or(m.Mechanisms, " PLAIN"), mechanism) {
		k.say("504 5.7.4 Unrecognized authentication type")
		return true
	}
	name, password := "", ""
	if mechanism == "LOGIN" {
		for _, step := range []struct {
			verb, prompt string
			into         *string
		}{{"USERNAME", "334 VXNlcm5hbWU6", &name}, {"PASSWORD", "334 UGFzc3dvcmQ6", &password}} {
			if said, on := m.instead(k, step.verb, ""); said || !on {
				return on
			}
			k.say(step.prompt)
			line, err := k.in.ReadString('\n')
			if err != nil {
				return false
			}
			b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
			*step.into = string(b)
		}
	} else {
		b, _ := base64.StdEncoding.DecodeString(first)
		if parts := strings.Split(string(b), "\x00"); len(parts) == 3 {
			name, password = parts[1], parts[2]
		}
	}
	if password != m.Password {
		k.say("535 no")
		return true
	}
	k.mail.Login = name
	k.say("235 welcome")
	return true
}

func address(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

func (m *MailServer) data(k *talk) bool {
	k.say("354 go on")
	var text strings.Builder
	for {
		line, err := k.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	if said, on := m.instead(k, "DOT", ""); said || !on {
		return on
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse {
		k.say("451 not now")
		return true
	}
	message, err := mail.ReadMessage(strings.NewReader(text.String()))
	if err != nil {
		k.say("554 that is no message")
		return true
	}
	body, _ := io.ReadAll(message.Body)
	if message.Header.Get("Content-Transfer-Encoding") == "base64" {
		body, _ = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(body), "\r\n", ""))
	}
	k.mail.Header, k.mail.Body = message.Header, string(body)
	m.mails = append(m.mails, k.mail)
	k.say("250 taken")
	return true
}
