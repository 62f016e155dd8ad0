package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/oauth"
	"countersign/internal/signin"
)

// introspectPath is where resource servers ask what a token is good for (RFC 7662).
const introspectPath = "/oidc/introspect"

// introspectionMedia is the answer that is signed (RFC 9701), by the name that is asked for it and
// by the typ of the statement.
const (
	introspectionMedia = "application/token-introspection+jwt"
	introspectionType  = "token-introspection+jwt"
)

// told is what an asker may know of a token: the members of RFC 7662 section 2.2, with acr and
// auth_time of RFC 9470 section 6.2, cnf of RFC 7800, and what the token's scopes stand for.
type told struct {
	Active        bool   `json:"active"`
	Issuer        string `json:"iss,omitempty"`
	Subject       string `json:"sub,omitempty"`
	Audience      string `json:"aud,omitempty"`
	Client        string `json:"client_id,omitempty"`
	Username      string `json:"username,omitempty"`
	Scope         string `json:"scope,omitempty"`
	Expires       int64  `json:"exp,omitempty"`
	Class         string `json:"acr,omitempty"`
	At            int64  `json:"auth_time,omitempty"`
	Type          string `json:"token_type,omitempty"`
	Confirmed     any    `json:"cnf,omitempty"`
	Name          any    `json:"name,omitempty"`
	Preferred     any    `json:"preferred_username,omitempty"`
	Email         any    `json:"email,omitempty"`
	EmailVerified any    `json:"email_verified,omitempty"`
	Groups        any    `json:"groups,omitempty"`
}

// say adds one claim about a person.
func (t *told) say(name string, v any) {
	switch name {
	case "name":
		t.Name = v
	case "preferred_username":
		t.Preferred = v
	case "email":
		t.Email = v
	case "email_verified":
		t.EmailVerified = v
	case "groups":
		t.Groups = v
	}
}

// inactive is all that is said of a token that is not good, or not the asker's to know of
// (RFC 7662 section 2.2): of whatever reason, it is the same.
func inactive() told { return told{} }

// introspect says what a token is good for, to the client that it was issued to and to the
// resource servers whose settings say that they may ask about it. The engine is asked each time.
func (p *desk) introspect(w http.ResponseWriter, r *http.Request) {
	v, asker, ok := p.asked(w, r)
	switch {
	case !ok:
		return
	case asker.Authentication == ByNothing: // its name alone is no proof (RFC 7662 section 2.1)
		p.notes.miss("no-proof", asker.app, p.source(r))
		refuseClient(w, r, errClient)
		return
	case v["token"] == "":
		answerFault(w, http.StatusBadRequest, fault{"invalid_request", "The parameter token is missing."})
		return
	}
	says, err := p.introspected(r, asker, v["token"])
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	p.notes.hear(asker)
	w.Header().Set("X-Content-Type-Options", "nosniff") // the other headers are for pages
	if !accepts(r, introspectionMedia) {
		answerJSON(w, http.StatusOK, says)
		return
	}
	signed, err := p.statements.introspection(r.Context(), asker, says)
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	answerSigned(w, signed)
}

// answerSigned answers with a signed statement. Nobody keeps it.
func answerSigned(w http.ResponseWriter, signed string) {
	w.Header().Set("Content-Type", introspectionMedia)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(signed)) // the client may be gone
}

