package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"countersign/internal/drill"
)

// capture holds, byte for byte, what a browser sent. It listens in the browser, above TLS:
// an attacker on the network hears less.
type capture struct {
	mu       sync.Mutex
	requests []*captured
}

// captured is what went through one connection, which is one request.
type captured struct {
	network, address string
	tls              bool
	sent             bytes.Buffer
}

// heard is how a capture was made, for the report.
const heard = "captured in the owner's browser, above TLS"

// tapped is a connection that is listened to.
type tapped struct {
	net.Conn
	by *capture
	to *captured
}

func (t *tapped) Write(b []byte) (int, error) {
	t.by.mu.Lock()
	t.to.sent.Write(b)
	t.by.mu.Unlock()
	return t.Conn.Write(b)
}

// listen begins to capture what a browser sends. A browser opens a connection for each
// request.
func listen(b *browser) *capture {
	c := &capture{}
	t := b.client.Transport.(*http.Transport)
	dial := t.DialContext
	tap := func(secure bool) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := connect(ctx, dial, network, address, secure)
			if err != nil {
				return nil, err
			}
			to := &captured{network: network, address: address, tls: secure}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.requests = append(c.requests, to)
			return &tapped{Conn: conn, by: c, to: to}, nil
		}
	}
	t.DialContext, t.DialTLSContext = tap(false), tap(true)
	return c
}

// connect opens a connection, and speaks TLS on it if that is wanted.
func connect(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string, secure bool) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil || !secure {
		return conn, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		conn.Close()
		return nil, err
	}
	over := tls.Client(conn, &tls.Config{ServerName: host, NextProtos: []string{"http/1.1"}})
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return over, nil
}

// again sends what was captured, byte for byte, from a thief's browser, which keeps the
// cookies that come back. It returns the answers.
func (c *capture) again(ctx context.Context, thief *browser) ([]*http.Response, error) {
	var answers []*http.Response
	dial := thief.client.Transport.(*http.Transport).DialContext
	for _, r := range c.requests {
		conn, err := connect(ctx, dial, r.network, r.address, r.tls)
		if err != nil {
			return answers, err
		}
		answer, err := exchange(conn, r.sent.Bytes())
		conn.Close()
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
		scheme := "http"
		if r.tls {
			scheme = "https"
		}
		thief.client.Jar.SetCookies(&url.URL{Scheme: scheme, Host: r.address, Path: "/"}, answer.Cookies())
	}
	return answers, nil
}

// exchange sends bytes, and reads the head of the answer.
func exchange(conn net.Conn, sent []byte) (*http.Response, error) {
	if _, err := conn.Write(sent); err != nil {
		return nil, err
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
	if err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return nil, err
	}
	answer.Body.Close()
	return answer, nil
}

// replay listens to a whole sign-in at the page, and plays it again: its forms in the
// attacker's own browser, and then, when its owner has signed out, every byte of it.
func (s thief) replay(ctx context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
	if p.Down {
		return []drill.Try{s.signsIn(ctx, p, s.name()+", a sign-in again", victim.Name, victim.Password, "000000")}, nil
	}
	owner := s.honest(p)
	tape := listen(owner)
	if err := s.comes(ctx, owner, victim); err != nil {
		return nil, errors.Join(errNotIn, err)
	}
	forms := s.formsAgain(ctx, p, owner.sent)
	if err := owner.signsOut(ctx); err != nil {
		return []drill.Try{forms}, err
	}
	return []drill.Try{forms, s.bytesAgain(ctx, p, tape)}, nil
}

// formsAgain sends the forms of a sign-in in a browser that was sent to sign in itself.
func (s thief) formsAgain(ctx context.Context, p *drill.Play, forms []form) drill.Try {
	thief := s.attacker(p)
	err := thief.get(ctx, s.URL)
	for _, f := range forms {
		if m := tokenField.FindStringSubmatch(thief.body); m != nil {
			f.values.Set("form-token", m[1])
		}
		if err == nil {
			err = thief.do(ctx, http.MethodPost, thief.server+f.path, f.values)
		}
	}
	try := s.asks(ctx, p, s.name()+", every form of a sign-in again", thief, s.URL, err)
	try.Detail = heard
	return try
}

// bytesAgain sends every byte of a sign-in, with its cookies. It is open if the page answers
// one of the requests, or what came back.
func (s thief) bytesAgain(ctx context.Context, p *drill.Play, tape *capture) drill.Try {
	thief := s.attacker(p)
	answers, err := tape.again(ctx, thief)
	try := s.asks(ctx, p, s.name()+", every byte of a sign-in again after its owner signed out", thief, s.URL, err)
	for _, r := range answers {
		if r.StatusCode == http.StatusOK && strings.HasSuffix(s.origin(), "://"+r.Request.Host) && !strings.HasPrefix(r.Request.URL.Path, "/.countersign") {
			try.Open = true
		}
	}
	try.Detail = heard
	return try
}
