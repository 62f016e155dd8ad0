// Package openid enters and attacks applications by OpenID Connect, as an application of the
// drill's own meets the provider.
//
// It owns a client of the protocol, written from its texts and from nothing of the server's, so
// that it would notice a mistake there. People and attackers come in browsers of package web. What
// the attacks are for, and what their results prove, is the drill's. Invariant: a try is open only
// if the client was given a code, or a token that is good, and not because nothing was answered.
package openid

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign/internal/drill"
	"countersign/internal/drill/web"
)

// Client is an application by OpenID Connect, as whoever has its settings plays it.
type Client struct {
	// Application is its name, and Server the provider.
	Application string
	Server      web.Server
	// ID and Secret are what it shows at the token endpoint; a client on people's own machines
	// has no secret. Redirect is where browsers are sent back.
	ID, Secret, Redirect string
	// Scope is what it asks for; openid where it is empty.
	Scope string
	// Code says that people reach repositories of code by it, Mail that they read mail by it.
	Code, Mail bool
	// Held are ways in which its tokens must be bound to a key: "dpop" or "dpop-nonce"; empty
	// where they need not.
	Held string
}

// Tokens are what a client was given.
type Tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`
}

// begun is a request of the client's, and what it must show for the code.
type begun struct {
	address, state, verifier string
}

// begin makes a request for a sign-in (RFC 6749 section 4.1.1, with PKCE, RFC 7636). More are
// parameters besides.
func (c Client) begin(more ...string) begun {
	b := begun{state: rand.Text(), verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(b.verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.Redirect}, "scope": {cmp.Or(c.Scope, "openid")}, "state": {b.state}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	b.address = string(c.Server) + "/oidc/authorize?" + q.Encode()
	return b
}

// code is the code of an answer that belongs to the request; empty for none.
func (b begun) code(came url.Values) string {
	if came.Get("state") != b.state {
		return ""
	}
	return came.Get("code")
}

// signedIn has the account's owner sign in with the passkey, and returns the code and the browser.
func (c Client) signedIn(ctx context.Context, p *drill.Play, owner *drill.Canary) (begun, string, *web.Visitor, error) {
	b, v := c.begin(), c.Server.Visitor(p, c.Redirect, true)
	err := v.Goes(ctx, b.address)
	if err == nil {
		err = v.Shows(ctx, owner)
	}
	code := b.code(v.Came())
	if err == nil && code == "" {
		err = fmt.Errorf("%s is given no code: %s %s", c.Application, v.Came().Get("error"), v.Answer())
	}
	return b, code, v, err
}

// Signs has the account's owner sign in, and returns the tokens.
func (c Client) Signs(ctx context.Context, p *drill.Play, owner *drill.Canary) (Tokens, error) {
	t, _, err := c.signs(ctx, p, owner)
	return t, err
}

func (c Client) signs(ctx context.Context, p *drill.Play, owner *drill.Canary) (Tokens, *web.Visitor, error) {
	b, code, v, err := c.signedIn(ctx, p, owner)
	if err != nil {
		return Tokens{}, v, err
	}
	k, err := c.holder()
	if err != nil {
		return Tokens{}, v, err
	}
	got, said, err := c.redeems(ctx, p, true, c.form(code, b.verifier), k)
	if err == nil && got.Access == "" {
		err = fmt.Errorf("%s is given no token for its code: %s", c.Application, said)
	}
	return got, v, err
}

// SignsIn is Signs, and returns the browser as well, in which the owner has a session.
func (c Client) SignsIn(ctx context.Context, p *drill.Play, owner *drill.Canary) (Tokens, *web.Visitor, error) {
	return c.signs(ctx, p, owner)
}

// Guesses has an attacker sign in with what is typed, and returns the tokens; none where the
// client was given no code.
func (c Client) Guesses(ctx context.Context, p *drill.Play, name, password, code string) (Tokens, string, error) {
	b, v := c.begin(), c.Server.Visitor(p, c.Redirect, false)
	err := v.Goes(ctx, b.address)
	if err == nil {
		err = v.Types(ctx, name, password, code)
	}
	got := b.code(v.Came())
	if err != nil || got == "" {
		return Tokens{}, v.Answer(), err
	}
	k, err := c.holder()
	if err != nil {
		return Tokens{}, v.Answer(), err
	}
	return c.redeems(ctx, p, false, c.form(got, b.verifier), k)
}

// form is what the client sends for a code.
func (c Client) form(code, verifier string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Redirect}, "code_verifier": {verifier}}
}

// redeems sends a form to the token endpoint as this client, with a proof of its key where it has
// one, and returns what it is given and what came back, in words.
func (c Client) redeems(ctx context.Context, p *drill.Play, owner bool, form url.Values, k *key) (got Tokens, said string, err error) {
	for range 2 { // a server may want its nonce in the proof (RFC 9449 section 8)
		var r answer
		headers := c.shows(form)
		if k != nil {
			if err := k.proves(headers, http.MethodPost, string(c.Server)+tokenPath, ""); err != nil {
				return got, "", err
			}
		}
		if r, err = ask(ctx, p, owner, http.MethodPost, string(c.Server)+tokenPath, form, headers); err != nil {
			return got, r.said, err
		}
		got = Tokens{}
		if err := json.Unmarshal(r.body, &got); err != nil {
			return got, r.said, errors.New("the token endpoint does not answer in JSON: " + r.said)
		}
		if said = r.said + word(got.Error); got.Error != "use_dpop_nonce" || k == nil {
			break
		}
		k.nonce = r.header.Get("DPoP-Nonce")
	}
	return got, said, nil
}

const tokenPath = "/oidc/token"

// shows adds how the client proves who it is.
func (c Client) shows(form url.Values) http.Header {
	h := http.Header{}
	if c.Secret == "" {
		form.Set("client_id", c.ID)
		return h
	}
	r := &http.Request{Header: h}
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret)) // RFC 6749 section 2.3.1
	return h
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
	said   string
}

// slow is how long whoever does what they should waits.
const slow = 90 * time.Second

// ask sends a request, from the attacker's address unless the owner's program sends it.
func ask(ctx context.Context, p *drill.Play, owner bool, method, address string, form url.Values, headers http.Header) (answer, error) {
	none := answer{said: "no answer"}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return none, err
	}
	for k, v := range headers {
		r.Header[k] = v
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := caller(p, owner).Do(r)
	if err != nil {
		return none, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(resp.Body, 1<<20)); err != nil {
		return none, err
	}
	return answer{resp.StatusCode, resp.Header, b.Bytes(), fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}, nil
}

// caller is a program that follows no redirect.
func caller(p *drill.Play, owner bool) *http.Client {
	d := &net.Dialer{}
	if !owner && p.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: p.From.AsSlice()}
	}
	wait := slow
	if p.Down {
		wait = p.Patience
	}
	return &http.Client{Timeout: wait, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func word(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}
