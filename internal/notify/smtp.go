package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"time"

	"countersign/internal/failure"
)

// How a connection to a mail server becomes encrypted, see [Mailer.TLS].
const (
	StartTLS = "starttls" // RFC 3207
	Implicit = "implicit" // RFC 8314 section 3.3
)

// Mailer delivers to a mail server by SMTP (RFC 5321). Except on loopback it requires TLS
// with a certificate for the server's name. It never sends a password without TLS.
type Mailer struct {
	// Server is HOST:PORT, From the sender: an address, or "Name <address>".
	Server, From string
	// Name is the host that this installation calls itself, in EHLO and in Message-ID;
	// empty is localhost. International names become punycode, IP addresses literals.
	Name string
	// Organisation is whose installation it is: the name of a sender without one, and under each
	// mail. It may be empty.
	Organisation string
	// TLS is StartTLS or Implicit. Empty is Implicit on port 465 and StartTLS elsewhere,
	// where a server on loopback needs it only for a password or if Roots are named.
	TLS string
	// Username and Password authenticate (RFC 4954, PLAIN or LOGIN), unless they are
	// empty. Password is called for each mail, so that a changed file needs no restart.
	Username string
	Password func() (string, error)
	// Roots are the trusted root certificates; nil is the system's.
	Roots *x509.CertPool
	// Trace is told each line of the conversation, without the password; nil is nobody.
	Trace func(line string)
}

// How long a mail may take: altogether, to connect, for the answer to one command, for the
// answer to the message (RFC 5321 section 4.5.3.2 allows more, but the worker waits for it),
// and for the farewell, which decides nothing.
const (
	patience         = 2 * time.Minute
	connectPatience  = 15 * time.Second
	commandPatience  = 30 * time.Second
	acceptPatience   = 90 * time.Second
	farewellPatience = 3 * time.Second
)

// Deliver sends one notice. Once the server accepted it with 250 to the final dot, the
// result is nil, whatever follows. The class of an error says what to do: after Invalid
// this notice can never be delivered (a 5yz answer to it); after Refused it may be later (a
// 4yz answer); after Unavailable the server takes no mail at all, or none of this sender.
// The sentence has the server's answer and no password.
func (m Mailer) Deliver(ctx context.Context, n Notice) error {
	from, err := readSender(m.From, m.Organisation)
	if err != nil {
		return failure.Wrap(failure.Unavailable, err, "The setting mail.from is no mail address. Set it to one, such as Countersign <countersign@example.org>.")
	}
	to, err := readMailbox(n.Address)
	if err != nil {
		return failure.Wrap(failure.Invalid, err, "The account's mail address is none. Give the account another one.")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if err := m.open(c); err != nil {
		return err
	}
	n.Body = signed(n.Body, m.Organisation)
	return c.submit(from, to, message(from, to, cmp.Or(m.Name, "localhost"), n))
}

// connect dials the server, with TLS from the start where that is so.
func (m Mailer) connect(ctx context.Context) (*conversation, error) {
	c := &conversation{ctx: ctx, server: m.Server, trace: m.Trace}
	c.note("connecting to " + m.Server)
	dialer := net.Dialer{Timeout: connectPatience}
	conn, err := dialer.DialContext(ctx, "tcp", m.address())
	if err != nil {
		return nil, c.broken("unreachable", "The mail server "+m.Server+" cannot be reached. Check mail.server, and that this machine may connect to it.", err)
	}
	c.use(conn)
	if m.implicit() {
		if err := c.encrypt(m.tlsConfig()); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// open greets the server, goes over to TLS and authenticates, as far as each is needed.
func (m Mailer) open(c *conversation) error {
	if err := c.greeted(); err != nil {
		return err
	}
	name := helloName(m.Name)
	if err := c.hello(name); err != nil {
		return err
	}
	if !m.implicit() && !m.plain() {
		if err := m.startTLS(c); err != nil {
			return err
		}
		if err := c.hello(name); err != nil {
			return err
		}
	}
	if m.Username == "" {
		return nil
	}
	password, err := m.Password()
	if err != nil {
		return c.broken("login", "The password for the mail server cannot be read. Check mail.password_file.", err)
	}
	return c.login(m.Username, password)
}

func (m Mailer) startTLS(c *conversation) error {
	if _, offered := c.offers["STARTTLS"]; !offered {
		return c.broken("tls", "The mail server "+m.Server+" offers no STARTTLS, so nothing is sent to it. If it expects TLS from the start, set mail.tls to implicit.", nil)
	}
	a, err := c.ask("STARTTLS")
	if err != nil {
		return err
	}
	if a.code != 220 {
		return c.refused("tls", "STARTTLS", a)
	}
	return c.encrypt(m.tlsConfig())
}

func (m Mailer) host() string {
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return m.Server
	}
	if ascii, err := asciiDomain(host); err == nil {
		return ascii
	}
	return host
}

// address is where the server is, a name in other letters in punycode.
func (m Mailer) address() string {
	_, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return m.Server
	}
	return net.JoinHostPort(m.host(), port)
}

func (m Mailer) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: m.host(), RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
}

func (m Mailer) implicit() bool {
	return m.TLS == Implicit || m.TLS == "" && strings.HasSuffix(m.Server, ":465")
}

// plain reports whether mail goes to the server as it is: it stays on this machine, and no
// password goes with it. A Debian's own mail server has a certificate that nobody vouches for.
func (m Mailer) plain() bool {
	ip, err := netip.ParseAddr(m.host())
	near := m.host() == "localhost" || err == nil && ip.IsLoopback()
	return near && m.TLS == "" && m.Username == "" && m.Roots == nil
}

// helloName is the argument of EHLO: a name, or an address as a literal (RFC 5321 section 4.1.3).
func helloName(name string) string {
	ip, err := netip.ParseAddr(name)
	switch {
	case name == "":
		return "localhost"
	case err != nil:
		if ascii, err := asciiDomain(name); err == nil {
			return ascii
		}
		return "localhost"
	case ip.Is4():
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}
