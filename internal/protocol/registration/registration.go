// Package registration lets programs register OAuth clients (RFC 7591, RFC 7592).
//
// It owns the wire: client metadata, its errors, and registration access tokens. It has no rule of
// its own and writes nothing itself: each change is a command of admin about applications, approved
// by the automation key that the request comes with and that names the action, and in the audit log as
// the same command of anybody else. Nobody registers without a key. Nothing that metadata names is ever
// fetched. Its neighbours are the admin API, which does the same commands, and protocol/oidc, whose
// settings it writes. Its one invariant: nothing is read or changed for a request that the engine has
// not granted, and none but the applications that were registered here.
package registration

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign/internal/admin"
	applications "countersign/internal/admin/application"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/ticket"
)

// Root is where clients are registered.
const Root = "/oidc/register"

const (
	// keyKind is the authenticator that a key is checked by.
	keyKind = "apikey"
	// protocol is that of the applications.
	protocol = "oidc"
	// prefix begins the names of the applications that are registered here: no other is touched.
	prefix = "dcr-"
	// tokenKind is what registration access tokens are sealed as, and tokenLife how long one is good
	// at most: no key that is in one lives longer.
	tokenKind, tokenLife = "oidc-registration", 366 * 24 * time.Hour
	// most is the greatest body, in bytes, and mostAtOnce how many requests are served at once.
	most, mostAtOnce = 64 << 10, 16
)

// Parts are what the server works on.
type Parts struct {
	Engine  *signin.Engine
	Admin   *admin.Admin
	Tickets *ticket.Tickets
	// Channel is the word of policy and of the audit log for a request to the API, of which this is
	// another form.
	Channel string
	// Source is the address that a request comes from.
	Source    func(*http.Request) netip.Addr
	PublicURL *url.URL
	Now       func() time.Time
	Log       *slog.Logger
}

// Server serves registration.
type Server struct {
	engine  *signin.Engine
	admin   *admin.Admin
	tickets *ticket.Tickets
	channel string
	source  func(*http.Request) netip.Addr
	base    string
	now     func() time.Time
	log     *slog.Logger
	places  chan struct{}
}

// New prepares a Server.
func New(p Parts) *Server {
	return &Server{engine: p.Engine, admin: p.Admin, tickets: p.Tickets, channel: p.Channel, source: p.Source, base: p.PublicURL.JoinPath(Root).String(), now: p.Now, log: p.Log,
		places: make(chan struct{}, mostAtOnce)}
}

// Handle mounts the addresses.
func (s *Server) Handle(mux *http.ServeMux) {
	mux.Handle("POST "+Root, s.serve(s.create))
	mux.Handle("GET "+Root+"/{id}", s.serve(s.get))
	mux.Handle("PUT "+Root+"/{id}", s.serve(s.put))
	mux.Handle("DELETE "+Root+"/{id}", s.serve(s.remove))
}

// fault is an error as RFC 7591 section 3.2.2 writes one, or RFC 6750 section 3.1 for the key.
type fault struct {
	status int
	code   string
	says   string
}

func (f *fault) Error() string { return f.code + ": " + f.says }

func badMetadata(says string) *fault {
	return &fault{http.StatusBadRequest, "invalid_client_metadata", says}
}

var (
	noKey = &fault{http.StatusUnauthorized, "invalid_token", "Come with an automation key (Authorization: Bearer cskey_...), or with the registration access token of this client."}
	busy  = &fault{http.StatusTooManyRequests, "temporarily_unavailable", "Too many requests at once. Try again in a moment."}
)

