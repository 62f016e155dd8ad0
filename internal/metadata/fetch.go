package metadata

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/protocol/saml/message"
)

const (
	// patience bounds one fetch, whatever the other side does, and message.Longest what is read.
	patience = 15 * time.Second
	longest  = message.Longest
)

// Source is where the metadata of a party is, and by whom it is to be signed.
type Source struct {
	// Party is what it is called here: application or upstream, a slash, and its name.
	Party string
	// Entity is the entity ID that it must be of.
	Entity string
	// URL is https; http is for this machine, where Inside lists that.
	URL string
	// Pins are as [message.ReadPins] has them.
	Pins []string
	// Inside are the networks, addresses and host names inside the network that it may lead to.
	Inside []string
	// Authority is the certificates, in PEM, by which its TLS is known; empty is those of the system.
	Authority string
}

// Check says what is wrong with a source that is to be saved.
func (s Source) Check() error {
	u, err := url.Parse(s.URL)
	whole := err == nil && u.Hostname() != "" && u.User == nil && u.Fragment == "" && u.Opaque == "" && len(s.URL) <= 1024 && u.String() == s.URL
	if !whole || u.Scheme != "https" && !s.here(u) {
		return failure.New(failure.Invalid, "The metadata is at a whole https:// address, without a user and without #; http is for a loopback address that inside lists.")
	}
	if _, err := outside.List(s.Inside); err != nil || len(s.Inside) > 20 {
		return failure.New(failure.Invalid, "The setting inside lists up to 20 networks, addresses and host names.")
	}
	_, err = message.ReadPins(s.Pins)
	return err
}

func (s Source) here(u *url.URL) bool {
	return u.Scheme == "http" && len(s.Inside) > 0 && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

func unreachable(format string, args ...any) error {
	e := failure.New(failure.Unavailable, format, args...)
	e.Reason = "unreachable"
	return e
}

// Fetch reads the metadata of a source now, and keeps nothing. What is not reached is an Unavailable
// failure, and what is not taken another one, with its reason.
func Fetch(ctx context.Context, s Source, now time.Time) (message.Described, error) {
	var d message.Described
	if err := s.Check(); err != nil {
		return d, err
	}
	pins, err := message.ReadPins(s.Pins)
	if err != nil {
		return d, err
	}
	b, err := get(ctx, s)
	if err != nil {
		return d, err
	}
	if d, err = message.ReadSigned(b, pins, now); err != nil {
		return d, err
	}
	if d.Entity != s.Entity {
		return d, failure.Refuse("wrong-entity", "The metadata is that of another entity ID.")
	}
	return d, nil
}

// get asks for a document. No redirect is followed and no proxy asked; an address is looked at right
// before the connection is made.
func get(ctx context.Context, s Source) ([]byte, error) {
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, unreachable("The address cannot be used.")
	}
	r.Header.Set("Accept", "application/samlmetadata+xml, application/xml, text/xml")
	r.Header.Set("User-Agent", "Countersign")
	client, err := s.client(r.URL.Hostname())
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	a, err := client.Do(r)
	switch {
	case errors.Is(err, outside.ErrInside):
		return nil, unreachable("The address leads inside the network; list it in inside, if it is to.")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, unreachable("There was no answer within %d seconds.", int(patience/time.Second))
	case err != nil:
		return nil, unreachable("The address cannot be asked: %s.", plain(err))
	}
	defer a.Body.Close()
	if a.StatusCode/100 == 3 {
		return nil, unreachable("The address leads on to another one, which is not followed; name that one.")
	}
	if a.StatusCode != http.StatusOK {
		return nil, unreachable("The address answers %d.", a.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, longest+1))
	switch {
	case err != nil:
		return nil, unreachable("The answer did not end within %d seconds.", int(patience/time.Second))
	case len(b) > longest:
		return nil, failure.Refuse("too-long", "The metadata is longer than what is read of one entity.")
	}
	return b, nil
}

func (s Source) client(host string) (*http.Client, error) {
	listed, err := outside.List(s.Inside)
	if err != nil {
		return nil, err
	}
	var roots *x509.CertPool
	if s.Authority != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(s.Authority)) {
			return nil, unreachable("The authority is no certificate in PEM.")
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: listed.Control(host)}
	transport := &http.Transport{Proxy: nil, DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// plain is an error without the address in it, which may have a query.
func plain(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return strings.TrimSuffix(err.Error(), ".")
}
