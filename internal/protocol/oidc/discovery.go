package oidc

import (
	"net/http"
	"slices"

	"countersign/internal/signingkey"
)

// registerPath is where programs register clients; protocol/registration serves it.
const registerPath = "/oidc/register"

// metadata is the document of OpenID Connect Discovery 1.0 section 3 and RFC 8414. It is the
// same for everybody and may be kept for an hour.
func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	all := map[string]any{
		"issuer":                                                   p.issuer(),
		"authorization_endpoint":                                   p.at(authorizePath),
		"token_endpoint":                                           p.at(tokenPath),
		"userinfo_endpoint":                                        p.at(userinfoPath),
		"jwks_uri":                                                 p.at(keysPath),
		"scopes_supported":                                         slices.Clone(scopesKnown),
		"response_types_supported":                                 []string{"code"},
		"response_modes_supported":                                 []string{modeQuery, modeForm},
		"grant_types_supported":                                    []string{grantCode, grantRefresh, grantDevice},
		"subject_types_supported":                                  []string{"public"},
		"id_token_signing_alg_values_supported":                    signingkey.Algorithms(),
		"code_challenge_methods_supported":                         []string{"S256"},
		"token_endpoint_auth_methods_supported":                    []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"claims_supported":                                         claimsKnown(),
		"claim_types_supported":                                    []string{"normal"},
		"claims_parameter_supported":                               true,
		"acr_values_supported":                                     classNames(),
		"authorization_response_iss_parameter_supported":           true, // RFC 9207
		"request_parameter_supported":                              true,
		"request_uri_parameter_supported":                          false,
		"backchannel_logout_supported":                             true, // always with sid
		"backchannel_logout_session_supported":                     true,
		"frontchannel_logout_supported":                            true,
		"frontchannel_logout_session_supported":                    true,
		"end_session_endpoint":                                     p.at(logoutPath),
		"dpop_signing_alg_values_supported":                        proofAlgorithmNames(),
		"introspection_endpoint":                                   p.at(introspectPath),
		"introspection_endpoint_auth_methods_supported":            []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"introspection_endpoint_auth_signing_alg_values_supported": clientAlgorithms(),
		"introspection_signing_alg_values_supported":               signingkey.Algorithms(), // RFC 9701
		"revocation_endpoint":                                      p.at(revokePath),
		"revocation_endpoint_auth_methods_supported":               []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"revocation_endpoint_auth_signing_alg_values_supported":    clientAlgorithms(),
		"pushed_authorization_request_endpoint":                    p.at(parPath),
		"registration_endpoint":                                    p.at(registerPath), // RFC 7591, under a key
		"device_authorization_endpoint":                            p.at(devicePath),   // RFC 8628 section 4
		"prompt_values_supported":                                  slices.Clone(promptsKnown),
		"ui_locales_supported":                                     p.locales.Tags(),
		"token_endpoint_auth_signing_alg_values_supported":         clientAlgorithms(),
		"request_object_signing_alg_values_supported":              clientAlgorithms(),
	}
	if p.mutual != nil {
		p.mutualMetadata(all)
	}
	published(w, all)
}

// mutualMetadata adds what is so where clients can show certificates (RFC 8705 sections 3.3 and 5).
func (p *Provider) mutualMetadata(all map[string]any) {
	for _, name := range []string{"token", "introspection", "revocation"} {
		methods := name + "_endpoint_auth_methods_supported"
		all[methods] = append(all[methods].([]string), "tls_client_auth", "self_signed_tls_client_auth")
	}
	all["tls_client_certificate_bound_access_tokens"] = true
	if p.mutual.String() == p.public.String() {
		return
	}
	aliases := map[string]string{}
	for name, path := range certifiedPaths {
		aliases[name] = p.mutual.JoinPath(path).String()
	}
	all["mtls_endpoint_aliases"] = aliases
}

// certifiedPaths are where clients show certificates, by their names in the metadata.
var certifiedPaths = map[string]string{"token_endpoint": tokenPath, "introspection_endpoint": introspectPath, "revocation_endpoint": revokePath,
	"pushed_authorization_request_endpoint": parPath, "userinfo_endpoint": userinfoPath, "device_authorization_endpoint": devicePath}

// clientAlgorithms are those by which clients may sign.
func clientAlgorithms() []string {
	return []string{"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "EdDSA"}
}

// publish is the set of our public keys (RFC 7517).
func (p *Provider) publish(w http.ResponseWriter, r *http.Request) {
	set, err := p.statements.publicKeys(r.Context())
	if err != nil {
		p.notes.broken(w, err)
		return
	}
	published(w, set)
}

// published answers with what everybody may read and keep, scripts of other origins as well.
func published(w http.ResponseWriter, v any) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	writeJSON(w, http.StatusOK, v)
}
