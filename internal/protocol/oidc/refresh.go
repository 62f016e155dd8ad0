package oidc

import (
	"net/http"
	"slices"
	"strings"
)

// refresh turns a refresh token into the next one and an access token (RFC 6749 section 6). Each
// is good once: one that comes again ends all that came of it (RFC 9700 section 4.14).
func (p *desk) refresh(w http.ResponseWriter, r *http.Request, c client, v params) {
	if c.Refresh == "" {
		answerFault(w, http.StatusBadRequest, fault{"unauthorized_client", "This client has no refresh tokens."})
		return
	}
	g, err := p.grants.ByRefresh(r.Context(), c.app, v["refresh_token"])
	if err != nil {
		p.refuseGrant(w, r, c, g, err)
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
	p.issue(w, r, c, g, scopes)
}
