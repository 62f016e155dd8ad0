package registration

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"slices"

	"countersign/internal/admin"
)

// metadata is what a client says of itself (RFC 7591 section 2). What is not known is ignored, as that
// section demands; what is asked for and not done here is refused, so that nobody believes it is.
type metadata map[string]json.RawMessage

// text is a value that is a text, or empty.
func (m metadata) text(name string) string {
	var s string
	_ = json.Unmarshal(m[name], &s) // another kind of value is none
	return s
}

func (m metadata) yes(name string) bool {
	var b bool
	_ = json.Unmarshal(m[name], &b) // as above
	return b
}

// texts are a value that is a list of texts; one of another kind is refused.
func (m metadata) texts(name string) ([]string, error) {
	var out []string
	if raw, there := m[name]; there && json.Unmarshal(raw, &out) != nil {
		return nil, badMetadata(name + " is a list of texts.")
	}
	return out, nil
}

// titleMost is how long a title can be, in bytes; a longer name is no title.
const titleMost = 100

// title is what people call a client.
func (m metadata) title(name string) string {
	if s := m.text("client_name"); s != "" && len(s) <= titleMost {
		return s
	}
	return name
}

// methods are how a client may prove who it is, by the words of our settings.
var methods = map[string]string{"client_secret_basic": "secret", "client_secret_post": "secret", "private_key_jwt": "private-key", "self_signed_tls_client_auth": "self-signed-tls", "none": "none"}

// grants are the grant types that a client may ask for.
var grants = []string{"authorization_code", "refresh_token"}

// refusals say of metadata that is not done here why.
func (m metadata) refusals() error {
	switch {
	case m["software_statement"] != nil:
		return &fault{400, "unapproved_software_statement", "No software statement is taken: nobody is trusted here to make one. Leave it out."}
	case m["jwks_uri"] != nil:
		return badMetadata("Nothing is fetched from an address. Send the keys themselves, in jwks.")
	case m["sector_identifier_uri"] != nil || m.text("subject_type") == "pairwise":
		return badMetadata("Subjects are public: leave subject_type and sector_identifier_uri out.")
	case m["request_uris"] != nil || m["initiate_login_uri"] != nil:
		return badMetadata("Requests and sign-ins are not begun from an address: leave request_uris and initiate_login_uri out.")
	case m["id_token_encrypted_response_alg"] != nil || m["userinfo_encrypted_response_alg"] != nil || m["request_object_encryption_alg"] != nil:
		return badMetadata("Nothing is encrypted but by TLS: leave the encryption algorithms out.")
	case m["userinfo_signed_response_alg"] != nil:
		return badMetadata("Userinfo is not signed: leave userinfo_signed_response_alg out.")
	}
	for _, name := range []string{"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email"} {
		if m[name] != nil {
			return badMetadata("A certificate of an authority is set up by an administrator, who says which authority: leave " + name + " out.")
		}
	}
	return nil
}

// settings are the application's for this metadata, over those that it has; nil is none. A secret is
// made where one is needed and none is there, and returned.
func (m metadata) settings(has map[string]any, id string) (out map[string]any, secret string, err error) {
	if err := m.refusals(); err != nil {
		return nil, "", err
	}
	out = map[string]any{"consent": "ask"} // it is somebody else's until an administrator says otherwise
	if has != nil {
		out = maps.Clone(has)
	}
	out["client_id"] = id
	for _, name := range []string{"redirect_uris", "post_logout_redirect_uris"} {
		if out[name], err = m.texts(name); err != nil {
			return nil, "", err
		}
	}
	for _, read := range []func(map[string]any) error{m.readGrants, m.readMethod, m.readKeys, m.readForms} {
		if err := read(out); err != nil {
			return nil, "", err
		}
	}
	if out["authentication"] != "secret" {
		delete(out, "client_secret")
	} else if out["client_secret"] != admin.Hidden {
		secret = newSecret()
		out["client_secret"] = secret
	}
	return out, secret, nil
}

func newSecret() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// readGrants reads which grants a client uses (RFC 7591 section 2).
func (m metadata) readGrants(out map[string]any) error {
	types, err := m.texts("grant_types")
	if err != nil {
		return err
	}
	responses, err := m.texts("response_types")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(responses, func(s string) bool { return s != "code" }) {
		return badMetadata("The response type is code and no other.")
	}
	if slices.ContainsFunc(types, func(s string) bool { return !slices.Contains(grants, s) }) {
		return badMetadata("The grant types are authorization_code and refresh_token; devices are let in where an administrator says so.")
	}
	if !slices.Contains(types, "refresh_token") {
		delete(out, "refresh")
		delete(out, "offline_days")
	} else if out["refresh"] == nil {
		out["refresh"] = "session"
	}
	return nil
}

