package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/smtp"
	"strings"
	"time"
)

// Mailer delivers to a mail server by SMTP (RFC 5321). Except on loopback it requires
// STARTTLS (RFC 3207) with a certificate for the server's name. It never sends a
// password without TLS.
type Mailer struct {
	// Server is HOST:PORT, From the sender's address.
	Server, From string
	// Username and Password authenticate (RFC 4954, PLAIN), unless they are empty.
	// Password is called for each mail, so that a changed file needs no restart.
	Username string
	Password func() (string, error)
	// Roots are the trusted root certificates; nil is the system's.
	Roots *x509.CertPool
}

// patience is how long one message may take.
const patience = 30 * time.Second

// Deliver sends one notice.
func (m Mailer) Deliver(ctx context.Context, n Notice) error {
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return err
	}
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return errors.Join(err, conn.Close())
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer c.Close()
	if err := m.secure(c, host); err != nil {
		return err
	}
	return m.submit(c, n)
}

// secure goes over to TLS, and signs in where that is asked for.
func (m Mailer) secure(c *smtp.Client, host string) error {
	ip := net.ParseIP(host)
	near := host == "localhost" || ip != nil && ip.IsLoopback()
	offered, _ := c.Extension("STARTTLS")
	if offered {
		if err := c.StartTLS(&tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	} else if !near {
		return fmt.Errorf("notify: %s offers no STARTTLS", host)
	}
	if m.Username == "" {
		return nil
	}
	if !offered {
		return fmt.Errorf("notify: %s offers no STARTTLS, so no password is sent to it", host)
	}
	password, err := m.Password()
	if err != nil {
		return err
	}
	return c.Auth(smtp.PlainAuth("", m.Username, password, host))
}

func (m Mailer) submit(c *smtp.Client, n Notice) error {
	if err := c.Mail(m.From); err != nil {
		return err
	}
	if err := c.Rcpt(n.Address); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message(m.From, n, time.Now())); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// message writes RFC 5322 with the body in base64, so that no line of it can be
// taken for anything else.
func message(from string, n Notice, at time.Time) []byte {
	var b strings.Builder
	_, domain, _ := strings.Cut(from, "@")
	// The same notice sent twice has the same Message-ID, so that a mail server can
	// tell (RFC 5322 section 3.6.4).
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", n.ID, n.Address, n.Subject, n.Body))
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n",
		from, n.Address, mime.QEncoding.Encode("utf-8", n.Subject), at.Format(time.RFC1123Z), hex.EncodeToString(sum[:16]), domain)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\n\r\n")
	body := base64.StdEncoding.EncodeToString([]byte(n.Body))
	for len(body) > 76 {
		b.WriteString(body[:76] + "\r\n")
		body = body[76:]
	}
	b.WriteString(body + "\r\n")
	return []byte(b.String())
}
