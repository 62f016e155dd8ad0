package testbed

import (
	"bufio"
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
}

// MailServer is a mail server that keeps what it is sent (RFC 5321, STARTTLS of
// RFC 3207, AUTH PLAIN of RFC 4954).
type MailServer struct {
	Addr string
	// Password is what a login must have; empty offers none. NoTLS offers no
	// STARTTLS.
	Password string
	NoTLS    bool

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

func (m *MailServer) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	k := &talk{c: c, in: bufio.NewReader(c)}
	k.say("220 sink ready")
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
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		k.say("250-sink")
		if !m.NoTLS && !k.mail.TLS {
			k.say("250-STARTTLS")
		}
		if m.Password != "" {
			k.say("250-AUTH PLAIN")
		}
		k.say("250 8BITMIME")
	case "STARTTLS":
		k.say("220 go on")
		secure := tls.Server(k.c, &tls.Config{Certificates: []tls.Certificate{m.certificate}})
		k.c, k.in, k.mail = secure, bufio.NewReader(secure), Mail{TLS: true}
	case "AUTH":
		b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
		parts := strings.Split(string(b), "\x00")
		if len(parts) != 3 || parts[2] != m.Password {
			k.say("535 no")
			return true
		}
		k.mail.Login = parts[1]
		k.say("235 welcome")
	case "MAIL":
		k.mail.From, k.mail.To = address(rest), nil
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
