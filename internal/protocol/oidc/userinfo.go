package oidc

import (
	"net/http"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/signin"
)

// userinfo says what a client may know of a person (OpenID Connect Core section 5.3), while the
// engine lets that person in.
func (p *desk) userinfo(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(w, r)
	if !ok {
		refuseToken(w, "")
		return
	}
	a, err := p.grants.ByAccess(r.Context(), token)
	if failure.ClassOf(err) == failure.Refused {
		refuseToken(w, "invalid_token")
		return
	}
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	t, err := p.clients.table(r.Context())
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	c, known := t.byName[a.Given.Client]
	if !known {
		refuseToken(w, "invalid_token")
		return
	}
	step, err := p.engine.Check(r.Context(), p.again(r, c, a.Given))
	switch {
	case err != nil:
		p.notes.broken(w, err)
	case step.State != signin.Granted:
		refuseToken(w, "invalid_token")
	default:
		all := about(step.Grant, a.Scopes, a.Given.UserClaims)
		all["sub"] = subject(step.Grant)
		answerJSON(w, http.StatusOK, all)
	}
}

// bearer is the token that a request brings, in its header or in its form (RFC 6750 section 2),
// and never in its address.
func bearer(w http.ResponseWriter, r *http.Request) (string, bool) {
	header := r.Header.Values("Authorization")
	form := ""
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		v, f := readForm(w, r)
		if f.is() {
			return "", false
		}
		form = v["access_token"]
	}
	switch {
	case len(header) == 0 && form != "":
		return form, true
	case len(header) == 1 && form == "":
		scheme, token, _ := strings.Cut(header[0], " ")
		return token, strings.EqualFold(scheme, "Bearer") && token != ""
	}
	return "", false
}

// refuseToken is RFC 6750 section 3: without a word where no token came.
func refuseToken(w http.ResponseWriter, code string) {
	challenge := `Bearer realm="countersign"`
	if code != "" {
		challenge += `, error="` + code + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusUnauthorized)
}
