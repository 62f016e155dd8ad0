package entra

import (
	"context"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/jws"
)

// about is whom a hint means (Microsoft's "Default id_token_hint claims").
type about struct {
	subject, object, tenant string
	issued                  time.Time
	// verified says that the tenant signed it, whatever is wrong with it besides.
	verified bool
}

const (
	// skew is how far Microsoft's clocks may stand apart from ours.
	skew = 2 * time.Minute
	// hintLasts is how long after it was made a hint says at most that it is good: it "is set to
	// expire a short time after the issuing time", or before it. An ID token that lets somebody
	// sign in says an hour or more, and is no hint.
	hintLasts = 15 * time.Minute
)

// believe verifies a hint: the tenant signed it by RS256, for our registration, lately. That it
// says that it has expired already is as Microsoft documents it, so what counts is when it was made.
func (d *provider) believe(ctx context.Context, q request) (about, fault) {
	signed, kid, ok := parseHint(q.hint)
	if !ok {
		return about{}, denies("bad-hint")
	}
	key, err := d.tenants.key(ctx, q.of.Settings, kid)
	if err != nil {
		d.notes.fails(err)
		return about{}, fault{"tenant-unreachable", errUnavailable.code}
	}
	if key == nil {
		return about{}, denies("unknown-key")
	}
	plain, err := signed.Verify(key)
	if err != nil {
		return about{}, denies("wrong-signature")
	}
	return q.of.read(plain, d.now())
}

// parseHint reads a hint's header: signed once, by RS256, with a key that it names. A key or an
// address of one in the hint itself is not looked at.
func parseHint(text string) (signed *jose.JSONWebSignature, kid string, ok bool) {
	if len(text) > valueMost || strings.Count(text, ".") != 2 {
		return nil, "", false
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(signed.Signatures) != 1 {
		return nil, "", false
	}
	header := signed.Signatures[0].Protected
	if typ, there := header.ExtraHeaders["typ"]; there && typ != "JWT" {
		return nil, "", false
	}
	return signed, header.KeyID, header.KeyID != ""
}

// read reads the claims of a hint that the tenant signed.
func (s Settings) read(plain []byte, now time.Time) (about, fault) {
	out := about{verified: true}
	c, ok := jws.Parse(plain)
	if !ok {
		return out, denies("bad-hint")
	}
	text := func(name string) string {
		v, _ := c.All[name].(string)
		return v
	}
	out.subject, out.object, out.tenant, out.issued = c.Subject, strings.ToLower(text("oid")), strings.ToLower(text("tid")), c.Issued
	switch {
	case c.Issuer != s.issuer() || out.tenant != s.Tenant:
		return out, denies("other-tenant")
	case !c.IsFor(s.App):
		return out, denies("other-audience")
	case text("ver") != "2.0" || !guidForm.MatchString(out.object) || c.Subject == "" || len(c.Subject) > 255 || c.Issued.IsZero():
		return out, denies("bad-hint")
	case c.Expires.After(c.Issued.Add(hintLasts)):
		return out, denies("no-hint")
	case c.Issued.After(now.Add(skew)) || c.Before.After(now.Add(skew)) || now.Sub(c.Issued) > life+skew:
		return out, denies("expired")
	}
	return out, fault{}
}
