package mail

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"

	"countersign/internal/drill"
)

// conn is a connection to a door, as a program on a device makes it.
type conn struct {
	door Door
	net.Conn
	in *bufio.Reader
	n  int
	// wait is how long an answer may take.
	wait time.Duration
}

// answered is longer than a server waits before it says that a password is wrong.
const answered = 40 * time.Second

// dial connects as a device does, from the attacker's address unless the owner comes, and begins
// TLS where the door has it. Whose certificate the server shows is not looked at: nothing that is
// worth keeping is sent.
func (d Door) dial(ctx context.Context, p *drill.Play, owner bool) (*conn, error) {
	from := net.Dialer{Timeout: 10 * time.Second}
	if !owner && p.From.IsValid() {
		from.LocalAddr = &net.TCPAddr{IP: p.From.AsSlice()}
	}
	c, err := from.DialContext(ctx, "tcp", d.Address)
	if err != nil {
		return nil, err
	}
	out := &conn{door: d, Conn: c, wait: answered}
	if d.Sealed {
		out.seal()
	}
	out.in = bufio.NewReader(out.Conn)
	if _, err = out.until(out.whole("")); err == nil && !d.Sealed && !d.Plain {
		err = out.startTLS()
	}
	if err == nil && d.Protocol == SMTP {
		_, err = out.do("EHLO drill.invalid")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return out, nil
}

func (c *conn) seal() {
	host, _, err := net.SplitHostPort(c.door.Address)
	if err != nil {
		host = c.door.Address
	}
	c.Conn = tls.Client(c.Conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // see dial
}

func (c *conn) startTLS() error {
	word := "STARTTLS"
	switch c.door.Protocol {
	case POP3:
		word = "STLS"
	case SMTP:
		if _, err := c.do("EHLO drill.invalid"); err != nil {
			return err
		}
	}
	said, err := c.do(word)
	if err != nil || !yes(said) {
		return fmt.Errorf("%s offers no TLS: %s", c.door.Name(), last(said))
	}
	c.seal()
	c.in = bufio.NewReader(c.Conn)
	if c.door.Protocol == Sieve { // RFC 5804 section 2.2: it says anew what it can
		_, err = c.until(c.whole(""))
	}
	return err
}

// whole says when an answer is complete. A challenge ends one as well.
func (c *conn) whole(tag string) func(line string) bool {
	switch {
	case c.door.Protocol == Sieve:
		return func(line string) bool {
			return strings.HasPrefix(line, "OK") || strings.HasPrefix(line, "NO") || strings.HasPrefix(line, "BYE")
		}
	case c.door.Protocol == SMTP:
		return func(line string) bool { return len(line) < 4 || line[3] == ' ' }
	case c.door.Protocol == POP3 || tag == "":
		return func(string) bool { return true }
	}
	return func(line string) bool { return strings.HasPrefix(line, tag) || strings.HasPrefix(line, "+") }
}

func (c *conn) until(whole func(string) bool) (string, error) {
	if err := c.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return "", err
	}
	var all []string
	for len(all) < 1000 {
		line, err := c.in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			all = append(all, line)
		}
		if err != nil || whole(line) {
			return strings.Join(all, "\n"), err
		}
	}
	return "", fmt.Errorf("%s does not end its answer", c.door.Name())
}

func (c *conn) send(line string) error {
	if err := c.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return err
	}
	_, err := c.Write([]byte(line + "\r\n"))
	return err
}

// do sends a command and returns all lines of its answer.
func (c *conn) do(command string) (string, error) { return c.asks(command, c.whole) }

func (c *conn) asks(command string, whole func(tag string) func(string) bool) (string, error) {
	c.n++
	tag := fmt.Sprintf("d%d ", c.n)
	if c.door.Protocol == IMAP {
		command = tag + command
	}
	if err := c.send(command); err != nil {
		return "", err
	}
	return c.until(whole(tag))
}

// last is the last line of an answer: the server's word.
func last(answer string) string { return answer[strings.LastIndexByte(answer, '\n')+1:] }

