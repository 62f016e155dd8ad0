package testbed

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// MailDoor is one way into a mail server: a port, and how its protocol is begun there.
type MailDoor struct {
	// Name says which it is, Protocol is imap, pop3, smtp or sieve.
	Name, Protocol, Addr string
	// Sealed begins with TLS; else it is asked for (STARTTLS), unless Open leaves it out.
	Sealed, Open bool
}

// MailClient is a connection to a mail server, as a program on a device makes it, by code that
// shares nothing with any server.
type MailClient struct {
	door MailDoor
	conn net.Conn
	in   *bufio.Reader
	n    int
	asks bool // a challenge ends an answer of ManageSieve
}

// mailPatience is longer than a server waits before it says that a password is wrong.
const mailPatience = 20 * time.Second

// DialMail connects and begins TLS where the door has it.
func DialMail(door MailDoor) (*MailClient, error) {
	// From another address than the server's, which Dovecot takes for as good as TLS.
	from := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := from.Dial("tcp", door.Addr)
	if err != nil {
		return nil, err
	}
	c := &MailClient{door: door, conn: conn}
	if door.Sealed {
		c.seal()
	}
	c.in = bufio.NewReader(c.conn)
	if _, err := c.until(greeted(door.Protocol)); err != nil {
		c.Close()
		return nil, err
	}
	if !door.Sealed && !door.Open {
		if err := c.startTLS(); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

func (c *MailClient) seal() {
	c.conn = tls.Client(c.conn, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}) // a certificate of this test
}

// Close ends the connection.
func (c *MailClient) Close() { c.conn.Close() }

// greeted says when a greeting, or a server's answer to a first word, is complete.
func greeted(protocol string) func(line string) bool {
	return func(line string) bool {
		switch protocol {
		case "sieve":
			return strings.HasPrefix(line, "OK") || strings.HasPrefix(line, "NO") || strings.HasPrefix(line, "BYE")
		case "smtp":
			return len(line) < 4 || line[3] == ' '
		}
		return true
	}
}

func (c *MailClient) startTLS() error {
	words := map[string]string{"imap": "STARTTLS", "pop3": "STLS", "smtp": "STARTTLS", "sieve": "STARTTLS"}
	if c.door.Protocol == "smtp" {
		if _, err := c.Do("EHLO localhost"); err != nil {
			return err
		}
	}
	if said, err := c.Do(words[c.door.Protocol]); err != nil || !Yes(said) {
		return fmt.Errorf("no TLS at %s: %q, %v", c.door.Name, said, err)
	}
	c.seal()
	c.in = bufio.NewReader(c.conn)
	if c.door.Protocol == "sieve" { // RFC 5804 section 2.2: it says anew what it can
		_, err := c.until(greeted("sieve"))
		return err
	}
	return nil
}

// Send sends a line as it is.
func (c *MailClient) Send(line string) error {
	_, err := c.conn.Write([]byte(line + "\r\n"))
	return err
}

// Line reads one line within a time.
func (c *MailClient) Line(within time.Duration) (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func (c *MailClient) until(last func(string) bool) (string, error) {
	var all []string
	for {
		line, err := c.Line(mailPatience)
		if line != "" {
			all = append(all, line)
		}
		if err != nil || last(line) {
			return strings.Join(all, "\n"), err
		}
	}
}

// Do sends a command and returns all lines of its answer. A challenge ("+ ...") ends an answer as
// well.
func (c *MailClient) Do(command string) (string, error) {
	c.n++
	tag := fmt.Sprintf("a%d ", c.n)
	if c.door.Protocol == "imap" {
		command = tag + command
	}
	if err := c.Send(command); err != nil {
		return "", err
	}
	return c.until(c.ends(tag))
}

// ends says when an answer is complete.
func (c *MailClient) ends(tag string) func(string) bool {
	if c.asks && c.door.Protocol == "sieve" {
		return func(line string) bool { return strings.HasPrefix(line, `"`) || greeted("sieve")(line) }
	}
	if c.door.Protocol != "imap" {
		return greeted(c.door.Protocol)
	}
	return func(line string) bool { return strings.HasPrefix(line, tag) || strings.HasPrefix(line, "+") }
}

// Yes reports whether the last line of an answer says that it was done.
func Yes(answer string) bool {
	last := answer[strings.LastIndexByte(answer, '\n')+1:]
	if _, rest, tagged := strings.Cut(last, " "); tagged && strings.HasPrefix(last, "a") {
		last = rest
	}
	for _, yes := range []string{"OK", "+OK", "235", "220", "250", "334", "+"} {
		if strings.HasPrefix(last, yes) {
			return true
		}
	}
	return false
}

// Passwords are the ways in which a password can be given at a door.
func (d MailDoor) Passwords() []string {
	return map[string][]string{"imap": {"LOGIN", "PLAIN", "AUTH-LOGIN"}, "pop3": {"USER", "PLAIN", "AUTH-LOGIN"}, "smtp": {"PLAIN", "AUTH-LOGIN"}, "sieve": {"PLAIN", "AUTH-LOGIN"}}[d.Protocol]
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// Password gives a name and a password in one of the ways, and returns the server's last word.
func (c *MailClient) Password(way, name, password string) (string, error) {
	switch {
	case way == "LOGIN":
		return c.Do("LOGIN " + quoted(name) + " " + quoted(password))
	case way == "USER":
		if said, err := c.Do("USER " + name); err != nil || !Yes(said) {
			return said, err
		}
		return c.Do("PASS " + password)
	case way == "PLAIN":
		return c.Initial("PLAIN", "\x00"+name+"\x00"+password)
	case c.door.Protocol == "sieve":
		return c.Initial("LOGIN", name)
	}
	said, err := c.Do(map[string]string{"imap": "AUTHENTICATE LOGIN", "pop3": "AUTH LOGIN", "smtp": "AUTH LOGIN"}[c.door.Protocol])
	for _, answer := range []string{name, password} {
		if err != nil || !strings.HasPrefix(said, "+") && !strings.HasPrefix(said, "334") {
			return said, err
		}
		said, err = c.raw(b64(answer))
	}
	return said, err
}

func quoted(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }

// raw sends the answer to a challenge.
func (c *MailClient) raw(answer string) (string, error) {
	if c.door.Protocol == "sieve" {
		answer = quoted(answer)
	}
	if err := c.Send(answer); err != nil {
		return "", err
	}
	return c.until(c.ends(fmt.Sprintf("a%d ", c.n)))
}

// Initial authenticates by a mechanism with its initial response. A challenge that says why it
// failed (RFC 7628 section 3.2.3) is answered as the standard wants, and is a part of the answer.
func (c *MailClient) Initial(mechanism, response string) (string, error) {
	command := map[string]string{"imap": "AUTHENTICATE " + mechanism + " ", "pop3": "AUTH " + mechanism + " ", "smtp": "AUTH " + mechanism + " ", "sieve": `AUTHENTICATE "` + mechanism + `" `}[c.door.Protocol]
	c.asks = true
	defer func() { c.asks = false }()
	text := b64(response)
	if c.door.Protocol == "sieve" {
		text = quoted(text)
	}
	said, err := c.Do(command + text)
	if err != nil || !strings.HasPrefix(said, "+ ") && !strings.HasPrefix(said, "334 ") && !strings.HasPrefix(said, `"`) {
		return said, err
	}
	answer := "AQ=="
	if mechanism == "XOAUTH2" {
		answer = ""
	}
	rest, err := c.raw(answer)
	return said + "\n" + rest, err
}

// Token authenticates by OAUTHBEARER (RFC 7628) or XOAUTH2 with an access token.
func (c *MailClient) Token(mechanism, name, token string) (string, error) {
	if mechanism == "XOAUTH2" {
		return c.Initial(mechanism, "user="+name+"\x01auth=Bearer "+token+"\x01\x01")
	}
	return c.Initial(mechanism, "n,a="+name+",\x01host=localhost\x01port=143\x01auth=Bearer "+token+"\x01\x01")
}

// Reads does what only whoever is in can do: it opens the mailbox, or sends elsewhere.
func (c *MailClient) Reads() (string, error) {
	if c.door.Protocol == "smtp" {
		if said, err := c.Do("MAIL FROM:<ada@localhost>"); err != nil || !Yes(said) {
			return said, err
		}
		return c.Do("RCPT TO:<somebody@elsewhere.example>")
	}
	return c.Do(map[string]string{"imap": "SELECT INBOX", "pop3": "STAT", "sieve": "LISTSCRIPTS"}[c.door.Protocol])
}

// Doors are all ways into a mail server and a submission server beside it.
func (m *Mailboxes) Doors(submission string) []MailDoor {
	return []MailDoor{
		{Name: "IMAP", Protocol: "imap", Addr: m.IMAP}, {Name: "IMAP without TLS", Protocol: "imap", Addr: m.IMAP, Open: true}, {Name: "IMAPS", Protocol: "imap", Addr: m.IMAPS, Sealed: true},
		{Name: "POP3", Protocol: "pop3", Addr: m.POP3}, {Name: "POP3 without TLS", Protocol: "pop3", Addr: m.POP3, Open: true}, {Name: "POP3S", Protocol: "pop3", Addr: m.POP3S, Sealed: true},
		{Name: "submission", Protocol: "smtp", Addr: submission}, {Name: "submission without TLS", Protocol: "smtp", Addr: submission, Open: true},
		{Name: "ManageSieve", Protocol: "sieve", Addr: m.Sieve}, {Name: "ManageSieve without TLS", Protocol: "sieve", Addr: m.Sieve, Open: true},
	}
}

// DialMailT is DialMail for a test, which closes it at its end.
func DialMailT(t testing.TB, door MailDoor) *MailClient {
	t.Helper()
	c, err := DialMail(door)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if door.Protocol == "smtp" {
		if _, err := c.Do("EHLO localhost"); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
