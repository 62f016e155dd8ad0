package signal

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/text"
)

const (
	// patience bounds one request, from the look-up of the name to the end of the answer. It is less
	// than a lease.
	patience = 15 * time.Second
	// mostAnswer is how many bytes of an answer are read.
	mostAnswer = 1 << 20
	// longestSaid is how much of an answer people are shown.
	longestSaid = 200
)

// caller asks other servers. It follows no redirect, asks no proxy, keeps no cookie, and reaches
// nothing inside of the network that the configuration does not list.
type caller struct {
	inside outside.Listed
	ca     string // a file of root certificates; empty is those of the system
}

// call is a request.
type call struct {
	method, url string
	header      map[string]string
	body        []byte
}

// answer is what came back.
type answer struct {
	status int
	body   []byte
	hide   []string // must not be shown, although it may have been sent back
}

func (c caller) client(host string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, failure.Wrap(failure.Unavailable, err, "The file of signals.ca cannot be read.")
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, failure.New(failure.Unavailable, "The file of signals.ca holds no PEM certificate.")
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: c.inside.Control(host)}
	transport := &http.Transport{Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: patience, MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// do sends a request. An error is one sentence that repeats nothing of the request but its host.
func (c caller) do(ctx context.Context, r call) (answer, error) {
	u, err := url.Parse(r.url)
	if err != nil || !plainURL(u) {
		return answer{}, failure.New(failure.Unavailable, "The address cannot be asked; set it anew.")
	}
	client, err := c.client(u.Hostname())
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, failure.New(failure.Unavailable, "The address cannot be asked; set it anew.")
	}
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	request.Header.Set("User-Agent", "countersign")
	got, err := client.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // its text would have the whole address
		}
		return answer{}, failure.Wrap(failure.Unavailable, err, text.Seen(u.Host)+" cannot be reached: "+text.Seen(err.Error())+".")
	}
	defer got.Body.Close()
	body, err := io.ReadAll(io.LimitReader(got.Body, mostAnswer+1))
	switch {
	case err != nil:
		return answer{}, failure.Wrap(failure.Unavailable, err, "The answer of "+text.Seen(u.Host)+" broke off.")
	case len(body) > mostAnswer:
		return answer{}, failure.New(failure.Unavailable, "The answer of %s is longer than %d bytes.", text.Seen(u.Host), mostAnswer)
	case got.StatusCode/100 == 3:
		return answer{}, failure.New(failure.Unavailable, "%s answered %d, which leads elsewhere and is not followed. Set the final address.", text.Seen(u.Host), got.StatusCode)
	}
	return answer{got.StatusCode, body, r.secrets()}, nil
}

// secrets are the values of the request that nobody should read, with and without the word before
// them.
func (r call) secrets() []string {
	value := r.header["Authorization"]
	_, bare, _ := strings.Cut(value, " ")
	return []string{value, bare}
}

// refused is the error of an answer that is none of success. It shows the beginning of what was
// said, and no secret of ours that was sent back.
func (a answer) refused(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		u = &url.URL{}
	}
	s := string(a.body)
	for _, secret := range a.hide {
		if len(secret) > 3 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s[:min(len(s), longestSaid)], "")), " ")
	return failure.New(failure.Unavailable, "%s answered %d: %s", text.Seen(u.Host), a.status, text.Seen(s))
}
