package protocol

import (
	"context"
	"net/http"
	"strings"

	"countersign/internal/dbsc"
	"countersign/internal/failure"
	"countersign/internal/session"
	"countersign/internal/signin"
)

// Devices answers what browsers send by themselves to bind a session to their device, and to go
// on with it (W3C, Device Bound Session Credentials). It grants nothing: a session holds what it
// held, and only its own browser can use it.
type Devices struct {
	keys   *session.Devices
	copies *signin.Copies
}

// NewDevices makes Devices. Copies hear of cookies that came from another device.
func NewDevices(keys *session.Devices, copies *signin.Copies) Devices { return Devices{keys, copies} }

// Seat is the session that a request brings, and where on its host the answers are.
type Seat struct {
	// Reference is as [session.With] and [session.At] make it.
	Reference string
	// Cookie is the name of the bound cookie, and Bind and Refresh are the paths of the host.
	Cookie, Bind, Refresh string
	Request               signin.Request
	Agent                 string
}

// secure reports whether the host is one of https. Browsers bind sessions of no others.
func (s Seat) secure() bool { return strings.HasPrefix(s.Cookie, "__Host-") }

// Offer asks the browser to bind the session that it is given in this answer.
func (d Devices) Offer(w http.ResponseWriter, r *http.Request, s Seat) error {
	challenge, err := d.keys.Offer(r.Context(), s.Reference)
	if err == nil && challenge != "" {
		w.Header().Set(dbsc.Registration, dbsc.Offer(s.Bind, challenge))
	}
	return err
}

// Bind answers the proof with which a browser binds its session. A 400 ends the browser's own try,
// and the session goes on as it was.
func (d Devices) Bind(w http.ResponseWriter, r *http.Request, s Seat) {
	noStoring(w)
	b, err := d.keys.Bind(r.Context(), s.Reference, one(r, dbsc.Response), session.Visit{Application: s.Request.Application, Source: s.Request.Source.String(), Agent: s.Agent, Via: s.Request.Protocol})
	if err != nil {
		refuse(w, err, http.StatusBadRequest)
		return
	}
	give(w, s, b)
}

// Refresh answers a browser that comes for the next bound cookie: 403 with a challenge, 200 with
// the cookie, 401 where there is no such session for it, 503 while nothing can be said. No page of
// any site can send what it demands, because scripts cannot set a header that begins with Sec-
// (Fetch Standard, "forbidden request-header").
func (d Devices) Refresh(w http.ResponseWriter, r *http.Request, s Seat) {
	noStoring(w)
	id := dbsc.Identifier(one(r, dbsc.ID))
	if id == "" {
		http.Error(w, "Browsers come here by themselves.", http.StatusBadRequest)
		return
	}
	b, challenge, err := d.keys.Refresh(r.Context(), s.Reference, id, one(r, dbsc.Response))
	if failure.ReasonOf(err) == signin.OtherDevice {
		if noted := d.note(r.Context(), s); noted != nil {
			err = noted
		}
	}
	switch {
	case err != nil:
		refuse(w, err, http.StatusUnauthorized)
	case challenge != "":
		w.Header().Set(dbsc.Challenge, dbsc.Asked(challenge, id))
		w.WriteHeader(http.StatusForbidden)
	default:
		give(w, s, b)
	}
}

// note has the owner told that somebody else tried to go on with the session.
func (d Devices) note(ctx context.Context, s Seat) error {
	held, err := d.keys.Owner(ctx, s.Reference)
	if err != nil {
		return err
	}
	return d.copies.Note(ctx, held, s.Request)
}

// give gives the bound cookie, and says how it is kept alive.
func give(w http.ResponseWriter, s Seat, b session.Bound) {
	body, err := dbsc.Instructions{Identifier: b.Number, Refresh: s.Refresh, Cookie: s.Cookie, Secure: s.secure()}.JSON()
	if err != nil {
		refuse(w, err, http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: s.Cookie, Value: b.Cookie, Path: "/", MaxAge: int(b.Kept.Seconds()), Secure: s.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the browser may be gone
}

// refuse answers an error: what is refused ends the browser's own part, a breakdown does not.
func refuse(w http.ResponseWriter, err error, status int) {
	if failure.ClassOf(err) != failure.Refused {
		http.Error(w, "The sign-in service is not available. Try again soon.", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, failure.Public(err), status)
}

// noStoring keeps what is said to one browser out of caches.
func noStoring(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

// one returns a header that was sent exactly once.
func one(r *http.Request, name string) string {
	if v := r.Header.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}
