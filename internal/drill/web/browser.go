// Package web enters and attacks what people meet in a browser: Countersign's own pages,
// pages behind forward-auth, and the API and console of administration.
//
// It owns a browser without script, how a canary gets what it signs in with, and how its
// owner approves what waits elsewhere. What the attacks are for, and what their results
// prove, is the drill's. Invariant: a try is open only if the page, the portal or the
// directory says so, and not because nothing was answered.
package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"countersign/internal/drill"
	"countersign/internal/virtualauth"
)

// browser is a browser without script: pages, forms and cookies.
type browser struct {
	client *http.Client
	server string
	at     *url.URL // where it is
	status int
	body   string
	// answer is what came back last, in the words of the protocol.
	answer string
	// connect are the addresses to connect to for a host and port, where names do not
	// resolve.
	connect map[string]string
	// sent are the forms that it sent, for an attacker who listens.
	sent []form
	// headers are added to every request.
	headers http.Header
}

type form struct {
	path   string
	values url.Values
}

// attacker is a browser of the attacker's.
func attacker(p *drill.Play, server string) *browser { return browse(p, server, p.From) }

// honest is a browser of somebody who does what they should.
func honest(p *drill.Play, server string) *browser { return browse(p, server, netip.Addr{}) }

// kept is a browser with the canary's last session. It waits as honest people do, however
// silent Countersign is: what was good before may be let in late.
func kept(p *drill.Play, server string, c *drill.Canary) *browser {
	b := honest(p, server)
	b.client.Jar, b.client.Timeout = c.Jar, answered
	return b
}

// answered is how long an honest browser waits.
const answered = 90 * time.Second

func browse(p *drill.Play, server string, from netip.Addr) *browser {
	jar, _ := cookiejar.New(nil)
	d := &net.Dialer{Timeout: 20 * time.Second}
	if from.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	wait := answered
	if p.Down {
		wait = p.Patience // a browser waits longer, and gets no more
	}
	b := &browser{server: server, connect: map[string]string{}}
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.DialContext(ctx, network, cmp.Or(b.connect[addr], addr))
	}
	b.client = &http.Client{Jar: jar, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: wait}
	return b
}

var refresh = regexp.MustCompile(`^0;\s*url=(.+)$`)

func (b *browser) do(ctx context.Context, method, address string, values url.Values) error {
	for range 5 {
		var body io.Reader
		if values != nil {
			body = strings.NewReader(values.Encode())
		}
		r, err := http.NewRequestWithContext(ctx, method, address, body)
		if err != nil {
			return err
		}
		r.Header.Set("Accept", "text/html")
		for k, v := range b.headers {
			r.Header[k] = v
		}
		if values != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", b.server)
		}
		next, err := b.take(b.client.Do(r))
		if err != nil || next == "" {
			return err
		}
		method, address, values = http.MethodGet, next, nil
	}
	return errors.New("too many redirects")
}

// take reads a page, and where it sends the browser on to by itself.
func (b *browser) take(r *http.Response, err error) (next string, _ error) {
	if err != nil {
		b.answer = "no answer"
		return "", err
	}
	defer r.Body.Close()
	b.answer = said(r)
	text, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return "", err
	}
	b.at, b.status, b.body = r.Request.URL, r.StatusCode, string(text)
	if m := problem.FindStringSubmatch(b.body); m != nil {
		b.answer += ", " + strconv.Quote(html.UnescapeString(m[1]))
	}
	if m := refresh.FindStringSubmatch(r.Header.Get("Refresh")); m != nil {
		to, err := b.at.Parse(m[1])
		if err != nil {
			return "", err
		}
		return to.String(), nil
	}
	return "", nil
}

// problem is the sentence with which a page of Countersign's refuses.
var problem = regexp.MustCompile(`(?s)<p class="said problem" role="alert">.*?<span>([^<]{1,200})`)

// tried is what came of a try in this browser, and what came back last.
func (b *browser) tried(p *drill.Play, name string, open bool, err error) drill.Try {
	t := p.Tried(name, open, err)
	t.Answer = b.answer
	return t
}

// said is an answer in the words of the protocol: the status, and where a redirect led. It
// leaves out the query, which may hold a code.
func said(r *http.Response) string {
	first := r
	for first.Request != nil && first.Request.Response != nil {
		first = first.Request.Response
	}
	if first == r {
		return fmt.Sprintf("%d %s", r.StatusCode, http.StatusText(r.StatusCode))
	}
	return fmt.Sprintf("%d to %s, %d there", first.StatusCode, r.Request.URL.Path, r.StatusCode)
}

