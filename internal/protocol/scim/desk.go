package scim

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// reason is what the log says of why something was done.
const reason = "SCIM"

// desk asks the engine about requests, and has admin do what it granted.
type desk struct {
	engine  *signin.Engine
	admin   *admin.Admin
	channel string
	source  func(*http.Request) netip.Addr
}

// bearer is the automation key that a request comes with, or empty.
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(secret, "cskey_") {
		return ""
	}
	return secret
}

var keyNeeded = &fault{status: http.StatusUnauthorized, detail: "Come with an automation key: Authorization: Bearer cskey_..."}

// strangers are the reasons of refusals of which nobody learns more: whoever came did not show a
// key that is good here.
var strangers = map[string]bool{"no-keys": true, "malformed": true, "unknown-key": true, "wrong": true, "expired": true, "not-a-service": true, "disabled": true, "revoked": true, "lost": true}

// ask asks the engine whether the request's key may do this.
func (d *desk) ask(r *http.Request, action, object string) (signin.Grant, error) {
	key := bearer(r)
	if key == "" {
		return signin.Grant{}, keyNeeded
	}
	step, err := d.engine.CheckKey(r.Context(), signin.Request{Application: signin.Self, Action: action, Object: object, Source: d.source(r), Protocol: d.channel}, keyKind, key)
	switch {
	case err != nil:
		return signin.Grant{}, err
	case step.State == signin.Granted:
		return step.Grant, nil
	case strangers[step.Reason]:
		return signin.Grant{}, &fault{status: http.StatusUnauthorized, detail: "The automation key is not valid here."}
	case step.Reason == "other-action":
		return signin.Grant{}, &fault{status: http.StatusForbidden, detail: "The automation key was not issued for " + action + "; issue one that names it."}
	}
	return signin.Grant{}, failure.Refuse(step.Reason, step.Public)
}

// known refuses a request whose key is none that is good here, whatever it is for.
func (d *desk) known(r *http.Request) error {
	_, err := d.ask(r, "account.list", "")
	if f := faultOf(err); err != nil && f.status == http.StatusForbidden {
		return nil // what it may do is asked when that is read
	}
	return err
}

// granted prepares a command and asks the engine for exactly it.
func (d *desk) granted(r *http.Request, c admin.Command) (admin.Granted, error) {
	if err := d.admin.Prepare(r.Context(), c); err != nil {
		return admin.Granted{}, err
	}
	g, err := d.ask(r, c.Action(), c.Object())
	return admin.Granted{Grant: g, Command: c}, err
}

// doAll does commands in one change: all of them or none. First may refuse it, in the same change;
// nil is nothing. It answers the grant of the first command.
func (d *desk) doAll(r *http.Request, first func(context.Context, *store.Tx) error, all []command) (signin.Grant, error) {
	granted := make([]admin.Granted, len(all))
	for i, c := range all {
		var err error
		if granted[i], err = d.granted(r, c); err != nil {
			return signin.Grant{}, err
		}
	}
	_, err := d.admin.Together(context.WithoutCancel(r.Context()), first, granted)
	return granted[0].Grant, err
}
