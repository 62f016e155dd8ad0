package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/oauth"
	"countersign/internal/signin"
)

// The grant types.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// answer is that of the token endpoint (RFC 6749 section 5.1).
type answer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

// token is where clients get tokens (RFC 6749 section 3.2).
func (p *desk) token(w http.ResponseWriter, r *http.Request) {
	v, c, ok := p.asked(w, r)
	if !ok {
		return
	}
	key, f, err := p.keyOf(w, r, c)
	switch {
	case err != nil:
		p.notes.broken(w, err)
	case f.is():
		p.notes.miss(causeOf(f), c.app, p.source(r))
		answerFault(w, http.StatusBadRequest, f)
	case v["grant_type"] == grantCode:
		p.redeem(w, r, ask{client: c, params: v, key: key})
	case v["grant_type"] == grantRefresh:
		p.refresh(w, r, ask{client: c, params: v, key: key})
	case v["grant_type"] == grantDevice:
		p.collect(w, r, ask{client: c, params: v, key: key})
	case v["grant_type"] == "":
		answerFault(w, http.StatusBadRequest, fault{"invalid_request", "The parameter grant_type is missing."})
	default:
		answerFault(w, http.StatusBadRequest, fault{"unsupported_grant_type", "The grant type is authorization_code, refresh_token or " + grantDevice + "."})
	}
}

// causeOf is what administrators hear of a key that was not shown.
func causeOf(f fault) string {
	if f == errCertificate {
		return "no-certificate"
	}
	return "bad-proof"
}

// ask is what comes to the token endpoint of a client that proved who it is: with the key that it
// showed, if any.
type ask struct {
	client
	params params
	key    string
}

var errGrant = fault{"invalid_grant", "The code or the token is not good, or not any more."}

// redeem turns a code into tokens.
func (p *desk) redeem(w http.ResponseWriter, r *http.Request, a ask) {
	c := a.client
	g, err := p.grants.ByCode(r.Context(), c.app, a.params["code"])
	if err != nil {
		p.refuseGrant(w, r, c, g, err)
		return
	}
	if g.Device || !bound(g, a.params) || g.Key != "" && g.Key != a.key {
		// Somebody has the code and not what belongs to it: nobody gets anything for it.
		if err := p.grants.End(r.Context(), actor(c), g, "unbound-code"); err != nil {
			p.notes.broken(w, err)
			return
		}
		p.notes.miss("bad-grant", c.app, p.source(r))
		answerFault(w, http.StatusBadRequest, errGrant)
		return
	}
	p.issue(w, r, a, g, g.Scopes)
}

