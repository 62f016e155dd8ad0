package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/oauth"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
)

// The scopes.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeMail    = "email"
	scopeGroups  = "groups"
	scopeOffline = "offline_access"
)

var scopesKnown = []string{scopeOpenID, scopeProfile, scopeMail, scopeGroups, scopeOffline}

// claimsOf are the claims that each scope stands for (OpenID Connect Core section 5.4).
var claimsOf = map[string][]string{
	scopeProfile: {"name", "preferred_username"},
	scopeMail:    {"email", "email_verified"},
	scopeGroups:  {"groups"},
}

// claimsKnown are all that can be said.
func claimsKnown() []string {
	out := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	for _, scope := range scopesKnown {
		out = append(out, claimsOf[scope]...)
	}
	return out
}

// idTokenLife is how long an ID token is good: it is read once, at once.
const idTokenLife = 10 * time.Minute

// subject is what an account is called to clients (sub): it stays when the account's name
// changes, and no other account is ever called so.
func subject(g signin.Grant) string {
	return signingkey.Subject(g.Handle())
}

// about are the claims that scopes and single wishes stand for.
func about(g signin.Grant, scopes, single []string) map[string]any {
	var names []string
	for _, s := range scopes {
		names = append(names, claimsOf[s]...)
	}
	names = append(names, single...)
	out := map[string]any{}
	for _, name := range names {
		if v := said(g, name); v != nil {
			out[name] = v
		}
	}
	return out
}

// said is one claim about a person; nil is nothing to say.
func said(g signin.Grant, name string) any {
	switch name {
	case "preferred_username":
		return g.Name()
	case "name":
		if g.Display() != "" {
			return g.Display()
		}
		return g.Name()
	case "email":
		if g.Mail() != "" {
			return g.Mail()
		}
	case "email_verified":
		if g.Mail() != "" {
			return true // no other address is ever told
		}
	case "groups":
		if all := g.Groups(); len(all) > 0 {
			return all
		}
		return []string{}
	}
	return nil
}

// idToken is the signed statement for a grant of the engine over what the client was given
// (OpenID Connect Core section 2).
func (p *statements) idToken(ctx context.Context, c client, by signin.Grant, g *oauth.Given, access string) (string, error) {
	now := p.now()
	evidence := since(by.Evidence(), g.Since)
	class, at := c.stated(g.Wanted, evidence)
	all := about(by, g.Scopes, g.IDClaims) // also what scopes stand for: many clients read nothing else, and nobody else reads it
	all["iss"], all["sub"], all["aud"] = p.issuer, subject(by), c.ClientID
	all["iat"], all["exp"] = now.Unix(), now.Add(idTokenLife).Unix()
	all["auth_time"], all["acr"], all["amr"] = at.Unix(), class, assurance.AMR(evidence, p.method)
	all["sid"] = sid(by)
	if tags, is := c.sessionTag(evidence, now); is {
		all[tagsClaim] = tags
	}
	if g.Nonce != "" {
		all["nonce"] = g.Nonce
	}
	if access != "" {
		all["at_hash"] = halfHash(access)
	}
	statement, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	return p.sign(ctx, c.Algorithm, "JWT", statement)
}

// since is evidence without what was shown before a moment.
func since(evidence []assurance.Evidence, moment time.Time) []assurance.Evidence {
	return slices.DeleteFunc(slices.Clone(evidence), func(e assurance.Evidence) bool { return e.Time.Before(moment) })
}

// sid names a session to clients without its number (OpenID Connect Front-Channel Logout 1.0
// section 3).
func sid(g signin.Grant) string { return sidOf(g.Session()) }

func sidOf(number string) string { return signingkey.SessionName(number) }

// halfHash is the left half of a token's hash (OpenID Connect Core section 3.1.3.6), SHA-256 for
// ES256 and RS256 alike.
func halfHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
