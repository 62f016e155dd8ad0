package oidc

import (
	"net/http"
	"slices"
	"strings"
)

// refresh turns a refresh token into the next one and an access token (RFC 6749 section 6). Each
// is good once: one that comes again ends all that came of it (RFC 9700 section 4.14). That of FAPI 2.0
// stays as it is, because it is nothing without the client's key (section 5.3.2.1).
//
// What is bound to a key stays bound: of a client that has no other proof of itself to the same
// key (RFC 9449 section 5), of another one to the key that it shows now.
func (p *desk) refresh(w http.ResponseWriter, r *http.Request, a ask) {
	c, v := a.client, a.params
	if c.Refresh == "" {
		answerFault(w, http.StatusBadRequest, fault{"unauthorized_client", "This client has no refresh tokens."})
		return
	}
	g, err := p.grants.ByRefreshWithin(r.Context(), c.app, v["refresh_token"], c.grace())
	if err != nil {
		p.refuseGrant(w, r, c, g, err)
		return
	}
	if g.Key != "" && (a.key == "" || c.Authentication == ByNothing && a.key != g.Key) {
		p.notes.miss("bad-proof", c.app, p.source(r))
		answerFault(w, http.StatusBadRequest, errGrant)
		return
	}
	scopes := g.Scopes
	if words := strings.Fields(v["scope"]); len(words) > 0 {
		for _, s := range words {
			if !slices.Contains(g.Scopes, s) {
				answerFault(w, http.StatusBadRequest, fault{"invalid_scope", "A scope is asked for that was not granted."})
				return
			}
		}
		scopes = words
	}
	p.issue(w, r, a, g, scopes)
}
