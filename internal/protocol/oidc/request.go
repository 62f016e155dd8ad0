package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	modeQuery = "query"
	modeForm  = "form_post"

	// requestMost is how long a request can be, and valueMost one of its values, in bytes.
	requestMost = 16 << 10
	valueMost   = 4 << 10
)

// params are the parameters of a request, each once.
type params map[string]string

// readParams reads parameters. One that stands twice is refused (RFC 6749 section 3.1), since
// two programs would read different ones; an empty one is as if it were not there.
func readParams(values url.Values) (params, fault) {
	out := params{}
	for name, all := range values {
		switch {
		case len(all) > 1:
			return nil, fault{"invalid_request", "The parameter " + known(name) + " stands more than once."}
		case len(all[0]) > valueMost && name != "request":
			return nil, fault{"invalid_request", "The parameter " + known(name) + " is too long."}
		case all[0] != "":
			out[name] = all[0]
		}
	}
	return out, fault{}
}

// known is the name of a parameter where it is one of ours: nothing else of a request is echoed.
func known(name string) string {
	if slices.Contains(parameters, name) {
		return name
	}
	return "of another name"
}

var parameters = []string{"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "response_mode", "display", "prompt", "max_age", "ui_locales",
	"id_token_hint", "login_hint", "acr_values", "claims", "request", "request_uri", "code_challenge", "code_challenge_method", "dpop_jkt", "registration", resumed,
	"grant_type", "code", "code_verifier", "refresh_token", "client_secret", "client_assertion", "client_assertion_type", "access_token", "token", "token_type_hint", "device_code", "user_code", "post_logout_redirect_uri", "logout_hint"}

// fault is what is wrong with a request: a code of RFC 6749 or OpenID Connect Core, and a
// sentence for the client's developers that holds nothing of the request. The zero fault is none.
type fault struct{ code, says string }

func (f fault) is() bool { return f.code != "" }

// request is what a client asks of a browser that it sent, understood.
type request struct {
	client   client
	redirect string
	state    string
	mode     string
	nonce    string
	scopes   []string
	// challenge is that of PKCE, always S256.
	challenge string
	// key is the thumbprint of the key that the code is to be bound to (dpop_jkt); empty is none.
	key     string
	prompts []string
	// maxAge is how old what was shown may be; negative is not said.
	maxAge time.Duration
	// classes are those of which the client wants one; essential that it wants none below.
	classes   []string
	essential bool
	// methods are those of which one must have been used (amr, essential).
	methods []string
	// idClaims and userClaims are single claims that are asked for, by where they go.
	idClaims, userClaims []string
	// sub is whom the client means, as a hint token or the claim says; empty is anybody.
	sub  string
	hint string // login_hint
	// begun is when it was first asked.
	begun time.Time
}

func (q request) prompted(word string) bool { return slices.Contains(q.prompts, word) }

// promptsKnown are the prompts that are served.
var promptsKnown = []string{"none", "login", "consent", "select_account"}

// understand reads what follows once client and redirect URI are known.
func (q *request) understand(v params) fault {
	q.mode = v["response_mode"]
	if q.mode == "" {
		q.mode = modeQuery
	}
	switch {
	case q.mode != modeQuery && q.mode != modeForm:
		q.mode = modeQuery
		return fault{"invalid_request", "The response mode is query or form_post."}
	case v["response_type"] == "":
		return fault{"invalid_request", "The parameter response_type is missing; use code."}
	case v["response_type"] != "code":
		return fault{"unsupported_response_type", "Only the response type code is served."}
	case v["registration"] != "":
		return fault{"registration_not_supported", "Clients do not register with a request."}
	case len(q.state) > 2048 || len(v["nonce"]) > 1024:
		return fault{"invalid_request", "The state has 2048 characters at most and the nonce 1024."}
	}
	if q.nonce = v["nonce"]; len(v["login_hint"]) <= 128 {
		q.hint = v["login_hint"]
	}
	for _, read := range []func(params) fault{q.readPKCE, q.readKey, q.readScopes, q.readPrompts, q.readClasses, q.readClaims} {
		if f := read(v); f.is() {
			return f
		}
	}
	return fault{}
}

// readPKCE demands S256 of every client (RFC 7636, RFC 9700 section 2.1.1): who could leave it
// out could have somebody else's code taken. A client on a server that knows no PKCE may leave it
// out where its settings say so.
func (q *request) readPKCE(v params) fault {
	switch {
	case v["code_challenge"] == "" && v["code_challenge_method"] == "" && q.client.PKCE == PKCEOptional:
		return fault{}
	case v["code_challenge"] == "":
		return fault{"invalid_request", "The parameter code_challenge is missing: PKCE with S256 is needed of this client."}
	case v["code_challenge_method"] != "S256":
		return fault{"invalid_request", "The code challenge method is S256 and no other."}
	case !isDigest(v["code_challenge"]):
		return fault{"invalid_request", "The code challenge is the base64url of a SHA-256: 43 characters."}
	}
	q.challenge = v["code_challenge"]
	return fault{}
}

