package oidc

import (
	"countersign/internal/jws"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

var errClient = fault{"invalid_client", "The client did not prove who it is."}

// assertionType is that of a signed statement of who a client is (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// asked reads a request that a client sends itself and has it prove who it is. Otherwise it has
// answered.
func (p *desk) asked(w http.ResponseWriter, r *http.Request) (params, client, bool) {
	v, f := readForm(w, r)
	if !f.is() && r.URL.RawQuery != "" { // what is in an address is in logs
		f = fault{"invalid_request", "The parameters belong in the form."}
	}
	if f.is() {
		answerFault(w, http.StatusBadRequest, f)
		return nil, client{}, false
	}
	c, f, err := p.authenticate(r, v)
	switch {
	case err != nil:
		p.notes.broken(w, err)
		return nil, client{}, false
	case f.is():
		p.notes.miss("no-proof", c.app, p.source(r))
		refuseClient(w, r, f)
		return nil, client{}, false
	}
	return v, c, true
}

// authenticate finds the client of a request and has it prove who it is, in the way of its
// settings and in no other (RFC 6749 section 2.3).
func (p *desk) authenticate(r *http.Request, v params) (client, fault, error) {
	id, secret, basic, f := basicOf(r)
	if f.is() {
		return client{}, f, nil
	}
	asserts := v["client_assertion"] != "" || v["client_assertion_type"] != ""
	ways := 0
	for _, there := range []bool{basic, v["client_secret"] != "", asserts} {
		if there {
			ways++
		}
	}
	if ways > 1 || basic && v["client_id"] != "" && v["client_id"] != id {
		return client{}, fault{"invalid_request", "The client proves who it is in one way, and names itself once."}, nil
	}
	switch {
	case asserts:
		id = v["client_id"]
		if id == "" {
			id = claimed(v["client_assertion"])
		}
	case !basic:
		id, secret = v["client_id"], v["client_secret"]
	}
	c, known, err := p.clients.of(r.Context(), id)
	if err != nil || !known {
		return client{}, errClient, err
	}
	proved := false
	switch c.Authentication {
	case BySecret:
		proved = ways == 1 && !asserts && c.secretIs(secret)
	case ByKey:
		proved, err = p.asserted(r, c, v)
	case ByTLS, BySelfSigned:
		proved = ways == 0 && p.certified(r, c)
	case ByNothing:
		proved = ways == 0
	}
	if err != nil || !proved {
		return client{app: c.app}, errClient, err
	}
	return c, fault{}, nil
}

// asserted reports whether a client proves who it is by a statement that it signed (RFC 7523
// section 3): about itself, for us, soon over, and not used before.
func (p *desk) asserted(r *http.Request, c client, v params) (bool, error) {
	if v["client_assertion_type"] != assertionType {
		return false, nil
	}
	s, ok := c.read(v["client_assertion"], "client-authentication+jwt")
	if !ok || s.Issuer != c.ClientID || s.Subject != c.ClientID || s.ID == "" || !s.Current(p.now()) || !s.IsFor(p.names(r, c)...) || c.Profile == FAPI2 && !s.One {
		return false, nil
	}
	return p.grants.UseOnce(r.Context(), "assertion", c.ClientID, s.ID, s.Expires.Add(jws.Skew))
}

// names are those by which an assertion may call us: our own, and for clients that know no better
// the address that is asked (RFC 7523 section 3). FAPI 2.0 knows our own alone, and as one string.
func (p *desk) names(r *http.Request, c client) []string {
	if c.Profile == FAPI2 {
		return []string{p.issuer()}
	}
	return append([]string{p.issuer(), p.at(tokenPath)}, p.addresses(r.URL.Path)...)
}

// claimed is whom an assertion says it is of. Nothing of it is believed: it says whose key is to
// be tried.
func claimed(text string) string {
	if len(text) > jws.Most || strings.Count(text, ".") != 2 {
		return ""
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.EdDSA})
	if err != nil {
		return ""
	}
	var says struct{ Sub string }
	if json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &says) != nil {
		return ""
	}
	return says.Sub
}

// basicOf reads the client's name and secret of an Authorization header. Both are form-encoded
// in it (RFC 6749 section 2.3.1).
func basicOf(r *http.Request) (id, secret string, there bool, f fault) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return "", "", false, fault{}
	}
	user, pass, ok := r.BasicAuth()
	if !ok || len(all) > 1 {
		return "", "", false, errClient
	}
	id, err := url.QueryUnescape(user)
	if err != nil {
		return "", "", false, errClient
	}
	secret, err = url.QueryUnescape(pass)
	if err != nil || strings.TrimSpace(secret) == "" {
		return "", "", false, errClient
	}
	return id, secret, true, fault{}
}