// bound reports whether a code comes with what it was asked for with: the same redirect URI
// (RFC 6749 section 4.1.3) and the verifier of its challenge (RFC 7636 section 4.6). A code that was
// asked for without a challenge comes without a verifier: somebody took the challenge away where
// one comes (RFC 9700 section 4.8.2).
func bound(g *oauth.Given, v params) bool {
	verifier := v["code_verifier"]
	if g.Challenge == "" {
		return v["redirect_uri"] == g.Redirect && verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	return v["redirect_uri"] == g.Redirect && isVerifier(verifier) && subtle.ConstantTimeCompare([]byte(challenge), []byte(g.Challenge)) == 1
}

// isVerifier reports whether a text can be a code verifier: 43 to 128 characters, of which the
// client chooses (RFC 7636 section 4.1). That section allows letters, digits and -._~; clients
// that are in use (git-credential-oauth of Debian 12) have + / = of another base64 as well. What
// is compared is the hash (section 4.6), so any printable ASCII does.
func isVerifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func actor(c client) audit.Actor { return audit.Actor{Name: c.app, Via: Protocol} }

// refuseGrant refuses a code or a refresh token. One that was used before, or is another
// client's, ends all that came of it.
func (p *desk) refuseGrant(w http.ResponseWriter, r *http.Request, c client, g *oauth.Given, err error) {
	reason := ""
	switch {
	case oauth.IsReused(err):
		reason = "reused"
	case oauth.IsStolen(err):
		reason = "other-client"
	case failure.ClassOf(err) != failure.Refused:
		p.notes.broken(w, err)
		return
	}
	if reason != "" && g != nil {
		if err := p.grants.Misused(r.Context(), g, c.app, reason); err != nil {
			p.notes.broken(w, err)
			return
		}
	}
	p.notes.miss("bad-grant", c.app, p.source(r))
	answerFault(w, http.StatusBadRequest, errGrant)
}

// issue asks the engine over what the client was given, and issues tokens for its Grant.
func (p *desk) issue(w http.ResponseWriter, r *http.Request, a ask, g *oauth.Given, scopes []string) {
	c := a.client
	step, err := p.engine.Check(r.Context(), p.again(r, c, g))
	switch {
	case err != nil:
		p.notes.broken(w, err)
		return
	case step.State != signin.Granted:
		p.end(w, r, c, g, step)
		return
	}
	// The ID token is signed while the commit waits for the disk: neither is handed out without the
	// other.
	var id string
	terms := oauth.Terms{Lasts: c.accessLife(), Refresh: c.Refresh != "", Scopes: scopes, Key: a.key, Keep: c.Profile == FAPI2,
		Beside: func(access string) (err error) {
			id, err = p.statements.idToken(r.Context(), c, step.Grant, g, access)
			return err
		}}
	tokens, err := p.grants.Issue(r.Context(), step.Grant, g, terms)
	if oauth.IsReused(err) && c.grace() > 0 && a.params["grant_type"] == grantRefresh { // the other of two was first
		if g, err = p.grants.ByRefreshWithin(r.Context(), c.app, a.params["refresh_token"], c.grace()); err == nil {
			tokens, err = p.grants.Issue(r.Context(), step.Grant, g, terms)
		}
	}
	if err != nil {
		p.refuseGrant(w, r, c, g, err)
		return
	}
	p.notes.hear(c)
	answerJSON(w, http.StatusOK, answer{AccessToken: tokens.Access, TokenType: tokenType(a.key), ExpiresIn: int64(tokens.Lasts.Seconds()), RefreshToken: tokens.Refresh, IDToken: id, Scope: strings.Join(scopes, " ")})
}

// tokenType is how a token is used: with proofs of the key that it is bound to, or alone, also with
// the certificate that it is bound to (RFC 8705 section 3).
func tokenType(key string) string {
	if _, certificate := thumbprintIn(key); key != "" && !certificate {
		return "DPoP"
	}
	return "Bearer"
}

// again is what is asked of the engine when a client comes back. A code comes as soon as it was
// issued, so all that was demanded is demanded still; of a refresh nobody expects that the person
// has just proved themselves.
func (p *desk) again(r *http.Request, c client, g *oauth.Given) signin.Request {
	source := g.From()
	if c.Authentication == ByNothing {
		source = p.source(r) // it runs where the person is
	}
	return p.over(c, g, source)
}

// over is what is asked of the engine over what a client was given, from somewhere.
func (p *desk) over(c client, g *oauth.Given, from netip.Addr) signin.Request {
	return demandedOf(g).asks(c, p.grants.Reference(g), from)
}

// demandedOf is what is demanded still of what a client was given: for a code all that it was
// asked for with.
func demandedOf(g *oauth.Given) wish {
	w := wish{raise: g.Raise}
	if !g.Used() {
		w.since = g.Since
	}
	return w
}

// end ends what the engine refuses now, with its reason.
func (p *desk) end(w http.ResponseWriter, r *http.Request, c client, g *oauth.Given, step signin.Step) {
	if err := p.grants.End(r.Context(), actor(c), g, step.Reason); err != nil {
		p.notes.broken(w, err)
		return
	}
	answerFault(w, http.StatusBadRequest, errGrant)
}

// answerJSON answers a client. Nobody keeps it.
func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	writeJSON(w, status, v)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "The answer could not be written.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b))) // Entra reads no document without it
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone
}

// answerFault is a fault to a client (RFC 6749 section 5.2).
func answerFault(w http.ResponseWriter, status int, f fault) {
	answerJSON(w, status, map[string]string{"error": f.code, "error_description": f.says})
}

// refuseClient refuses a client that did not prove who it is, by the scheme that it tried.
func refuseClient(w http.ResponseWriter, r *http.Request, f fault) {
	if f.code != "invalid_client" {
		answerFault(w, http.StatusBadRequest, f)
		return
	}
	if r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="countersign"`)
	}
	answerFault(w, http.StatusUnauthorized, f)
}
