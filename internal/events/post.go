package events

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"syscall"
	"time"

	"countersign/internal/failure"
	"countersign/internal/text"
)

const (
	// postPatience bounds one request from the look-up of the name to the answer's end. It is
	// less than a lease, so that no other server sends the same meanwhile.
	postPatience = 15 * time.Second
	// mostOfAnswer is how many bytes of an answer are read, and longestAnswer how many an
	// error has.
	mostOfAnswer, longestAnswer = 64 << 10, 200
)

// poster sends by HTTP. It follows no redirect, asks no proxy and keeps no cookie.
type poster struct {
	what  string // "webhook"
	files Files
	// control is asked before each connection; nil allows all.
	control func(network, address string, c syscall.RawConn) error
	trace   Trace

	client *http.Client
}

func (p *poster) close() {
	if p.client != nil {
		p.client.CloseIdleConnections()
		p.client = nil
	}
}

// post is a request.
type post struct {
	url    string
	header http.Header
	body   []byte
	hide   []string // must not be in an error
}

// ready makes the client, with the files as they are now.
func (p *poster) ready(host string) error {
	if p.client != nil {
		return nil
	}
	config, err := p.files.config(host)
	if err != nil {
		return err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: p.control}
	transport := &http.Transport{Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: postPatience, MaxResponseHeaderBytes: 16 << 10, MaxConnsPerHost: 2, IdleConnTimeout: time.Minute}
	p.client = &http.Client{Transport: transport, Timeout: postPatience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

// send posts, and returns the body of an answer that accepts. Every other answer, and none,
// is an error of class Unavailable.
func (p *poster) send(ctx context.Context, r post) ([]byte, error) {
	u, err := url.Parse(r.url)
	if err != nil {
		return nil, failure.New(failure.Unavailable, "The url of the %s cannot be used.", p.what) // the cause would have it
	}
	if err := p.ready(u.Hostname()); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(p.traced(ctx), http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, failure.New(failure.Unavailable, "The url of the %s cannot be used.", p.what)
	}
	request.Header = r.header
	request.Header.Set("User-Agent", "countersign")
	answer, err := p.client.Do(request)
	if err != nil {
		p.close() // the next connection reads the files again
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // its text would have the whole address
		}
		return nil, failure.Wrap(failure.Unavailable, err, "The "+p.what+" at "+u.Host+" cannot be reached: "+err.Error()+".")
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, mostOfAnswer))
	p.trace.say("answered %s", answer.Status)
	switch {
	case answer.StatusCode/100 == 3:
		return nil, failure.New(failure.Unavailable, "The %s at %s answered %d, which leads elsewhere and is not followed. Set its final address.", p.what, u.Host, answer.StatusCode)
	case answer.StatusCode/100 != 2:
		return nil, failure.New(failure.Unavailable, "The %s at %s answered %d: %s", p.what, u.Host, answer.StatusCode, shown(said, append(r.hide, u.RequestURI())))
	case err != nil:
		return nil, failure.Wrap(failure.Unavailable, err, "The answer of the "+p.what+" at "+u.Host+" broke off.")
	}
	return said, nil
}

// traced has each step told.
func (p *poster) traced(ctx context.Context) context.Context {
	if p.trace == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { p.trace.say("connected to %s", i.Conn.RemoteAddr()) },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if err == nil {
				p.trace.say("%s with the certificate of %s", tls.VersionName(s.Version), s.PeerCertificates[0].Subject)
			}
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				p.trace.say("the request was sent")
			}
		},
	})
}

// shown is an answer on one line, without what nobody should read.
func shown(said []byte, hide []string) string {
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(said), "")), " ")
	for _, secret := range hide {
		if len(secret) > 3 {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	if len(s) > longestAnswer {
		s = strings.ToValidUTF8(s[:longestAnswer], "") + "…"
	}
	return cmp.Or(text.Seen(s), "nothing")
}
