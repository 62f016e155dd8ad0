package forwardauth

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// Parts are what the door works with.
type Parts struct {
	Engine       *signin.Engine
	Sessions     *session.Sessions
	Applications *application.Catalogue
	// Proxies are the networks whose forwarded headers are believed.
	Proxies []netip.Prefix
	// PublicURL is where our own pages are.
	PublicURL *url.URL
}

// Door answers proxies.
type Door struct {
	Parts
	index atomic.Pointer[index]
}

type place struct {
	app      string
	settings Settings
}

type index struct {
	changed uint64
	hosts   map[string]place
}

// New makes a Door.
func New(p Parts) *Door { return &Door{Parts: p} }

// Handle mounts the door's addresses: those that proxies ask at, and those that
// a browser is sent to.
func (d *Door) Handle(mux *http.ServeMux) {
	mux.HandleFunc("/verify/nginx", d.nginx)
	mux.HandleFunc("/verify/haproxy", d.forwarded)
	mux.HandleFunc("/verify/caddy", d.forwarded)
	mux.HandleFunc("/verify/traefik", d.forwarded)
	mux.HandleFunc("GET /forward/start", d.start)
	mux.HandleFunc("GET /.countersign/accept", d.accept)
}

// asked is a proxy's question, whatever its dialect.
type asked struct {
	scheme, host, target, method string
	// redirects says that the proxy relays our redirect as it is.
	redirects bool
}

// nginx asks with the whole URL in one header, and takes 200, 401 and 403 only.
func (d *Door) nginx(w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(one(r, "X-Original-Url"))
	if err != nil || u.User != nil {
		http.Error(w, "Bad request.", http.StatusForbidden)
		return
	}
	target := strings.TrimPrefix(one(r, "X-Original-Url"), u.Scheme+"://"+u.Host)
	d.verify(w, r, asked{scheme: u.Scheme, host: u.Host, target: target, method: one(r, "X-Original-Method")})
}

// forwarded is how Caddy and Traefik ask, and our own script in HAProxy.
func (d *Door) forwarded(w http.ResponseWriter, r *http.Request) {
	d.verify(w, r, asked{scheme: one(r, "X-Forwarded-Proto"), host: one(r, "X-Forwarded-Host"), target: one(r, "X-Forwarded-Uri"),
		method: one(r, "X-Forwarded-Method"), redirects: true})
}

// one returns a header that was sent exactly once.
func one(r *http.Request, name string) string {
	if v := r.Header.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}

func (d *Door) trusted(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range d.Proxies {
		if p.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// Source returns where a browser is: the peer, or what a listed proxy says of
// it. Only the last entry of X-Forwarded-For is the listed proxy's own word.
func (d *Door) Source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	if d.trusted(r) {
		list := strings.Split(one(r, "X-Forwarded-For"), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			return a.Unmap()
		}
	}
	return peer.Addr().Unmap()
}

func (d *Door) find(ctx context.Context, host string) (place, bool, error) {
	changed := d.Applications.Changed()
	ix := d.index.Load()
	if ix == nil || ix.changed != changed {
		all, err := d.Applications.ByProtocol(ctx, Protocol)
		if err != nil {
			return place{}, false, err
		}
		ix = &index{changed: changed, hosts: map[string]place{}}
		for _, a := range all {
			s, err := parse(a.Settings)
			if err != nil {
				continue // settings that cannot be read open no host
			}
			for _, h := range s.Hosts {
				ix.hosts[h] = place{a.Name, s}
			}
		}
		d.index.Store(ix)
	}
	p, ok := ix.hosts[strings.ToLower(host)]
	return p, ok, nil
}

func (d *Door) verify(w http.ResponseWriter, r *http.Request, q asked) {
	w.Header().Set("Cache-Control", "no-store")
	path, ok := cleanPath(q.target)
	if !d.trusted(r) || !ok || q.method == "" || q.scheme != "http" && q.scheme != "https" {
		http.Error(w, "Refused.", http.StatusForbidden)
		return
	}
	at, known, err := d.find(r.Context(), q.host)
	if err != nil || !known {
		http.Error(w, "Refused.", http.StatusForbidden)
		return
	}
	reference := session.At(origin(q.scheme, q.host), oneCookie(r, cookie(q.scheme)))
	step, err := d.check(r, at, q.method, path, reference)
	switch {
	case err != nil:
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusForbidden)
	case step.State == signin.Granted:
		identify(w.Header(), step.Grant)
		w.WriteHeader(http.StatusOK)
	case step.State == signin.Ask:
		d.send(w, r, q, at)
	default:
		http.Error(w, step.Public, http.StatusForbidden)
	}
}

// check asks the engine about one request for an application.
func (d *Door) check(r *http.Request, at place, method, path, reference string) (signin.Step, error) {
	return d.Engine.Check(r.Context(), signin.Request{Application: at.app, Action: at.settings.action(method, path), Session: reference,
		Source: d.Source(r), Protocol: Protocol, Medium: prompt.Browser, Method: method, Path: path})
}