// accepts reports whether a request asks for a media type by its own name.
func accepts(r *http.Request, media string) bool {
	for _, line := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(line, ",") {
			if name, params, err := mime.ParseMediaType(one); err == nil && name == media && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// shown is a token of ours that somebody asks about.
type shown struct {
	given  *oauth.Given
	scopes []string
	until  time.Time
	key    string
	// refreshes says that it is a refresh token.
	refreshes bool
}

// introspected is what the asker may know of a token.
func (p *desk) introspected(r *http.Request, asker client, token string) (told, error) {
	turned := turnedAway(p, r, asker, token)
	s, err := p.shown(r.Context(), asker, token)
	if failure.ClassOf(err) == failure.Refused {
		return turned(failure.ReasonOf(err))
	}
	if err != nil {
		return told{}, err
	}
	t, err := p.clients.table(r.Context())
	if err != nil {
		return told{}, err
	}
	of, known := t.byName[s.given.Client]
	switch {
	case !known || !asker.mayAskAbout(of, s.refreshes):
		return turned("other-client")
	case asker.app != of.app && asker.TokenScope != "" && !slices.Contains(s.scopes, asker.TokenScope):
		return turned("no-scope")
	}
	step, err := goodAt(r.Context(), p, asker, of, s.given)
	if err != nil {
		return told{}, err
	}
	if step.State != signin.Granted {
		reason := cmp.Or(step.Reason, "not-enough")
		if err := tellsOwner(r.Context(), p.comings, asker, s.given, reason); err != nil {
			return told{}, err
		}
		return turned(reason)
	}
	return p.tells(asker, of, s, step.Grant), tellsOwner(r.Context(), p.comings, asker, s.given, "")
}

// tellsOwner tells the owner of a token that somebody came with it, where the asker's settings want
// that. Whether nothing was opened, refused says why.
func tellsOwner(ctx context.Context, comings *signin.Comings, asker client, g *oauth.Given, refused string) error {
	if asker.TellsOwners == "" || asker.app == g.Client {
		return nil
	}
	return comings.Tell(ctx, signin.Coming{Account: g.Account, Application: asker.app, Title: asker.title, Client: g.Client, Refused: refused})
}

// turnedAway returns all that an asker is told of a token that is not good for it. The log has why.
func turnedAway(p *desk, r *http.Request, asker client, token string) func(reason string) (told, error) {
	return func(reason string) (told, error) {
		return inactive(), p.grants.Refused(r.Context(), token, asker.app, netip.Addr{}, reason)
	}
}

// goodAt asks the engine whether what a client was given is good now: at the client, and at the
// resource server that was shown it, where policy and the class of its settings are demanded of
// whoever comes with it. The Grant is the client's.
func goodAt(ctx context.Context, p *desk, asker, of client, g *oauth.Given) (signin.Step, error) {
	step, err := p.engine.Check(ctx, p.over(of, g, g.From()))
	if err != nil || step.State != signin.Granted || asker.app == of.app {
		return step, err
	}
	var at wish
	if need, known := requirementOf(asker.Class); asker.Class != "" && known {
		at.raise = &need
	}
	there, err := p.engine.Check(ctx, at.asks(asker, p.grants.Reference(g), g.From()))
	if err != nil || there.State != signin.Granted {
		return there, err
	}
	return step, nil
}

// shown finds the grant of an access token, or of the asker's own refresh token.
func (p *desk) shown(ctx context.Context, asker client, token string) (shown, error) {
	a, err := p.grants.ByAccess(ctx, token)
	if err == nil {
		return shown{given: a.Given, scopes: a.Scopes, until: a.Until, key: a.Key}, nil
	}
	if failure.ClassOf(err) != failure.Refused {
		return shown{}, err
	}
	g, err := p.grants.ByRefresh(ctx, asker.app, token)
	if err != nil {
		return shown{}, err
	}
	return shown{given: g, scopes: g.Scopes, until: g.Expires, refreshes: true}, nil
}

// mayAskAbout reports whether a client may ask about tokens of another one. Refresh tokens are
// their client's alone.
func (c client) mayAskAbout(of client, refreshes bool) bool {
	return c.app == of.app || !refreshes && slices.Contains(c.Introspects, of.ClientID)
}

// tells is all that is said of a token that is good.
func (p *desk) tells(asker, of client, s shown, g signin.Grant) told {
	class, at := of.stated(s.given.Wanted, since(g.Evidence(), s.given.Since))
	t := told{Active: true, Issuer: p.issuer(), Subject: subject(g), Audience: asker.ClientID, Client: of.ClientID, Username: g.Name(),
		Scope: strings.Join(s.scopes, " "), Expires: s.until.Unix(), Class: class, At: at.Unix()}
	for _, scope := range s.scopes {
		for _, name := range claimsOf[scope] {
			t.say(name, said(g, name))
		}
	}
	if !s.refreshes {
		t.Type = tokenType(s.key)
	}
	if s.key != "" {
		t.Confirmed = confirmed(s.key)
	}
	return t
}

// introspection signs what a resource server is told (RFC 9701 section 5): for it, without a
// subject or an end of its own, so that it is taken for no access token and no ID token.
func (p *statements) introspection(ctx context.Context, asker client, says told) (string, error) {
	statement, err := json.Marshal(map[string]any{"iss": p.issuer, "aud": asker.ClientID, "iat": p.now().Unix(), "token_introspection": says})
	if err != nil {
		return "", err
	}
	return p.sign(ctx, asker.Algorithm, introspectionType, statement)
}
