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
	scheme, token, ok := bearer(w, r)
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
	if !known || scheme != tokenType(a.Key) { // a bound one is no bearer token (RFC 9449 section 7.2)
		refuseToken(w, "invalid_token")
		return
	}
	if a.Key != "" && !p.holds(w, r, c, a.Key, token) {
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

// holds has the client show that it has the key of its token (RFC 9449 section 7.1). Otherwise it
// has answered.
func (p *desk) holds(w http.ResponseWriter, r *http.Request, c client, key, token string) bool {
	if _, certificate := thumbprintIn(key); certificate {
		if !p.shows(r, key) {
			refuseToken(w, "invalid_token")
			return false
		}
		return true
	}
	shows, f, err := p.possessed(w, r, c, token)
	switch {
	case err != nil:
		p.notes.broken(w, err)
		return false
	case f.is():
		refuseBound(w, f.code)
		return false
	case shows != key:
		refuseBound(w, "invalid_token")
		return false
	}
	return true
}

// refuseBound refuses a token that is bound to a key.
func refuseBound(w http.ResponseWriter, code string) {
	w.Header().Set("WWW-Authenticate", `DPoP error="`+code+`", algs="`+strings.Join(proofAlgorithmNames(), " ")+`"`)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusUnauthorized)
}

// bearer is the token that a request brings, in its header or in its form (RFC 6750 section 2),
// and never in its address, with its scheme: Bearer or DPoP (RFC 9449 section 7.1).
func bearer(w http.ResponseWriter, r *http.Request) (scheme, token string, ok bool) {
	header := r.Header.Values("Authorization")
	form := ""
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		v, f := readForm(w, r)
		if f.is() {
			return "", "", false
		}
		form = v["access_token"]
	}
	switch {
	case len(header) == 0 && form != "":
		return "Bearer", form, true
	case len(header) == 1 && form == "":
		word, token, _ := strings.Cut(header[0], " ")
		for _, scheme := range []string{"Bearer", "DPoP"} {
			if strings.EqualFold(word, scheme) {
				return scheme, token, token != ""
			}
		}
	}
	return "", "", false
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
