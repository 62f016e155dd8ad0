// Package oidc is the OpenID provider: applications send people here to sign in, and get a
// signed statement of who they are and how they showed it (OpenID Connect Core 1.0, OAuth 2.0).
//
// It owns the addresses under /oidc/ and the two documents under /.well-known/. It reads
// requests, asks the engine, and renders answers. It does not decide: the engine does, over the
// session in the browser, and again each time that a code or a refresh token comes back, over
// what the room oauth keeps. It holds no evidence and counts no factor. Its neighbours are
// signin, session (where a browser was going when it had to sign in), oauth (codes, tokens,
// what came of them) and signingkey. Its one invariant: a code or a token is issued for a Grant
// of the engine, to the client and the address that the grant was asked for, and nothing is
// sent to an address before client and address were found in the settings.
//
// Where things are: settings.go and redirect.go what an application says, client.go who asks,
// discovery.go and keys.go what is published, request.go how a request is read, par.go and jar.go
// how it comes otherwise, pending.go how it waits while somebody signs in, authorize.go what
// becomes of it, wish.go and classes.go what a client demands of evidence, hint.go and consent.go
// whom it means and what they are asked, respond.go how the browser is sent back, page.go our own
// pages, token.go the token endpoint, proof.go how clients prove who they are, statement.go what
// they sign, refresh.go refresh tokens, claims.go what is said of people, userinfo.go who asks for
// it with a token, introspect.go what resource servers are told of a token,
// apppassword.go what of an app password, revoke.go how clients
// give tokens back, dpop.go how clients show the key of a token, mtls.go how they show a
// certificate, dn.go how its name is compared, logout.go
// how they have somebody sign out, frontchannel.go and backchannel.go how they are told that a
// session is over, logoutsettings.go where, device.go how devices without a browser wait, kiosk.go
// where people let them in, unserved.go what administrators hear of what was refused.
package oidc

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign/internal/clientaddr"
	"countersign/internal/oauth"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/ticket"
)

// common is what all that is served here stands on.
type common struct {
	engine  protocol.Engine
	grants  *oauth.Grants
	clients *register
	notes   *notes
	addrs   *clientaddr.Reader
	public  *url.URL
	// mutual is where clients show certificates; nil for nowhere.
	mutual  *url.URL
	tickets *ticket.Tickets
	locales protocol.Locales
	now     func() time.Time
}

// Provider answers clients and the browsers that they send.
type Provider struct {
	common
	front      *front
	exit       *exit
	kiosk      *kiosk
	desk       *desk
	statements *statements
	herald     *herald
}

// front is where browsers come.
type front struct {
	common
	continuations *session.Continuations
	pages         protocol.Pages
	statements    *statements
	method        func(kind string) string
}

// desk is where clients come themselves.
type desk struct {
	common
	statements *statements
	devices    *oauth.Devices
	comings    *signin.Comings
}

// New makes a Provider.
func New(p protocol.Parts) *Provider {
	c := common{engine: p.Engine, grants: p.Grants, clients: &register{applications: p.Applications}, notes: &notes{p.Ears, p.Log, p.Now},
		addrs: p.Clients, public: p.PublicURL, mutual: p.Mutual, tickets: p.Tickets, locales: p.Locales, now: p.Now}
	says := &statements{issuer: c.issuer(), signing: p.Signing, method: p.Method, now: p.Now}
	f := &front{c, p.Continuations, p.Pages, says, p.Method}
	return &Provider{common: c, front: f, exit: &exit{f, p.Sessions, p.Endings}, kiosk: &kiosk{f, p.Waiting}, desk: &desk{c, says, p.Waiting, p.Comings}, statements: says, herald: newHerald(c, says)}
}

// KeysPath is where the keys are published by which everything is signed that is said of people.
const KeysPath = "/oidc/keys"

// The addresses.
const (
	discoveryPath = "/.well-known/openid-configuration"
	metadataPath  = "/.well-known/oauth-authorization-server" // RFC 8414
	keysPath      = KeysPath
	authorizePath = "/oidc/authorize"
	tokenPath     = "/oidc/token"
	userinfoPath  = "/oidc/userinfo"
)

// Handle mounts the addresses.
func (p *Provider) Handle(mux *http.ServeMux) {
	mux.HandleFunc("GET "+discoveryPath, p.metadata)
	mux.HandleFunc("GET "+metadataPath, p.metadata)
	mux.HandleFunc("GET "+keysPath, p.publish)
	mux.HandleFunc("GET "+authorizePath, p.front.authorize)
	mux.HandleFunc("POST "+authorizePath, p.front.authorizePosted)
	mux.HandleFunc("POST "+answerPath, p.front.answered)
	mux.HandleFunc("GET "+logoutPath, p.exit.logout)
	mux.HandleFunc("POST "+logoutPath, p.exit.logoutPosted)
	mux.HandleFunc("POST "+leavePath, p.exit.leaves)
	mux.HandleFunc("GET "+framesPath, p.exit.showFrames)
	mux.HandleFunc("GET "+kioskPath, p.kiosk.enter)
	mux.HandleFunc("POST "+kioskPath, p.kiosk.typed)
	mux.HandleFunc("GET "+confirmPath, p.kiosk.confirm)
	mux.HandleFunc("POST "+confirmPath, p.kiosk.answered)
	mux.HandleFunc("POST "+devicePath, p.desk.device)
	mux.HandleFunc("POST "+parPath, p.desk.push)
	mux.HandleFunc("POST "+tokenPath, p.desk.token)
	mux.HandleFunc("POST "+introspectPath, p.desk.introspect)
	mux.HandleFunc("POST "+revokePath, p.desk.revoke)
	mux.HandleFunc("POST "+appPasswordPath, p.desk.appPassword)
	mux.HandleFunc("GET "+userinfoPath, p.desk.userinfo)
	mux.HandleFunc("POST "+userinfoPath, p.desk.userinfo)
}

// issuer is the name of this provider (OpenID Connect Discovery 1.0 section 3): the address of
// our pages, without a slash at its end.
func (p common) issuer() string { return strings.TrimSuffix(p.public.String(), "/") }

func (p common) at(path string) string { return p.public.JoinPath(path).String() }

// addresses are all by which a client may call a path of ours: also that where it shows its
// certificate.
func (p common) addresses(path string) []string {
	if p.mutual == nil {
		return []string{p.at(path)}
	}
	return []string{p.at(path), p.mutual.JoinPath(path).String()}
}

// source is where the browser is.
func (p common) source(r *http.Request) netip.Addr { return p.addrs.Source(r) }

// secret is the session that the browser holds, or empty.
func (p *front) secret(r *http.Request) string { return protocol.Held(r, p.public) }