// readKey reads which key the code is to be bound to (RFC 9449 section 10).
func (q *request) readKey(v params) fault {
	if q.key = v["dpop_jkt"]; q.key != "" && !isDigest(q.key) {
		return fault{"invalid_request", "dpop_jkt is the base64url of a SHA-256: 43 characters."}
	}
	return fault{}
}

// isDigest reports whether a text is the base64url of 32 octets, spelled in the one way.
func isDigest(s string) bool {
	return len(s) == 43 && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(urlAlphabet, r) }) && strings.ContainsRune("AEIMQUYcgkosw048", rune(s[42]))
}

const urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (q *request) readScopes(v params) fault {
	words := strings.Fields(v["scope"])
	if !slices.Contains(words, "openid") {
		return fault{"invalid_scope", "The scope openid is missing."}
	}
	for _, s := range words {
		// Unknown ones are ignored (OpenID Connect Core section 3.1.2.1).
		if (slices.Contains(scopesKnown, s) || slices.Contains(q.client.Scopes, s)) && !slices.Contains(q.scopes, s) && (s != scopeOffline || q.client.Refresh == Offline) {
			q.scopes = append(q.scopes, s)
		}
	}
	return fault{}
}

func (q *request) readPrompts(v params) fault {
	q.prompts = strings.Fields(v["prompt"])
	for _, word := range q.prompts {
		if !slices.Contains(promptsKnown, word) {
			return fault{"invalid_request", "The prompt is one of " + strings.Join(promptsKnown, ", ") + "."}
		}
	}
	if q.prompted("none") && len(q.prompts) > 1 {
		return fault{"invalid_request", "The prompt none stands alone."}
	}
	q.maxAge = -1
	if text := v["max_age"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fault{"invalid_request", "max_age is a number of seconds."}
		}
		q.maxAge = time.Duration(n) * time.Second
	}
	return fault{}
}

// mostClasses bounds what is asked for.
const mostClasses = 20

func (q *request) readClasses(v params) fault {
	q.classes = strings.Fields(v["acr_values"])
	if len(q.classes) > mostClasses {
		return fault{"invalid_request", "acr_values has too many values."}
	}
	return fault{}
}

// wanted are the claims that a client asks for one by one (OpenID Connect Core section 5.5).
type wanted struct {
	UserInfo map[string]*wantedClaim `json:"userinfo"`
	IDToken  map[string]*wantedClaim `json:"id_token"`
}

type wantedClaim struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// texts are the values that are asked for.
func (c *wantedClaim) texts() (out []string) {
	if c == nil {
		return nil
	}
	for _, v := range append([]any{c.Value}, c.Values...) {
		if s, ok := v.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}

// readClaims reads the claims parameter. What it demands of acr, amr and sub is demanded; other
// claims are told where they are known.
func (q *request) readClaims(v params) fault {
	if v["claims"] == "" {
		return fault{}
	}
	var w wanted
	if json.Unmarshal([]byte(v["claims"]), &w) != nil || len(w.IDToken)+len(w.UserInfo) > 50 {
		return fault{"invalid_request", "The claims are a JSON object with the members id_token and userinfo."}
	}
	q.idClaims, q.userClaims = tellable(w.IDToken), tellable(w.UserInfo)
	if acr := w.IDToken["acr"]; acr != nil {
		if values := acr.texts(); len(values) > 0 { // they go before acr_values
			q.classes = append(values, q.classes...)
		}
		q.essential = acr.Essential && len(acr.texts()) > 0
	}
	if amr := w.IDToken["amr"]; amr != nil && amr.Essential {
		q.methods = amr.texts()
	}
	if sub := w.IDToken["sub"].texts(); len(sub) > 0 {
		q.sub = sub[0]
	}
	if len(q.classes) > 2*mostClasses {
		return fault{"invalid_request", "Too many values of acr are asked for."}
	}
	return fault{}
}

// tellable are those of the claims asked for that can be told.
func tellable(all map[string]*wantedClaim) (out []string) {
	for name := range all {
		if slices.ContainsFunc(scopesKnown, func(s string) bool { return slices.Contains(claimsOf[s], name) }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// readForm reads the parameters of a request's form alone, or of its address alone: never of both
// together.
func readForm(w http.ResponseWriter, r *http.Request) (params, fault) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if len(r.URL.RawQuery) > requestMost {
			return nil, fault{"invalid_request", "The request is too long."}
		}
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, fault{"invalid_request", "The request cannot be read."}
		}
		return readParams(values)
	}
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		return nil, fault{"invalid_request", "The request is a form: application/x-www-form-urlencoded."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, requestMost)
	if err := r.ParseForm(); err != nil {
		return nil, fault{"invalid_request", "The request cannot be read, or is too long."}
	}
	return readParams(r.PostForm)
}