// readMethod reads how a client proves who it is.
func (m metadata) readMethod(out map[string]any) error {
	asked := m.text("token_endpoint_auth_method")
	if asked == "" {
		asked = "client_secret_basic" // RFC 7591 section 2
	}
	own, known := methods[asked]
	if !known {
		return badMetadata("token_endpoint_auth_method is client_secret_basic, client_secret_post, private_key_jwt, self_signed_tls_client_auth or none.")
	}
	out["authentication"] = own
	return nil
}

// readKeys reads the client's keys and its certificates (x5c, RFC 8705 section 2.2.2), by value.
func (m metadata) readKeys(out map[string]any) error {
	delete(out, "public_keys")
	delete(out, "tls_certificates")
	delete(out, "tls_name")
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if raw := m["jwks"]; raw == nil {
		return nil
	} else if json.Unmarshal(raw, &set) != nil {
		return badMetadata("jwks is a set of keys: {\"keys\": [...]}.")
	}
	keys, certificates := []string{}, []string{}
	for _, one := range set.Keys {
		var chain struct {
			X5C []string `json:"x5c"`
		}
		if json.Unmarshal(one, &chain) != nil {
			return badMetadata("One of the keys is none.")
		}
		if len(chain.X5C) == 0 {
			keys = append(keys, string(one))
			continue
		}
		der, err := base64.StdEncoding.DecodeString(chain.X5C[0])
		if err != nil {
			return badMetadata("One of the certificates (x5c) is none.")
		}
		certificates = append(certificates, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	if out["authentication"] == "self-signed-tls" {
		out["tls_certificates"] = certificates
	} else if len(certificates) > 0 {
		return badMetadata("Certificates (x5c) are for self_signed_tls_client_auth; leave them out of the keys.")
	}
	if len(keys) > 0 {
		out["public_keys"] = keys
	}
	return nil
}

// readForms reads what else a client says of how it asks.
func (m metadata) readForms(out map[string]any) error {
	set := func(name string, value string) {
		if delete(out, name); value != "" {
			out[name] = value
		}
	}
	switch kind := m.text("application_type"); kind {
	case "", "web":
		set("runs", "")
	case "native":
		set("runs", "native")
	default:
		return badMetadata("The application_type is web or native.")
	}
	if alg := m.text("id_token_signed_response_alg"); alg != "" {
		set("id_token_algorithm", alg)
	}
	if m.yes("require_pushed_authorization_requests") {
		set("requests", "pushed")
	}
	switch {
	case m.yes("tls_client_certificate_bound_access_tokens"):
		set("sender_constrained", "tls")
	case m.yes("dpop_bound_access_tokens") && out["sender_constrained"] != "dpop-nonce":
		set("sender_constrained", "dpop")
	}
	return nil
}

// told is what a client is registered as: what is done here, whatever was asked for.
func told(settings map[string]any, title string) map[string]any {
	text := func(name string) string { s, _ := settings[name].(string); return s }
	out := map[string]any{"client_id": text("client_id"), "client_name": title, "redirect_uris": settings["redirect_uris"], "response_types": []string{"code"}, "grant_types": []string{"authorization_code"},
		"application_type": "web", "id_token_signed_response_alg": "ES256", "subject_type": "public"}
	for word, own := range map[string]string{"client_secret_basic": "secret", "private_key_jwt": "private-key", "tls_client_auth": "tls", "self_signed_tls_client_auth": "self-signed-tls", "none": "none"} {
		if text("authentication") == own || text("authentication") == "" && own == "secret" {
			out["token_endpoint_auth_method"] = word
		}
	}
	if text("refresh") != "" {
		out["grant_types"] = []string{"authorization_code", "refresh_token"}
	}
	if text("runs") == "native" {
		out["application_type"] = "native"
	}
	if alg := text("id_token_algorithm"); alg != "" {
		out["id_token_signed_response_alg"] = alg
	}
	out["require_pushed_authorization_requests"] = text("requests") == "pushed" || text("profile") == "fapi2"
	out["dpop_bound_access_tokens"] = text("sender_constrained") == "dpop" || text("sender_constrained") == "dpop-nonce"
	out["tls_client_certificate_bound_access_tokens"] = text("sender_constrained") == "tls"
	if post := settings["post_logout_redirect_uris"]; post != nil {
		out["post_logout_redirect_uris"] = post
	}
	return out
}
