// Package fetch asks an upstream's own servers.
//
// It owns what may be asked (public addresses, and those that an administrator listed), how
// much is read and for how long. It understands nothing of an answer. Its neighbours are
// outside, which tells addresses apart, and upstream/oidc. Its one invariant: nothing is sent to,
// or read from, any other host than the one that was named: no redirect is followed and no proxy
// asked.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign/internal/outside"
)

const (
	// longest bounds an answer, patience one request.
	longest  = 256 << 10
	patience = 10 * time.Second
)

// Client asks one upstream's servers. It is safe for concurrent use.
type Client struct {
	inside outside.Listed
	roots  *x509.CertPool
}

// New makes a Client. Inside lists what may be asked inside the network, and authority is the
// certificates in PEM by which TLS is known; empty is those of the system.
func New(inside []string, authority string) (*Client, error) {
	listed, err := outside.List(inside)
	if err != nil {
		return nil, err
	}
	c := &Client{inside: listed}
	if authority != "" {
		c.roots = x509.NewCertPool()
		if !c.roots.AppendCertsFromPEM([]byte(authority)) {
			return nil, errors.New("the authority is no certificate in PEM")
		}
	}
	return c, nil
}

// Answer is what came back.
type Answer struct {
	Status int
	Body   []byte
}

// Get asks for a document.
func (c *Client) Get(ctx context.Context, at string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return Answer{}, errors.New("the address cannot be used")
	}
	return c.do(r)
}

// Post sends a form, with a name and a password of HTTP Basic where there is a name.
func (c *Client) Post(ctx context.Context, at string, form url.Values, name, password string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return Answer{}, errors.New("the address cannot be used")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if name != "" { // RFC 6749 section 2.3.1
		r.SetBasicAuth(url.QueryEscape(name), url.QueryEscape(password))
	}
	return c.do(r)
}

// do sends a request. Its errors hold no part of what was sent.
func (c *Client) do(r *http.Request) (Answer, error) {
	ctx, done := context.WithTimeout(r.Context(), patience)
	defer done()
	r = r.WithContext(ctx)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "Countersign")
	host := r.URL.Hostname()
	dialer := &net.Dialer{Timeout: patience, Control: c.inside.Control(host)}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 32 << 10,
		TLSClientConfig: &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return Answer{}, fmt.Errorf("%s cannot be asked: %w", host, plain(err))
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(answer.Body, longest+1))
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("%s did not finish its answer", host)
	case len(body) > longest:
		return Answer{}, fmt.Errorf("%s answered more than %d bytes", host, longest)
	}
	return Answer{answer.StatusCode, body}, nil
}

// plain is an error without the address in it, which may have a query.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
