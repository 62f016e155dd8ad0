package forwardauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// A session comes to an application's own host in three steps, so that the host
// may be of another domain than ours:
//
//	begin   on the host: the browser gets a random cookie there, and is sent on
//	        with the cookie's hash;
//	start   on our host: the session there is checked. If it is enough, a code is
//	        made that is good once, for a minute, for this host and this browser;
//	accept  on the host: code and random cookie become the host's own session.
//
// The code passes through an address. Whoever reads it there has neither the
// random cookie nor, by then, a code that is still good. And nobody can sign
// somebody else in as themselves by sending them a code of their own.
const (
	beginPath  = "/.countersign/begin"
	acceptPath = "/.countersign/accept"
)

// cookie is the session's name on an application's own host.
func cookie(scheme string) string {
	if scheme == "https" {
		return "__Host-countersign-app"
	}
	return "countersign-app"
}

// wayCookie is the random cookie's. It lives as long as one may take to sign in.
func wayCookie(scheme string) string { return cookie(scheme) + "-way" }

const wayLife = 15 * 60 // seconds

// browser is the hash by which a random cookie is known.
func browser(way string) string {
	h := sha256.Sum256([]byte(way))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// whole reports whether a random value is one of ours: 256 bits.
func whole(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32
}

// private keeps what is in the address to this page.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}

// onHost understands a request that came through an application's proxy, and
// where in the application the browser is going.
func (d *Guard) onHost(r *http.Request) (question, error) {
	return d.onHostAt(r, r.URL.Query().Get("to"))
}

// onHostAt is onHost for a target that is known.
func (d *Guard) onHostAt(r *http.Request, target string) (question, error) {
	if !d.clients.FromProxy(r) {
		return question{}, errRefused
	}
	if !d.clients.Source(r).IsValid() {
		return question{}, errNowhere
	}
	host := r.Host // Envoy's way; the others' Host is our own
	if len(r.Header.Values("X-Forwarded-Host")) > 0 {
		host = one(r, "X-Forwarded-Host")
	}
	return d.understand(r.Context(), asked{scheme: proto(r), host: host, target: target, method: http.MethodGet}, false)
}

// begin runs on the application's host.
func (d *Guard) begin(w http.ResponseWriter, r *http.Request) {
	private(w)
	q, err := d.onHost(r)
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	way := oneCookie(r, wayCookie(q.scheme))
	if !whole(way) { // else another tab is on its way already
		raw := make([]byte, 32)
		rand.Read(raw)
		way = base64.RawURLEncoding.EncodeToString(raw)
	}
	http.SetCookie(w, &http.Cookie{Name: wayCookie(q.scheme), Value: way, Path: "/", MaxAge: wayLife, HttpOnly: true, Secure: q.scheme == "https", SameSite: http.SameSiteLaxMode})
	to := d.publicURL.JoinPath("forward/start")
	to.RawQuery = url.Values{"to": {q.origin() + q.raw}, "browser": {browser(way)}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// start runs on our own host.
func (d *Guard) start(w http.ResponseWriter, r *http.Request) {
	private(w)
	a := asked{method: http.MethodGet}
	a.scheme, a.host, a.target = splitURL(r.URL.Query().Get("to"))
	q, err := d.understand(r.Context(), a, false)
	by := r.URL.Query().Get("browser")
	if err != nil || !whole(by) {
		http.Error(w, "That address is not one that can be gone back to.", http.StatusBadRequest)
		return
	}
	secret := protocol.Held(r, d.publicURL)
	step, err := d.check(r.Context(), q, secret, d.clients.Source(r))
	switch {
	case err != nil:
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
	case step.State == signin.Granted:
		d.handOver(w, r, q, session.Handover{Host: q.origin(), Browser: by})
	case step.State == signin.Ask:
		d.askFor(w, r, q)
	case step.State == signin.Wait:
		writeWait(w, "")
	default:
		http.Error(w, q.refusal(step), http.StatusForbidden)
	}
}

func (d *Guard) handOver(w http.ResponseWriter, r *http.Request, q question, h session.Handover) {
	code, err := d.handovers.Derive(r.Context(), protocol.Held(r, d.publicURL), h)
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	http.Redirect(w, r, q.origin()+acceptPath+"?"+url.Values{"code": {code}, "to": {q.raw}}.Encode(), http.StatusSeeOther)
}

// askFor sends the browser to sign in, or to show more, and back to start: by an
// absolute address, which is left for from a page and not from a posted form,
// since browsers would not follow a form on to the application's host.
func (d *Guard) askFor(w http.ResponseWriter, r *http.Request, q question) {
	code, err := d.way(r.Context(), q, r.URL.Query().Get("browser"))
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, "/sign-in?errand="+url.QueryEscape(code), http.StatusSeeOther)
}

// way is the continuation of signing in to where a browser goes, or as near to it as can be
// carried: what is too long is left out, and then asked for by itself.
func (d *Guard) way(ctx context.Context, q question, browser string) (string, error) {
	path, _, _ := strings.Cut(q.raw, "?")
	for _, target := range []string{q.raw, path, "/"} {
		near, err := d.understand(ctx, asked{scheme: q.scheme, host: q.host, target: target, method: q.method}, q.overridden && target == q.raw)
		if err != nil {
			return "", err
		}
		back := d.publicURL.JoinPath("forward/start")
		back.RawQuery = url.Values{"to": {near.origin() + near.raw}, "browser": {browser}}.Encode()
		code, err := d.continuations.Send(session.Continuation{Application: near.at.app, Action: near.action, Protocol: Protocol, Method: near.forPolicy(), Path: near.pathForPolicy(), Return: back.String()})
		if !errors.Is(err, session.ErrLongWay) {
			return code, err
		}
	}
	return "", session.ErrLongWay
}

// accept runs on the application's host.
func (d *Guard) accept(w http.ResponseWriter, r *http.Request) {
	private(w)
	q, err := d.onHost(r)
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	way := oneCookie(r, wayCookie(q.scheme))
	if !whole(way) { // the hash of nothing is a hash, too
		http.Error(w, "This is not the browser that asked. Go back to the application and try again.", http.StatusForbidden)
		return
	}
	h := session.Handover{Host: q.origin(), Browser: browser(way)}
	secret, err := d.handovers.Accept(r.Context(), r.URL.Query().Get("code"), h, session.Visit{Application: q.at.app, Source: d.clients.Source(r).String(), Agent: r.UserAgent()})
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	if err := d.devices.Offer(w, r, d.seat(r, q, session.At(q.origin(), secret))); err != nil {
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookie(q.scheme), Value: secret, Path: "/", HttpOnly: true, Secure: q.scheme == "https", SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, q.raw, http.StatusSeeOther)
}
