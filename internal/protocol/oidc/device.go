package oidc

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/oauth"
)

// Devices without a browser of their own ask here to be let in, and come back until somebody did so
// by another one (RFC 8628). Where that is done is in kiosk.go.

const (
	devicePath  = "/oidc/device"
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
)

// The values of [Settings.Device]: where the person may be who lets a device in.
const (
	FromAnywhere    = "anywhere"
	FromSameNetwork = "same-network"
)

func (s Settings) checkDevice() error {
	switch {
	case s.Device != "" && s.Device != FromAnywhere && s.Device != FromSameNetwork:
		return invalid("Devices without a browser are let in from same-network or anywhere, or it is empty.")
	case s.Device != "" && s.Profile == FAPI2:
		return invalid("The FAPI 2.0 profile has no devices without a browser.")
	}
	return nil
}

// agentMost is how much is kept of what a device calls itself, in bytes.
const agentMost = 60

// device has a device of a client wait (RFC 8628 section 3.1). No address is answered that already
// has the code in it: a person types it, and looks at both.
func (p *desk) device(w http.ResponseWriter, r *http.Request) {
	v, c, ok := p.asked(w, r)
	if !ok {
		return
	}
	if c.Device == "" {
		p.notes.miss("no-device", c.app, p.source(r))
		answerFault(w, http.StatusBadRequest, fault{"unauthorized_client", "This client has no devices that wait."})
		return
	}
	q := request{client: c}
	if f := q.readScopes(v); f.is() {
		answerFault(w, http.StatusBadRequest, f)
		return
	}
	// Nobody is let in beyond the session of who lets them in.
	scopes := slices.DeleteFunc(q.scopes, func(s string) bool { return s == scopeOffline })
	from := ""
	if a := p.source(r); a.IsValid() {
		from = a.Unmap().String()
	}
	code, waits, err := p.devices.Ask(r.Context(), oauth.Waiting{Client: c.app, Scopes: scopes, Source: from, Agent: agentOf(r)})
	switch {
	case failure.ClassOf(err) == failure.Refused:
		answerFault(w, http.StatusTooManyRequests, fault{"slow_down", "Too many devices ask at once. Try again in a few minutes."})
		return
	case err != nil:
		p.notes.broken(w, err)
		return
	}
	p.notes.hear(c)
	answerJSON(w, http.StatusOK, map[string]any{"device_code": code, "user_code": waits.Code, "verification_uri": p.at(kioskPath),
		"expires_in": int64(oauth.DeviceLife.Seconds()), "interval": int64(oauth.DeviceInterval.Seconds())})
}

// agentOf is what a device calls itself, as far as it is printable ASCII.
func agentOf(r *http.Request) string {
	says := r.UserAgent()
	if len(says) > agentMost {
		says = says[:agentMost]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, says)
}

// collect turns a device code into tokens, or says how it stands (RFC 8628 section 3.5).
func (p *desk) collect(w http.ResponseWriter, r *http.Request, a ask) {
	c := a.client
	if c.Device == "" {
		answerFault(w, http.StatusBadRequest, fault{"unauthorized_client", "This client has no devices that wait."})
		return
	}
	g, err := p.devices.Poll(r.Context(), c.app, a.params["device_code"])
	switch {
	case err == nil:
		p.issue(w, r, a, g, g.Scopes)
	case errors.Is(err, oauth.ErrPending):
		answerFault(w, http.StatusBadRequest, fault{"authorization_pending", "Nobody has let the device in yet."})
	case errors.Is(err, oauth.ErrSlower):
		answerFault(w, http.StatusBadRequest, fault{"slow_down", "The device asks too often: it waits five seconds longer from now on."})
	case errors.Is(err, oauth.ErrDenied):
		answerFault(w, http.StatusBadRequest, fault{"access_denied", "The person did not let the device in."})
	case oauth.IsReused(err) || oauth.IsStolen(err) || failure.ClassOf(err) != failure.Refused:
		p.refuseGrant(w, r, c, g, err)
	default:
		answerFault(w, http.StatusBadRequest, fault{"expired_token", "The device waits no more: it begins anew."})
	}
}
