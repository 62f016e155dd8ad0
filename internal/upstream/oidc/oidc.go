// Package oidc has people sign in at another organisation's OpenID provider.
//
// It owns what a relying party does: discovery, the request with PKCE, state and nonce, the code's
// redemption, and the checks of an ID token (OpenID Connect Core, section 3.1.3.7; RFC 9700). It
// keeps nothing but what it fetched a moment ago, and knows no account. Its neighbours are
// upstream/fetch and upstream, which binds each request to a browser. Its one invariant: what it
// returns of a person stood in an ID token that this provider signed for us, for this very
// request; neither userinfo nor anything in an address is believed.
package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // case-sensitive, and refuses a name that is there twice

	"countersign/internal/upstream/fetch"
	"countersign/internal/upstream/said"
)

// Provider is an OpenID provider, as an administrator registered it.
type Provider struct {
	// Version names the settings: what was fetched under others is fetched anew.
	Version        string
	Issuer         string
	Client, Secret string
	Algorithms     []string
	Inside         []string
	Authority      string
}

// Possible are the algorithms of ID tokens that can be taken. Those with a shared secret, and
// none at all, are not among them.
func Possible() []string {
	return []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
}

// Usual are those that are taken unless an administrator says others.
func Usual() []string { return []string{"ES256", "PS256", "RS256"} }

// OnThisMachine reports whether an address is on this machine, where plain http is read by nobody else.
func OnThisMachine(u *url.URL) bool {
	host := u.Hostname()
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func refuse(reason, format string, args ...any) error {
	return &said.Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Unavailable is a provider that cannot be asked now, or does not say what it must.
type Unavailable struct{ Says string }

func (u *Unavailable) Error() string { return "upstream: " + u.Says }

func unavailable(format string, args ...any) error { return &Unavailable{fmt.Sprintf(format, args...)} }

// Discovery is what a provider says of itself (OpenID Connect Discovery, section 3).
type Discovery struct {
	Issuer         string   `json:"issuer"`
	Authorization  string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	Keys           string   `json:"jwks_uri"`
	Algorithms     []string `json:"id_token_signing_alg_values_supported"`
	Authentication []string `json:"token_endpoint_auth_methods_supported"`
	Challenges     []string `json:"code_challenge_methods_supported"`
	Classes        []string `json:"acr_values_supported"`
	// Named says that it sends iss beside each code (RFC 9207).
	Named bool `json:"authorization_response_iss_parameter_supported"`
}

// Clients ask providers. It is safe for concurrent use.
type Clients struct {
	now    func() time.Time
	mu     sync.Mutex
	heard  map[string]*heard
	asking chan struct{}
}

// heard is what was fetched of one provider.
type heard struct {
	discovery   Discovery
	discovered  time.Time
	keys        []jose.JSONWebKey
	keysFetched time.Time
}

const (
	// fresh is for how long what was fetched is used, and soonest how soon keys are fetched again because
	// a token names one that is not there.
	fresh, soonest = 10 * time.Minute, 10 * time.Second
	// mostHeard bounds what is remembered, and mostAsking how many wait for providers at once.
	mostHeard, mostAsking = 64, 32
)

// New makes Clients.
func New(now func() time.Time) *Clients {
	return &Clients{now: now, heard: map[string]*heard{}, asking: make(chan struct{}, mostAsking)}
}

// enter takes a place among those who ask.
func (c *Clients) enter() (leave func(), err error) {
	select {
	case c.asking <- struct{}{}:
		return func() { <-c.asking }, nil
	default:
		return nil, unavailable("too many wait for it")
	}
}

// of is what was heard of a provider; never nil.
func (c *Clients) of(p Provider) heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.heard[p.Version]; h != nil {
		return *h
	}
	return heard{}
}

func (c *Clients) keep(p Provider, h heard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.heard) >= mostHeard {
		clear(c.heard)
	}
	c.heard[p.Version] = &h
}

// Discover returns what a provider says of itself, from the last minutes.
func (c *Clients) Discover(ctx context.Context, p Provider) (Discovery, error) {
	h := c.of(p)
	if now := c.now(); h.discovered.IsZero() || now.Sub(h.discovered) >= fresh || now.Before(h.discovered) {
		d, err := discover(ctx, p)
		if err != nil {
			return d, err
		}
		h.discovery, h.discovered = d, now
		c.keep(p, h)
	}
	return h.discovery, nil
}

func discover(ctx context.Context, p Provider) (d Discovery, err error) {
	if err := fetched(ctx, p, strings.TrimSuffix(p.Issuer, "/")+"/.well-known/openid-configuration", &d); err != nil {
		return d, err
	}
	if d.Issuer != p.Issuer {
		return d, unavailable("the issuer in its discovery document is another one than %s", p.Issuer)
	}
	issuer, err := url.Parse(p.Issuer)
	if err != nil {
		return d, unavailable("its issuer cannot be read")
	}
	for what, s := range map[string]string{"authorization_endpoint": d.Authorization, "token_endpoint": d.Token, "jwks_uri": d.Keys} {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && issuer.Scheme == "http" && OnThisMachine(u)) {
			return d, unavailable("its %s is no https address", what)
		}
	}
	return d, nil
}

