// Package entra answers Microsoft Entra ID, which asks for the second factor of people who signed
// in there: Countersign is its external MFA provider.
//
// It follows Microsoft's "external method provider reference", an implicit flow of OpenID Connect
// with an id_token_hint and form_post. It owns the addresses below /entra/: for each application a
// discovery document, its keys and the endpoint where browsers come. It reads requests, asks the
// engine for the account that is linked to whom the hint means, and signs the answer. It decides
// nothing and keeps no link. Its neighbours are linked (who stands for whom), signin, session,
// jws and signingkey. Its one invariant: an answer says what the linked account itself showed us
// in the same browser that brought Microsoft's signed hint, and goes to the documented address of
// the tenant's cloud alone.
//
// Where things are: settings.go what an application says, discovery.go and certificate.go what is
// published, request.go how a request is read, hint.go and tenant.go how a hint is believed,
// answer.go what becomes of it, words.go the words of Entra for methods and classes, unserved.go
// what administrators hear of what was refused.
package entra

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"countersign/internal/jws"
	"countersign/internal/linked"
	"countersign/internal/oauth"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signingkey"
	"countersign/internal/ticket"
)

// provider answers the tenants.
type provider struct {
	engine        protocol.Engine
	continuations *session.Continuations
	sessions      *session.Sessions
	parties       *parties
	links         *linked.Links
	tickets       *ticket.Tickets
	once          *oauth.Grants
	signing       *signingkey.Keys
	signers       jws.Signers
	tenants       *tenants
	method        func(kind string) string
	pages         protocol.Pages
	public        *url.URL
	now           func() time.Time
	notes         *notes
}

// open makes what serves the protocol.
func open(p protocol.Parts) (protocol.Service, error) {
	n := &notes{p.Ears, p.Links, p.Clients, p.Log, p.Now}
	all := &parties{applications: p.Applications, now: p.Now}
	d := &provider{engine: p.Engine, continuations: p.Continuations, sessions: p.Sessions, parties: all, links: p.Links, tickets: p.Tickets, once: p.Grants,
		signing: p.Signing, tenants: newTenants(p.Abroad, p.Now), method: p.Method, pages: p.Pages, public: p.PublicURL, now: p.Now, notes: n}
	published := &documents{parties: all, signing: p.Signing, public: p.PublicURL, notes: n}
	return protocol.Service{Handle: func(mux *http.ServeMux) { published.handle(mux); d.handle(mux) }}, nil
}

// The addresses, below that of the application.
const (
	root          = "/entra/"
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
	authorizePath = "/authorize"
	continuePath  = "/continue"
)

func (d *documents) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET "+root+"{app}"+discoveryPath, d.metadata)
	mux.HandleFunc("GET "+root+"{app}"+keysPath, d.keys)
}

func (d *provider) handle(mux *http.ServeMux) {
	mux.HandleFunc("POST "+root+"{app}"+authorizePath, d.authorize)
	mux.HandleFunc("GET "+root+"{app}"+continuePath, d.goOn)
}

// issuer is what an application's answers are issued as: its discovery document is below it
// (OpenID Connect Discovery 1.0 section 4.1).
func issuer(public *url.URL, app string) string { return public.JoinPath(root, app).String() }

// party is an application that asks by this protocol, with its settings.
type party struct {
	app, title string
	number     int64
	Settings
}

func (p *party) called() string {
	if p.title == "" {
		return p.app
	}
	return p.title
}

func (p *party) links() linked.Party {
	return linked.Party{Application: p.app, Number: p.number, Provisioner: p.Provisioner}
}

// parties finds applications by their names. It is safe for concurrent use.
type parties struct {
	applications protocol.Applications
	now          func() time.Time
	cache        atomic.Pointer[known]
}

// known are the parties as they were read last.
type known struct {
	changed uint64
	made    time.Time
	byName  map[string]*party
}

// keep is how long they are used without asking the catalogue.
const keep = time.Second

// named is the party of an application's name; nil where there is none.
func (d *parties) named(ctx context.Context, app string) (*party, error) {
	changed, now := d.applications.Changed(), d.now()
	if k := d.cache.Load(); k != nil && k.changed == changed && now.Sub(k.made).Abs() < keep {
		return k.byName[app], nil
	}
	all, err := d.applications.ByProtocol(ctx, Protocol)
	if err != nil {
		return nil, err
	}
	k := &known{changed: changed, made: now, byName: map[string]*party{}}
	for _, a := range all {
		if s, err := parse(a.Settings); err == nil { // settings that cannot be read answer nobody
			k.byName[a.Name] = &party{app: a.Name, title: a.Title, number: a.ID, Settings: s}
		}
	}
	d.cache.Store(k)
	return k.byName[app], nil
}

// private keeps what a page holds to itself.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
