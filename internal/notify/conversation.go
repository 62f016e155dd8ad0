package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// conversation is one with a mail server (RFC 5321), command by command. What is kept as a
// secret is in no trace and in no error, also where the server repeats it.
type conversation struct {
	ctx     context.Context
	server  string
	trace   func(line string)
	conn    net.Conn
	text    *textproto.Conn
	stop    func() bool
	offers  map[string]string // what EHLO listed: keywords in upper case, with what follows
	secure  bool
	secrets []string
}

// answer is what a server said to a command.
type answer struct {
	code int
	text string
}

// String is the answer on one line. Enough of it is kept to know why.
func (a answer) String() string {
	s := fmt.Sprintf("%d %s", a.code, strings.Join(strings.Fields(a.text), " "))
	if len(s) > longestAnswer {
		s = strings.ToValidUTF8(s[:longestAnswer], "") + "…"
	}
	return text.Seen(s)
}

const (
	longestAnswer = 400     // bytes
	mostAnswers   = 1 << 20 // bytes of all that a server says
)

// use has the conversation go on over a connection.
func (c *conversation) use(conn net.Conn) {
	if c.stop != nil {
		c.stop()
	}
	c.conn = conn
	c.stop = context.AfterFunc(c.ctx, func() { conn.Close() }) //nolint:errcheck // whoever waits on it gets the error
	bounded := struct {
		io.Reader
		io.Writer
		io.Closer
	}{io.LimitReader(conn, mostAnswers), conn, conn}
	c.text = textproto.NewConn(bounded)
}

func (c *conversation) close() {
	c.stop()
	c.conn.Close() //nolint:errcheck // nothing depends on it
}

// finish has what ends the conversation leave time for the answer to the message: without
// it nobody knows whether the server accepted it, and it is sent again.
func (c *conversation) finish() {
	c.stop()
	conn := c.conn
	c.stop = context.AfterFunc(c.ctx, func() {
		time.AfterFunc(farewellPatience, func() { conn.Close() }) //nolint:errcheck // whoever waits on it gets the error
	})
}

// wait bounds the next step.
func (c *conversation) wait(d time.Duration) {
	c.conn.SetDeadline(time.Now().Add(d)) //nolint:errcheck // then the step fails
}

func (c *conversation) note(line string) {
	if c.trace != nil {
		c.trace(line)
	}
}