// fetched reads a JSON document of a provider.
func fetched(ctx context.Context, p Provider, at string, into any) error {
	client, err := fetch.New(p.Inside, p.Authority)
	if err != nil {
		return err
	}
	answer, err := client.Get(ctx, at)
	switch {
	case err != nil:
		return unavailable("%s", err)
	case answer.Status != http.StatusOK:
		return unavailable("it answered %d where it describes itself", answer.Status)
	case json.Unmarshal(answer.Body, into) != nil:
		return unavailable("what it says of itself is no JSON that can be read in one way")
	}
	return nil
}

// Visit is one browser's visit to a provider.
type Visit struct {
	// Redirect is where it comes back to, which no other provider has.
	Redirect               string
	State, Nonce, Verifier string
	// Hint is the name that was typed; it may be empty.
	Hint string
	// Classes are asked for by acr_values, and demanded where Essential.
	Classes   []string
	Essential bool
	// MaxAge is how long ago, at most, the person may have signed in there.
	MaxAge time.Duration
}

// Begin returns the address that a visit begins at.
func (c *Clients) Begin(ctx context.Context, p Provider, v Visit) (string, error) {
	leave, err := c.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	d, err := c.Discover(ctx, p)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(d.Authorization)
	if err != nil {
		return "", unavailable("its authorization_endpoint cannot be read")
	}
	q := u.Query()
	for key, value := range map[string]string{"response_type": "code", "client_id": p.Client, "redirect_uri": v.Redirect, "scope": "openid email",
		"state": v.State, "nonce": v.Nonce, "code_challenge": challengeOf(v.Verifier), "code_challenge_method": "S256",
		"max_age": strconv.Itoa(int(v.MaxAge / time.Second))} {
		q.Set(key, value)
	}
	if v.Hint != "" {
		q.Set("login_hint", v.Hint)
	}
	if len(v.Classes) > 0 && !v.Essential {
		q.Set("acr_values", strings.Join(v.Classes, " "))
	}
	if len(v.Classes) > 0 && v.Essential {
		claims, err := json.Marshal(map[string]any{"id_token": map[string]any{"acr": map[string]any{"essential": true, "values": v.Classes}}})
		if err != nil {
			return "", err
		}
		q.Set("claims", string(claims))
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// challengeOf is the code challenge of a verifier by S256 (RFC 7636 section 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// answered reads the parameters of what came back, of which each may be there once.
func answered(q url.Values, d Discovery) (code string, err error) {
	for _, name := range []string{"code", "state", "iss", "error"} {
		if len(q[name]) > 1 {
			return "", refuse("malformed", "%s came twice", name)
		}
	}
	iss := q.Get("iss")
	switch {
	case iss != "" && iss != d.Issuer: // RFC 9207 section 2.4
		return "", refuse("mixed-up", "the answer is another issuer's")
	case iss == "" && d.Named:
		return "", refuse("mixed-up", "the answer does not say whose it is, and this provider always says so")
	case q.Get("error") != "":
		return "", refuse("upstream-refused", "it answered %s", word(q.Get("error")))
	case q.Get("code") == "":
		return "", refuse("malformed", "the answer has no code")
	}
	return q.Get("code"), nil
}

// word is an error code as RFC 6749 has it, and nothing longer.
func word(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && (r < '0' || r > '9') }) {
		return "something else than an error code"
	}
	return s
}

// Finish redeems what came back of a visit, and returns whom the provider says it is: a
// *said.Refusal or an *Unavailable otherwise.
func (c *Clients) Finish(ctx context.Context, p Provider, v Visit, q url.Values) (Person, error) {
	leave, err := c.enter()
	if err != nil {
		return Person{}, err
	}
	defer leave()
	d, err := c.Discover(ctx, p)
	if err != nil {
		return Person{}, err
	}
	code, err := answered(q, d)
	if err != nil {
		return Person{}, err
	}
	token, err := redeem(ctx, p, d, v, code)
	if err != nil {
		return Person{}, err
	}
	return c.verify(ctx, p, d, v, token)
}

// redeem exchanges a code for an ID token. The access token that comes with it is not used.
func redeem(ctx context.Context, p Provider, d Discovery, v Visit, code string) (string, error) {
	client, err := fetch.New(p.Inside, p.Authority)
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {v.Redirect}, "code_verifier": {v.Verifier}}
	name, password := p.Client, p.Secret
	if len(d.Authentication) > 0 && !slices.Contains(d.Authentication, "client_secret_basic") && slices.Contains(d.Authentication, "client_secret_post") {
		form.Set("client_id", name)
		form.Set("client_secret", password)
		name, password = "", ""
	}
	answer, err := client.Post(ctx, d.Token, form, name, password)
	if err != nil {
		return "", unavailable("%s", err)
	}
	var got struct {
		Token string `json:"id_token"`
		Error string `json:"error"`
	}
	if json.Unmarshal(answer.Body, &got) != nil {
		return "", unavailable("its token endpoint answered %d, and no JSON", answer.Status)
	}
	switch {
	case answer.Status != http.StatusOK && got.Error == "invalid_client":
		return "", unavailable("it does not take our client secret")
	case answer.Status != http.StatusOK:
		return "", refuse("code-refused", "its token endpoint answered %d, %s", answer.Status, word(got.Error))
	case got.Token == "":
		return "", refuse("malformed", "there is no ID token")
	}
	return got.Token, nil
}