// faultOf is what a client is told of an error.
func faultOf(err error) *fault {
	if f, ok := err.(*fault); ok { //nolint:errorlint // none of ours is wrapped
		return f
	}
	says := failure.Public(err)
	switch failure.ClassOf(err) {
	case failure.Invalid:
		if strings.HasPrefix(says, "The redirect URI") || strings.HasPrefix(says, "Name at least one redirect URI") {
			return &fault{http.StatusBadRequest, "invalid_redirect_uri", says}
		}
		return badMetadata(says)
	case failure.NotFound:
		return noKey // a client that is gone has no tokens (RFC 7592 section 2.1)
	case failure.Conflict:
		return &fault{http.StatusConflict, "invalid_client_metadata", says}
	case failure.Refused:
		return &fault{http.StatusForbidden, "insufficient_scope", says}
	case failure.Unavailable:
		return &fault{http.StatusServiceUnavailable, "temporarily_unavailable", says}
	}
	return &fault{http.StatusInternalServerError, "server_error", "The request failed."}
}

// serve bounds a request and answers it.
func (s *Server) serve(do func(r *http.Request) (status int, answer any, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, most)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			s.fail(w, r, busy)
			return
		}
		status, answer, err := do(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		write(w, status, answer)
	})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	if f.status >= 500 {
		s.log.Error("a registration failed", "method", r.Method, "error", err)
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="countersign", error="`+f.code+`"`)
	}
	write(w, f.status, map[string]string{"error": f.code, "error_description": f.says})
}

func write(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) //nolint:errcheck // the client went away
}

// pass is what a registration access token holds: the key under which the client was registered,
// sealed, so that what ends the key ends it, and the one client that it is for.
type pass struct{ Key, Client string }

// keyOf is the automation key that a request comes with: in its header, or in the registration access
// token of this client. Empty is none.
func (s *Server) keyOf(r *http.Request, client string) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case len(r.Header.Values("Authorization")) != 1 || !strings.EqualFold(scheme, "Bearer"):
		return ""
	case strings.HasPrefix(secret, "cskey_"):
		return secret
	case client == "":
		return ""
	}
	var p pass
	plain, err := s.tickets.OpenSealed(tokenKind, secret)
	if err != nil || json.Unmarshal(plain, &p) != nil || p.Client != client {
		return ""
	}
	return p.Key
}

// strangers are the reasons of refusals of which nobody learns more.
var strangers = map[string]bool{"no-keys": true, "malformed": true, "unknown-key": true, "wrong": true, "expired": true, "not-a-service": true, "disabled": true, "revoked": true, "lost": true}

// done does a command under the key of a request.
func (s *Server) done(r *http.Request, key string, c admin.Command) (any, error) {
	if key == "" {
		return nil, noKey
	}
	ctx := r.Context()
	if err := s.admin.Prepare(ctx, c); err != nil {
		return nil, err
	}
	step, err := s.engine.CheckKey(ctx, signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Source: s.source(r), Protocol: s.channel}, keyKind, key)
	switch {
	case err != nil:
		return nil, err
	case step.State != signin.Granted && strangers[step.Reason]:
		return nil, noKey
	case step.State != signin.Granted && step.Reason == "other-action":
		return nil, failure.Refuse(step.Reason, "The automation key was not issued for "+c.Action()+"; issue one that names it.")
	case step.State != signin.Granted:
		return nil, failure.Refuse(step.Reason, step.Public)
	}
	return s.admin.Do(context.WithoutCancel(ctx), step.Grant, c)
}

// read reads client metadata.
func read(r *http.Request) (metadata, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, badMetadata("Send JSON, with Content-Type: application/json.")
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badMetadata("The metadata cannot be read, or is longer than 64 KiB.")
	}
	var m metadata
	if json.Unmarshal(b, &m) != nil || m == nil {
		return nil, badMetadata("The metadata is not a JSON object.")
	}
	return m, nil
}

// create registers a client (RFC 7591 section 3).
func (s *Server) create(r *http.Request) (int, any, error) {
	key := s.keyOf(r, "")
	if key == "" {
		return 0, nil, noKey // before anything is read for a stranger
	}
	m, err := read(r)
	if err != nil {
		return 0, nil, err
	}
	name := prefix + strings.ToLower(rand.Text()[:20])
	settings, secret, err := m.settings(nil, name)
	if err != nil {
		return 0, nil, err
	}
	if err := s.save(r, key, settings, &applications.Set{Name: name, Title: m.title(name), Kind: "other"}); err != nil {
		return 0, nil, err
	}
	answer := told(settings, m.title(name))
	if secret != "" {
		answer["client_secret"], answer["client_secret_expires_at"] = secret, 0
	}
	answer["client_id_issued_at"] = s.now().Unix()
	return http.StatusCreated, s.withToken(answer, key, name), nil
}

// save has an application be saved with settings.
func (s *Server) save(r *http.Request, key string, settings map[string]any, c *applications.Set) error {
	raw, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	c.Protocol, c.Settings = protocol, raw
	_, err = s.done(r, key, c)
	return err
}

// withToken adds where the client is managed, and by what (RFC 7592 section 3).
func (s *Server) withToken(answer map[string]any, key, name string) map[string]any {
	plain, err := json.Marshal(pass{key, name})
	if err != nil {
		return answer
	}
	if token, fits := s.tickets.Sealed(ticket.Spec{Kind: tokenKind, Payload: plain, Lifetime: tokenLife}); fits {
		answer["registration_access_token"], answer["registration_client_uri"] = token, s.base+"/"+url.PathEscape(name)
	}
	return answer
}

// registered is a client as it is, with its secrets hidden.
type registered struct {
	key      string
	shown    applications.Shown
	settings map[string]any
}

// find finds the client of a request, by its key and no other.
func (s *Server) find(r *http.Request) (registered, error) {
	name := r.PathValue("id")
	key := s.keyOf(r, name)
	if key == "" || !strings.HasPrefix(name, prefix) {
		return registered{}, noKey
	}
	answer, err := s.done(r, key, &applications.Show{Name: name})
	if err != nil {
		return registered{}, err
	}
	out := registered{key: key}
	var ok bool
	if out.shown, ok = answer.(applications.Shown); !ok || out.shown.Protocol != protocol {
		return registered{}, noKey
	}
	err = json.Unmarshal(out.shown.Settings, &out.settings)
	return out, err
}

// get reads a client (RFC 7592 section 2.1). Its secret is not shown again.
func (s *Server) get(r *http.Request) (int, any, error) {
	c, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, s.withToken(told(c.settings, c.shown.Title), c.key, c.shown.Name), nil
}

// put replaces the metadata of a client (RFC 7592 section 2.2). What administrators set and no
// metadata says stays.
func (s *Server) put(r *http.Request) (int, any, error) {
	c, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	m, err := read(r)
	if err != nil {
		return 0, nil, err
	}
	if m.text("client_id") != c.shown.Name {
		return 0, nil, badMetadata("client_id must be that of the client.")
	}
	for _, name := range []string{"client_secret", "registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		if _, there := m[name]; there {
			return 0, nil, badMetadata("Leave " + name + " out: it is not the client's to set.")
		}
	}
	settings, secret, err := m.settings(c.settings, c.shown.Name)
	if err != nil {
		return 0, nil, err
	}
	set := &applications.Set{Name: c.shown.Name, Title: m.title(c.shown.Name), Kind: c.shown.Kind, Tier: c.shown.Tier, Vouches: c.shown.Vouches, Base: c.shown.Version}
	if err := s.save(r, c.key, settings, set); err != nil {
		return 0, nil, err
	}
	answer := told(settings, set.Title)
	if secret != "" {
		answer["client_secret"], answer["client_secret_expires_at"] = secret, 0
	}
	return http.StatusOK, s.withToken(answer, c.key, c.shown.Name), nil
}

// remove removes a client (RFC 7592 section 2.3).
func (s *Server) remove(r *http.Request) (int, any, error) {
	c, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	if _, err := s.done(r, c.key, &applications.Remove{Name: c.shown.Name}); err != nil {
		return 0, nil, err
	}
	return http.StatusNoContent, nil, nil
}