// hidden takes the secrets out of a text.
func (c *conversation) hidden(s string) string {
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// encrypt goes over to TLS. What the server sent before that in the clear counts for nothing.
func (c *conversation) encrypt(config *tls.Config) error {
	c.wait(commandPatience)
	secure := tls.Client(c.conn, config)
	if err := secure.HandshakeContext(c.ctx); err != nil {
		return c.broken("tls", "TLS with the mail server "+c.server+" failed. Its certificate must be for that name and of an authority that this machine trusts (mail.ca), and it must speak TLS 1.2; port 465 wants mail.tls: implicit, others starttls.", err)
	}
	state := secure.ConnectionState()
	c.note(fmt.Sprintf("* %s, the certificate is for %s", tls.VersionName(state.Version), text.Seen(config.ServerName)))
	c.use(secure)
	c.secure, c.offers = true, nil
	return nil
}

// read reads one answer.
func (c *conversation) read(patience time.Duration) (answer, error) {
	c.wait(patience)
	code, said, err := c.text.ReadResponse(0)
	if err != nil {
		return answer{}, c.broken("lost", "The mail server "+c.server+" ended the conversation, or gave no answer in time.", err)
	}
	a := answer{code, c.hidden(said)}
	for line := range strings.Lines(a.text) {
		c.note(fmt.Sprintf("S: %d %s", a.code, text.Seen(strings.TrimSuffix(line, "\n"))))
	}
	return a, nil
}

// ask sends a command and reads the answer.
func (c *conversation) ask(command string) (answer, error) {
	if strings.ContainsAny(command, "\r\n\x00") {
		return answer{}, failure.New(failure.Invalid, "A mail address has a line break.")
	}
	c.wait(commandPatience)
	c.note("C: " + text.Seen(c.hidden(command)))
	if err := c.text.PrintfLine("%s", command); err != nil {
		return answer{}, c.broken("lost", "The mail server "+c.server+" ended the conversation.", err)
	}
	return c.read(commandPatience)
}

// broken is an error that no answer explains. It is of the server, not of one mail.
func (c *conversation) broken(reason, public string, cause error) error {
	if cause != nil {
		cause = errors.New(text.Seen(c.hidden(cause.Error())))
	}
	return &failure.Error{Class: failure.Unavailable, Reason: reason, Public: public, Cause: cause}
}

// refused is an answer that ends the conversation. Until a recipient is named it says
// something of the server or of our settings, and of no mail.
func (c *conversation) refused(reason, what string, a answer) error {
	class, about := failure.Unavailable, reason == "recipient" || reason == "message"
	switch {
	case about && a.code/100 == 5:
		class = failure.Invalid
	case about && a.code/100 == 4 && a.code != 421: // 421: it closes the channel
		class = failure.Refused
	}
	return &failure.Error{Class: class, Reason: reason, Public: fmt.Sprintf("The mail server %s refused %s: %s", c.server, what, a)}
}

// greeted reads the server's first words.
func (c *conversation) greeted() error {
	a, err := c.read(commandPatience)
	if err != nil && !c.secure {
		return c.broken("greeting", "The mail server "+c.server+" did not greet us. If it expects TLS from the start, set mail.tls to implicit.", errors.Unwrap(err))
	}
	if err != nil {
		return err
	}
	if a.code != 220 {
		return c.refused("greeting", "to talk to us", a)
	}
	return nil
}

// hello says who we are and learns what is offered. A server that knows no EHLO offers
// nothing (RFC 5321 section 3.2).
func (c *conversation) hello(name string) error {
	c.offers = map[string]string{}
	a, err := c.ask("EHLO " + name)
	if err != nil {
		return err
	}
	if a.code/100 == 5 {
		if a, err = c.ask("HELO " + name); err != nil {
			return err
		}
	}
	if a.code != 250 {
		return c.refused("hello", "our name "+name+" (from public_url)", a)
	}
	lines := strings.Split(a.text, "\n")
	for _, line := range lines[1:] {
		// Old servers write "AUTH=LOGIN".
		keyword, rest, _ := strings.Cut(strings.Replace(line, "=", " ", 1), " ")
		keyword = strings.ToUpper(keyword)
		c.offers[keyword] = strings.TrimSpace(c.offers[keyword] + " " + rest)
	}
	return nil
}

// login authenticates by PLAIN (RFC 4616), or by LOGIN where only that is offered, as by
// Microsoft's servers.
func (c *conversation) login(username, password string) error {
	if !c.secure {
		return c.broken("tls", "There is no TLS with the mail server "+c.server+", so no password is sent to it.", nil)
	}
	if password == "" || strings.Contains(username+password, "\x00") {
		return c.broken("login", "The password for the mail server is empty. Write it into the file that mail.password_file names.", nil)
	}
	enc := base64.StdEncoding.EncodeToString
	plain := enc([]byte("\x00" + username + "\x00" + password))
	c.secrets = []string{plain, enc([]byte(password)), password}
	offered := strings.Fields(strings.ToUpper(c.offers["AUTH"]))
	var words []string
	switch {
	case slices.Contains(offered, "PLAIN"):
		words = []string{"AUTH PLAIN " + plain}
	case slices.Contains(offered, "LOGIN"):
		words = []string{"AUTH LOGIN", enc([]byte(username)), enc([]byte(password))}
	default:
		return c.broken("login", fmt.Sprintf("The mail server %s offers neither AUTH PLAIN nor LOGIN (it offers: %s). Allow passwords for this mailbox there, or use a relay.", c.server, text.Seen(c.offers["AUTH"])), nil)
	}
	for i, word := range words {
		a, err := c.ask(word)
		if err != nil {
			return err
		}
		want := 334
		if i == len(words)-1 {
			want = 235
		}
		if a.code != want {
			return c.refused("login", "the name or the password (mail.username, mail.password_file)", a)
		}
	}
	return nil
}

// submit hands a mail over. With 250 to the final dot it is the server's (RFC 5321 section
// 4.2.5), and what comes after changes nothing.
func (c *conversation) submit(from, to mailbox, message []byte) error {
	command, err := c.mailFrom(from, to)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		command, reason, what string
		want                  int
	}{
		{command, "sender", "the sender (mail.from)", 250},
		{"RCPT TO:<" + to.envelope + ">", "recipient", "the recipient", 250},
		{"DATA", "message", "the message", 354},
	} {
		a, err := c.ask(step.command)
		if err != nil {
			return err
		}
		if a.code != step.want && !(step.want == 250 && a.code == 251) { // 251: it forwards
			return c.refused(step.reason, step.what, a)
		}
	}
	return c.data(message)
}

// mailFrom is the command that names the sender.
func (c *conversation) mailFrom(from, to mailbox) (string, error) {
	command := "MAIL FROM:<" + from.envelope + ">"
	if !from.utf8 && !to.utf8 {
		return command, nil
	}
	if _, offered := c.offers["SMTPUTF8"]; !offered {
		class := failure.Invalid
		if from.utf8 {
			class = failure.Unavailable
		}
		return "", &failure.Error{Class: class, Reason: "utf8", Public: "The mail server " + c.server + " offers no SMTPUTF8, which the letters before the @ of the address need. Use an address in ASCII, or another server."}
	}
	return command + " BODY=8BITMIME SMTPUTF8", nil
}

// data sends the message and its final dot, and says goodbye after it was accepted.
func (c *conversation) data(message []byte) error {
	c.finish()
	c.wait(commandPatience)
	c.note(fmt.Sprintf("C: (the message, %d bytes)", len(message)))
	w := c.text.DotWriter()
	_, err := w.Write(message)
	if err = errors.Join(err, w.Close()); err != nil {
		return c.broken("lost", "The mail server "+c.server+" ended the conversation.", err)
	}
	c.note("C: .")
	a, err := c.read(acceptPatience)
	if err != nil {
		return err
	}
	if a.code != 250 {
		return c.refused("message", "the message", a)
	}
	c.note("C: QUIT")
	c.wait(farewellPatience)
	if c.text.PrintfLine("QUIT") == nil {
		c.read(farewellPatience) //nolint:errcheck // it was accepted
	}
	return nil
}