// yes reports whether the last line of an answer says that it was done.
func yes(answer string) bool {
	word := last(answer)
	if _, rest, tagged := strings.Cut(word, " "); tagged && strings.HasPrefix(word, "d") {
		word = rest
	}
	for _, yes := range []string{"OK", "+OK", "235", "220", "250", "221"} {
		if strings.HasPrefix(word, yes) {
			return true
		}
	}
	return false
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func quoted(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }

// ways are those in which a name and a password can be given at a door.
func (d Door) ways() []string {
	switch d.Protocol {
	case IMAP:
		return []string{"LOGIN", "PLAIN", "AUTH LOGIN"}
	case POP3:
		return []string{"USER", "PLAIN", "AUTH LOGIN"}
	}
	return []string{"PLAIN", "AUTH LOGIN"}
}

// types gives a name and a password in one of the ways, and returns what came back.
func (c *conn) types(way, name, password string) (string, error) {
	switch {
	case way == "LOGIN":
		return c.do("LOGIN " + quoted(name) + " " + quoted(password))
	case way == "USER":
		if said, err := c.do("USER " + name); err != nil || !yes(said) {
			return said, err
		}
		return c.do("PASS " + password)
	case way == "PLAIN":
		return c.sasl("PLAIN", "\x00"+name+"\x00"+password)
	}
	said, err := c.sasl("LOGIN", name)
	if err != nil || !challenged(said) {
		return said, err
	}
	return c.answers(password)
}

// shows authenticates by a mechanism with an access token: OAUTHBEARER (RFC 7628) or XOAUTH2.
func (c *conn) shows(mechanism, name, token string) (string, error) {
	response := "user=" + name + "\x01auth=Bearer " + token + "\x01\x01"
	if mechanism == "OAUTHBEARER" {
		response = "n,a=" + name + ",\x01auth=Bearer " + token + "\x01\x01"
	}
	said, err := c.sasl(mechanism, response)
	if err != nil || !challenged(said) {
		return said, err
	}
	if mechanism == "XOAUTH2" {
		return c.answers("")
	}
	return c.answers("\x01") // RFC 7628 section 3.2.3: the failure was heard
}

// challenged reports whether the server waits for more.
func challenged(said string) bool {
	word := last(said)
	return strings.HasPrefix(word, "+ ") || word == "+" || strings.HasPrefix(word, "334") || strings.HasPrefix(word, `"`)
}

// sasl begins a mechanism with its initial response.
func (c *conn) sasl(mechanism, response string) (string, error) {
	command := "AUTHENTICATE " + mechanism + " " + b64(response)
	switch c.door.Protocol {
	case POP3, SMTP:
		command = "AUTH " + mechanism + " " + b64(response)
	case Sieve:
		command = "AUTHENTICATE " + quoted(mechanism) + " " + quoted(b64(response))
	}
	return c.asks(command, c.orChallenge)
}

// orChallenge is whole where a challenge is a string (RFC 5804 section 2.1).
func (c *conn) orChallenge(tag string) func(string) bool {
	whole := c.whole(tag)
	return func(line string) bool { return c.door.Protocol == Sieve && strings.HasPrefix(line, `"`) || whole(line) }
}

// answers answers a challenge.
func (c *conn) answers(response string) (string, error) {
	line := b64(response)
	if c.door.Protocol == Sieve {
		line = quoted(line)
	}
	if err := c.send(line); err != nil {
		return "", err
	}
	return c.until(c.orChallenge(fmt.Sprintf("d%d ", c.n)))
}

// reads does what only somebody who is in can: it opens the mailbox, sends elsewhere, lists filters.
func (c *conn) reads() (bool, error) {
	command := map[Protocol]string{IMAP: "SELECT INBOX", POP3: "STAT", Sieve: "LISTSCRIPTS", SMTP: "MAIL FROM:<canary@drill.invalid>"}[c.door.Protocol]
	said, err := c.do(command)
	if err == nil && c.door.Protocol == SMTP && yes(said) {
		said, err = c.do("RCPT TO:<somebody@elsewhere.invalid>")
	}
	return err == nil && yes(said), err
}
