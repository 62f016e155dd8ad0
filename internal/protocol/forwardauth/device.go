package forwardauth

import (
	"net/http"

	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// The session of an application's host is bound to the device as ours is, by a key of its own,
// which the browser makes when it is given the cookie there. The proxies hand on what the browser
// sends under hostPath, so that nothing of them is set up otherwise.
const (
	bindPath    = hostPath + "bind"
	refreshPath = hostPath + "refresh"
	// waitPath is where a browser waits that has not bound its session yet.
	waitPath = hostPath + "wait"
)

// boundCookie is the bound cookie's name. It does not begin as the session's does, so that
// [quickCookie] finds each in one line.
func boundCookie(scheme string) string {
	if scheme == "https" {
		return "__Host-countersign-bound-app"
	}
	return "countersign-bound-app"
}

// reference is the session that a request brings to an application's host.
func (q question) reference(r *http.Request) string {
	secret := oneCookie(r, cookie(q.scheme))
	if secret == "" {
		return ""
	}
	return session.At(q.origin(), session.With(secret, oneCookie(r, boundCookie(q.scheme))))
}

// seat is the session of a reference at an application's host.
func (d *Guard) seat(r *http.Request, q question, reference string) protocol.Seat {
	return protocol.Seat{Reference: reference, Cookie: boundCookie(q.scheme), Bind: bindPath, Refresh: refreshPath, Agent: r.UserAgent(),
		Request: signin.Request{Application: q.at.app, Source: d.clients.Source(r), Protocol: Protocol}}
}

// bind runs on the application's host.
func (d *Guard) bind(w http.ResponseWriter, r *http.Request) {
	if q, ok := d.atHost(w, r); ok {
		d.devices.Bind(w, r, d.seat(r, q, q.reference(r)))
	}
}

// refresh runs on the application's host.
func (d *Guard) refresh(w http.ResponseWriter, r *http.Request) {
	if q, ok := d.atHost(w, r); ok {
		d.devices.Refresh(w, r, d.seat(r, q, q.reference(r)))
	}
}

func (d *Guard) atHost(w http.ResponseWriter, r *http.Request) (question, bool) {
	private(w)
	q, err := d.onHostAt(r, "/")
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusBadRequest) // no challenge comes with a 403
		return q, false
	}
	return q, true
}

// wait runs on the application's host, and goes on to where the browser was going.
func (d *Guard) wait(w http.ResponseWriter, r *http.Request) {
	private(w)
	q, err := d.onHost(r)
	if err != nil {
		http.Error(w, failure.Public(err), http.StatusForbidden)
		return
	}
	writeWait(w, q.raw)
}

// writeWait goes on to a target at the same host, or to the same page if it is empty.
func writeWait(w http.ResponseWriter, to string) {
	next := "1"
	if to != "" {
		next += ";url=" + to
	}
	w.Header().Set("Refresh", next)
	writePage(w, http.StatusOK, "One moment", `<p>Your browser binds your sign-in to this device, so that nobody who copies its cookies has it. This page goes on by itself.</p>`)
}
