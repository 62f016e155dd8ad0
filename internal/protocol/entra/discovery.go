package entra

import (
	"crypto/sha1" //nolint:gosec // x5t is defined over SHA-1 (RFC 7517 section 4.8), and nothing rests on it
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/signingkey"
)

// documents are what is published of each application.
type documents struct {
	parties      *parties
	signing      *signingkey.Keys
	certificates certificates
	public       *url.URL
	notes        *notes
}

// metadata is the discovery document of an application (Microsoft's "Discovery of provider
// metadata"). It is the same for everybody.
func (d *documents) metadata(w http.ResponseWriter, r *http.Request) {
	p, err := d.parties.named(r.Context(), r.PathValue("app"))
	if err != nil {
		d.broken(w, err)
		return
	}
	if p == nil {
		http.NotFound(w, r)
		return
	}
	ours := issuer(d.public, p.app)
	published(w, map[string]any{
		"issuer":                                ours,
		"authorization_endpoint":                ours + authorizePath,
		"jwks_uri":                              ours + keysPath,
		"scopes_supported":                      []string{"openid"},
		"response_types_supported":              []string{"id_token"},
		"response_modes_supported":              []string{"form_post"},
		"grant_types_supported":                 []string{"implicit"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{signingkey.RS256},
		"claim_types_supported":                 []string{"normal"},
		"claims_supported":                      []string{"iss", "sub", "aud", "exp", "iat", "nonce", "acr", "amr"},
		"claims_parameter_supported":            true,
		"acr_values_supported":                  possible,
		"request_parameter_supported":           false,
		"request_uri_parameter_supported":       false,
	})
}

// keys are the public keys that verify answers now, before and soon, each with its certificate.
func (d *documents) keys(w http.ResponseWriter, r *http.Request) {
	p, err := d.parties.named(r.Context(), r.PathValue("app"))
	if err == nil && p == nil {
		http.NotFound(w, r)
		return
	}
	var set jose.JSONWebKeySet
	if err == nil {
		set, err = d.publicKeys(r)
	}
	if err != nil {
		d.broken(w, err)
		return
	}
	published(w, set)
}

func (d *documents) publicKeys(r *http.Request) (jose.JSONWebKeySet, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	if _, err := d.signing.Signer(r.Context(), signingkey.RS256); err != nil { // which makes the first
		return set, err
	}
	all, err := d.signing.Published(r.Context())
	if err != nil {
		return set, err
	}
	for _, k := range all {
		if k.Algorithm != signingkey.RS256 {
			continue
		}
		c, err := d.certificates.of(k)
		if err != nil {
			return set, err
		}
		print := sha1.Sum(c.Raw) //nolint:gosec // see above
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig", Certificates: []*x509.Certificate{c}, CertificateThumbprintSHA1: print[:]})
	}
	return set, nil
}

// published answers with what everybody may read and keep for an hour. The length is said:
// Entra wants it.
func published(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(b) // the client may be gone
}

// broken answers whoever fetches a document that something is wrong with us.
func (d *documents) broken(w http.ResponseWriter, err error) {
	d.notes.fails(err)
	http.Error(w, "", http.StatusServiceUnavailable)
}