func (b *browser) get(ctx context.Context, address string) error {
	return b.do(ctx, http.MethodGet, address, nil)
}

// saysField is the text under which a form stands that approves it.
var saysField = regexp.MustCompile(`name="says" value="([^"]*)"`)

var tokenField = regexp.MustCompile(`name="form-token" value="([^"]+)"`)

// errNoForm is how a page refuses that has nothing to fill in.
var errNoForm = errors.New("there is no form on the page")

// post sends a form of the page it is on, to Countersign.
func (b *browser) post(ctx context.Context, path string, fields ...string) error {
	m := tokenField.FindStringSubmatch(b.body)
	if m == nil {
		return fmt.Errorf("%w before %s", errNoForm, path)
	}
	values := url.Values{"form-token": {m[1]}}
	if m := saysField.FindStringSubmatch(b.body); m != nil {
		values.Set("says", html.UnescapeString(m[1]))
	}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	b.sent = append(b.sent, form{path, values})
	return b.do(ctx, http.MethodPost, b.server+path, values)
}

func (b *browser) says(text string) bool { return strings.Contains(html.UnescapeString(b.body), text) }

// typed begins to sign in with a password and, if asked for one, a code.
func (b *browser) typed(ctx context.Context, name, password, code string) error {
	return b.typedFrom(ctx, b.server+"/sign-in", name, password, code)
}

// typedFrom is typed where an address sends people to sign in.
func (b *browser) typedFrom(ctx context.Context, address, name, password, code string) error {
	if err := b.get(ctx, address); err != nil {
		return err
	}
	return b.types(ctx, name, password, code)
}

// types is typed on the sign-in page that the browser is at.
func (b *browser) types(ctx context.Context, name, password, code string) error {
	if err := b.post(ctx, "/sign-in", "name", name, "authenticator", "password", "text", password); err != nil {
		return err
	}
	if code == "" || !b.asks("hotp") {
		return nil
	}
	return b.post(ctx, "/sign-in", "authenticator", "hotp", "text", code)
}

func (b *browser) asks(kind string) bool {
	return strings.Contains(b.body, `name="authenticator" value="`+kind+`"`)
}

var passkeyForm = regexp.MustCompile(`data-passkey="([^"]*)"`)

// options are what the page asks a passkey for.
func (b *browser) options() ([]byte, error) {
	m := passkeyForm.FindStringSubmatch(b.body)
	if m == nil {
		return nil, fmt.Errorf("the page %s (%d, %s) asks for no passkey", b.at.Path, b.status, b.title())
	}
	return []byte(html.UnescapeString(m[1])), nil
}

var heading = regexp.MustCompile(`<h1>([^<]*)`)

func (b *browser) title() string {
	if m := heading.FindStringSubmatch(b.body); m != nil {
		return html.UnescapeString(m[1])
	}
	return "no heading"
}

// origin is what a browser says of the page that it is on.
func (b *browser) origin() string { return b.at.Scheme + "://" + b.at.Host }

// inside reports whether somebody is signed in to the portal. What came back before is kept
// in front of what the portal says.
func (b *browser) inside(ctx context.Context) (bool, error) {
	before := b.answer
	err := b.get(ctx, b.server+"/account")
	if before != "" {
		b.answer = before + "; then /account: " + b.answer
	}
	return err == nil && b.status == http.StatusOK && strings.HasPrefix(b.at.Path, "/account") && b.says("Sign out"), err
}

// enters is inside for what was typed, unless that went wrong.
func (b *browser) enters(ctx context.Context, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	return b.inside(ctx)
}

func (b *browser) added(what string) error {
	if !b.says("Added: ") {
		return fmt.Errorf("%s could not be enrolled", what)
	}
	return nil
}

// passkey signs in with a passkey, on the page that it is on.
func (b *browser) passkey(ctx context.Context, key *virtualauth.Key) error {
	options, err := b.options()
	if err != nil {
		return err
	}
	answer, err := key.Get(b.origin(), options)
	if err != nil {
		return err
	}
	return b.post(ctx, "/sign-in", "authenticator", "passkey", "data", string(answer))
}

// prove answers the sign-in pages with password and code until they are done.
func (b *browser) prove(ctx context.Context, c *drill.Canary) error {
	for range 3 {
		switch {
		case b.asks("password"):
			if err := b.post(ctx, "/sign-in", "authenticator", "password", "text", c.Password); err != nil {
				return err
			}
		case b.asks("hotp"):
			if err := b.post(ctx, "/sign-in", "authenticator", "hotp", "text", c.Code()); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}
