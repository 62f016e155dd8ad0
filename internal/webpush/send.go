package webpush

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// Options configure how a Sender reaches push services. The zero value is for the
// public internet.
type Options struct {
	// Inside are private networks that may be reached, at any port: for one's own
	// push service, and for tests.
	Inside []netip.Prefix
	// Roots are the trusted root certificates; nil is the system's.
	Roots *x509.CertPool
}

// wait bounds one push from the look-up of the name to the answer.
const wait = 10 * time.Second

// Sender sends pushes. It is safe for concurrent use.
type Sender struct {
	key     Key
	subject string
	now     func() time.Time
	client  *http.Client
	rests   rests
}

// NewSender makes a Sender. The subject is a mailto: or https: URL of whoever
// runs this installation (RFC 8292 section 2.1).
func NewSender(key Key, subject string, o Options, now func() time.Time) *Sender {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: o.control}
	transport := &http.Transport{
		Proxy:       nil, // a proxy would be asked for the inside in our stead
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: wait, MaxResponseHeaderBytes: 16 << 10, MaxConnsPerHost: 8, IdleConnTimeout: time.Minute,
	}
	return &Sender{key: key, subject: subject, now: now, client: &http.Client{Transport: transport, Timeout: wait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Message is a message, and how long the service may store it for a browser that is
// offline.
type Message struct {
	Text []byte
	Keep time.Duration
}

// mostOfAnswer is how many bytes of a push service's answer are read, and longestAnswer how
// many of them an error has.
const (
	mostOfAnswer  = 4 << 10
	longestAnswer = 300
)

// shown is a push service's answer on one line, without the address that it answered at:
// whoever has that can try to send there.
func shown(said []byte, at *url.URL) string {
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(said), "")), " ")
	for _, secret := range []string{at.String(), at.RequestURI(), path.Base(at.Path)} {
		if len(secret) > 3 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	if len(s) > longestAnswer {
		s = strings.ToValidUTF8(s[:longestAnswer], "") + "…"
	}
	return text.Seen(s)
}

// Send sends one message, once. It returns NotFound if the subscription has ended (RFC
// 8030 section 7.3), Invalid if the address or the keys can never work, and Unavailable
// if the service did not accept the message this time, or gave no answer a moment ago. The
// sentence has the service's answer, and not the address.
func (s *Sender) Send(ctx context.Context, endpoint string, to Recipient, m Message) error {
	u, err := CheckEndpoint(endpoint)
	if err != nil {
		return failure.Wrap(failure.Invalid, err, "Invalid address of a push service.")
	}
	body, err := Encrypt(to, m.Text)
	if err != nil {
		return failure.Wrap(failure.Invalid, err, "The browser's encryption keys are invalid.")
	}
	signature, err := s.key.authorization(u, s.subject, s.now())
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", signature)
	r.Header.Set("Content-Encoding", "aes128gcm")
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("TTL", strconv.Itoa(int(m.Keep/time.Second)))
	r.Header.Set("Urgency", "high")
	if !s.rests.over(u.Host, s.now()) {
		return failure.New(failure.Unavailable, "The push service %s gave no answer a moment ago and is left alone.", u.Host)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.rests.begin(u.Host, s.now())
		return failure.Wrap(failure.Unavailable, err, "The push service "+u.Host+" cannot be reached.")
	}
	defer answer.Body.Close()
	s.rests.end(u.Host)
	said, _ := io.ReadAll(io.LimitReader(answer.Body, mostOfAnswer)) // what came of it is enough
	switch {
	case answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone:
		return failure.New(failure.NotFound, "The push service %s answered %d: the browser is no longer subscribed.", u.Host, answer.StatusCode)
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return failure.New(failure.Unavailable, "The push service %s answered %d: %s", u.Host, answer.StatusCode, shown(said, u))
	}
	return nil
}