// origin is how a session names the host that it serves.
func origin(scheme, host string) string { return scheme + "://" + strings.ToLower(host) }

// oneCookie returns a cookie that was sent exactly once.
func oneCookie(r *http.Request, name string) string {
	if c := r.CookiesNamed(name); len(c) == 1 {
		return c[0].Value
	}
	return ""
}

// cookie is the session's name on an application's own host.
func cookie(scheme string) string {
	if scheme == "https" {
		return "__Host-countersign-app"
	}
	return "countersign-app"
}

// identify tells the application who it is. Values are percent-encoded where
// they are not plain, so that no name can be taken for another header.
func identify(h http.Header, g signin.Grant) {
	h.Set("Remote-User", plain(g.Name()))
	h.Set("Remote-Name", plain(g.Display()))
	h.Set("Remote-Email", plain(g.Mail()))
	h.Set("Remote-Groups", plain(strings.Join(g.Groups(), ",")))
}

func plain(s string) string {
	for _, r := range s {
		if r < 0x20 || r > 0x7e || r == '%' {
			return url.PathEscape(s)
		}
	}
	return s
}

// send answers who must sign in: a page goes there, anything else gets 401.
func (d *Door) send(w http.ResponseWriter, r *http.Request, q asked, at place) {
	to := d.PublicURL.JoinPath("forward/start")
	to.RawQuery = url.Values{"to": {q.scheme + "://" + q.host + q.target}, "method": {q.method}}.Encode()
	page := (q.method == http.MethodGet || q.method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
	if page {
		w.Header().Set("Location", to.String())
		if q.redirects {
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	w.Header().Set("WWW-Authenticate", `Countersign realm="`+at.app+`"`)
	http.Error(w, "Sign in first.", http.StatusUnauthorized)
}

// back reads where the browser wants to go: a URL of a known application, with
// one reading only.
func (d *Door) back(r *http.Request) (*url.URL, place, string, error) {
	bad := failure.New(failure.Invalid, "That address is not one that can be gone back to.")
	raw := r.URL.Query().Get("to")
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, place{}, "", bad
	}
	if d.PublicURL.Scheme == "https" && u.Scheme != "https" {
		return nil, place{}, "", bad
	}
	path, ok := cleanPath(strings.TrimPrefix(raw, u.Scheme+"://"+u.Host))
	at, known, err := d.find(r.Context(), u.Host)
	if err != nil {
		return nil, place{}, "", err
	}
	if !ok || !known {
		return nil, place{}, "", bad
	}
	return u, at, path, nil
}

// start runs on our own host: it checks the session there, and sends the
// browser on with a code, or to sign in.
func (d *Door) start(w http.ResponseWriter, r *http.Request) {
	u, at, path, err := d.back(r)
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusBadRequest)
		return
	}
	method := r.URL.Query().Get("method")
	secret := oneCookie(r, session.Cookie(d.PublicURL.Scheme == "https"))
	step, err := d.check(r, at, method, path, secret)
	if err != nil {
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
		return
	}
	switch step.State {
	case signin.Granted:
		code, err := d.Sessions.Derive(r.Context(), secret, origin(u.Scheme, u.Host))
		if err != nil {
			http.Error(w, failure.Public(err), http.StatusForbidden)
			return
		}
		on := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/.countersign/accept", RawQuery: url.Values{"code": {code}, "to": {u.RequestURI()}}.Encode()}
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, on.String(), http.StatusSeeOther)
	case signin.Ask:
		code, err := d.Sessions.Send(r.Context(), session.Errand{Application: at.app, Method: method, Path: path, Return: "/forward/start?" + r.URL.RawQuery})
		if err != nil {
			http.Error(w, failure.Public(err), http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, "/sign-in?errand="+url.QueryEscape(code), http.StatusSeeOther)
	default:
		http.Error(w, step.Public, http.StatusForbidden)
	}
}

// accept runs on the application's host, behind its proxy: it turns the code
// into the host's own cookie.
func (d *Door) accept(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	scheme, host, to := one(r, "X-Forwarded-Proto"), one(r, "X-Forwarded-Host"), r.URL.Query().Get("to")
	at, known, err := d.find(r.Context(), host)
	_, ok := cleanPath(to)
	if err != nil || !d.trusted(r) || !known || !ok {
		http.Error(w, "Refused.", http.StatusForbidden)
		return
	}
	secret, err := d.Sessions.Accept(r.Context(), r.URL.Query().Get("code"), origin(scheme, host), session.Visit{Application: at.app, Source: d.Source(r).String(), Agent: r.UserAgent()})
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookie(scheme), Value: secret, Path: "/", HttpOnly: true, Secure: scheme == "https", SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, to, http.StatusSeeOther)
}
