package oidc

import (
	"context"
	"net/http"

	"countersign/internal/failure"
	"countersign/internal/oauth"
)

// revokePath is where clients give tokens back (RFC 7009).
const revokePath = "/oidc/revoke"

// revoke ends all that came of the sign-in that a token came of: the access tokens with the
// refresh token and the other way round (RFC 7009 section 2.1). A client ends its own alone. A
// token that is not good is no error: what was asked for is so already.
func (p *desk) revoke(w http.ResponseWriter, r *http.Request) {
	v, c, ok := p.asked(w, r)
	if !ok {
		return
	}
	if v["token"] == "" {
		answerFault(w, http.StatusBadRequest, fault{"invalid_request", "The parameter token is missing."})
		return
	}
	g, err := p.tokenOf(r.Context(), c, v["token"])
	switch {
	case failure.ClassOf(err) == failure.Refused:
	case err != nil:
		p.notes.broken(w, err)
		return
	case g.Client != c.app:
		p.notes.miss("bad-grant", c.app, p.source(r))
		answerFault(w, http.StatusBadRequest, fault{"invalid_grant", "The token was not issued to this client."})
		return
	default:
		if err := p.grants.End(r.Context(), actor(c), g, "revoked"); err != nil {
			p.notes.broken(w, err)
			return
		}
	}
	p.notes.hear(c)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// tokenOf finds the grant of an access or a refresh token, also of one that was replaced, and of
// another client's.
func (p *desk) tokenOf(ctx context.Context, c client, token string) (*oauth.Given, error) {
	a, err := p.grants.ByAccess(ctx, token)
	if err == nil {
		return a.Given, nil
	}
	if failure.ClassOf(err) != failure.Refused {
		return nil, err
	}
	g, err := p.grants.ByRefresh(ctx, c.app, token)
	if oauth.IsReused(err) || oauth.IsStolen(err) {
		return g, nil
	}
	return g, err
}
