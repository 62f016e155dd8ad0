package forwardauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/oauth"
	"countersign/internal/prompt"
	"countersign/internal/signin"
)

// The values of [Settings.Programs]: what a request may bring in its Authorization, in the place
// of a session.
const (
	// AutomationKey is a key, as Bearer (RFC 6750) or as the password of Basic (RFC 7617).
	AutomationKey = "automation-key"
	// PasswordAndCode is a person's password and a code in one, as the password of Basic.
	PasswordAndCode = "password-and-code"
	// AccessToken is an access token of an OpenID client that [Settings.TokensOf] names, as
	// Bearer or as the password of Basic, where Git puts it.
	AccessToken = "access-token"
)

// keyKind and keyPrefix are of package apikey, which no protocol imports.
const (
	keyKind   = "apikey"
	keyPrefix = "cskey_"
)

// oidc is the protocol of clients that get access tokens.
const oidc = "oidc"

// credentials are what a request brings for us in its Authorization. The zero value is nothing.
type credentials struct {
	key, token           string
	name, password, code string
}

func (c credentials) ours() bool { return c != credentials{} }

// readCredentials reads the Authorization of a request, as far as the settings take it: anything
// else is the application's. A password without a code is ours, so that the application does not
// get it, and opens nothing.
func (at place) readCredentials(h http.Header) credentials {
	scheme, rest, _ := strings.Cut(single(h, "Authorization"), " ")
	rest = strings.Trim(rest, " ")
	keys, codes := slices.Contains(at.programs, AutomationKey), slices.Contains(at.programs, PasswordAndCode)
	tokens := slices.Contains(at.programs, AccessToken)
	switch {
	case strings.EqualFold(scheme, "Bearer") && keys && strings.HasPrefix(rest, keyPrefix):
		return credentials{key: rest}
	case strings.EqualFold(scheme, "Bearer") && tokens && strings.HasPrefix(rest, oauth.AccessMark):
		return credentials{token: rest}
	case !strings.EqualFold(scheme, "Basic") || len(at.programs) == 0:
		return credentials{}
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	name, password, found := strings.Cut(string(b), ":")
	switch {
	case err != nil || !found || !utf8.Valid(b):
		return credentials{}
	case keys && strings.HasPrefix(password, keyPrefix):
		return credentials{key: password}
	case tokens && strings.HasPrefix(password, oauth.AccessMark):
		return credentials{token: password}
	case !codes || name == "":
		return credentials{}
	}
	password, code := splitCode(password)
	return credentials{name: name, password: password, code: code}
}

// splitCode cuts a code off a password: behind the last comma, else the last six digits. It is
// empty where there is none.
func splitCode(typed string) (password, code string) {
	if at := strings.LastIndexByte(typed, ','); at >= 0 {
		return typed[:at], typed[at+1:]
	}
	at := len(typed) - 6
	if at < 0 || strings.Trim(typed[at:], "0123456789") != "" {
		return typed, ""
	}
	return typed[:at], typed[at:]
}

// serveProgram asks the engine about what a request brings in its Authorization. A password
// without a code is not even looked at.
func (d *Guard) serveProgram(ctx context.Context, q question, c credentials, source netip.Addr) (signin.Step, error) {
	r := q.asks("", source)
	if c.key != "" {
		step, err := d.engine.CheckKey(ctx, r, keyKind, c.key)
		if failure.ClassOf(err) == failure.Refused {
			return signin.Step{Public: failure.Public(err)}, nil
		}
		return step, err
	}
	if c.token != "" {
		return d.serveToken(ctx, q, r, c.token)
	}
	if c.password == "" || c.code == "" {
		return signin.Step{Public: "Send the password and a code in one, as password,123456.", Reason: "no-code"}, nil
	}
	r.Medium, r.Name = prompt.Single, c.name
	r.Opening = []prompt.Answer{{Authenticator: "password", Text: c.password}, {Authenticator: signin.AnyCode, Text: c.code}}
	return d.engine.Begin(ctx, r)
}

// errToken refuses an access token that opens nothing here: nobody learns why.
var errToken = failure.Refuse("access-token", "This access token is not good here, or not any more. Get a new one from the sign-in service.")

// serveToken asks the engine what was shown for an access token is good for here. A token that is
// bound to a key is none of a program that shows only the token (RFC 9449 section 7.2), and one
// of another client was not issued to be brought here (RFC 9700 section 2.3).
func (d *Guard) serveToken(ctx context.Context, q question, r signin.Request, token string) (signin.Step, error) {
	refused := func(reason string) (signin.Step, error) {
		d.miss(reason, q, r.Source)
		err := d.grants.Refused(ctx, token, q.at.app, r.Source, reason)
		return signin.Step{Public: failure.Public(errToken), Reason: reason}, err
	}
	a, err := d.grants.ByAccess(ctx, token)
	switch {
	case failure.ClassOf(err) == failure.Refused:
		return refused("unknown-token")
	case err != nil:
		return signin.Step{}, err
	case a.Key != "":
		return refused("bound-token")
	case !slices.Contains(q.at.tokensOf, a.Given.Client):
		return refused("other-client")
	}
	clients, err := d.applications.ByProtocol(ctx, oidc)
	if err != nil {
		return signin.Step{}, err
	}
	if !slices.ContainsFunc(clients, func(c application.Application) bool { return c.Name == a.Given.Client }) {
		return refused("no-client")
	}
	r.Session = d.grants.Reference(a.Given)
	step, err := d.engine.Check(ctx, r)
	if err != nil || step.State == signin.Granted {
		return step, err
	}
	return refused(cmp.Or(step.Reason, "not-enough")) // there is no browser to ask in
}

// program reports whether a request comes from a program that shows nobody a dialogue for a
// password: all browsers say that they are Mozilla.
func program(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "" && !strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

// checkPrograms says what is wrong with what settings that are to be saved take of programs.
func (s Settings) checkPrograms() error {
	for _, p := range s.Programs {
		if p != AutomationKey && p != PasswordAndCode && p != AccessToken {
			return failure.New(failure.Invalid, "%q is not what programs can bring; use %q, %q or %q.", p, AutomationKey, PasswordAndCode, AccessToken)
		}
	}
	tokens := slices.Contains(s.Programs, AccessToken)
	switch {
	case tokens && len(s.TokensOf) == 0:
		return failure.New(failure.Invalid, "Name the applications whose access tokens programs may bring (tokens_of): each is an OpenID client, by the name of its application.")
	case !tokens && len(s.TokensOf) > 0:
		return failure.New(failure.Invalid, "tokens_of is for programs that bring an %q; add that to programs.", AccessToken)
	}
	return nil
}

// served says in words what the settings take of programs.
func (s Settings) served() []string {
	var out []string
	if slices.Contains(s.Programs, AutomationKey) {
		out = append(out, "programs may come with an automation key in place of a session (programs: automation-key): whoever has the key has what policy lets its service do, from the networks that were approved with it")
	}
	if slices.Contains(s.Programs, PasswordAndCode) {
		out = append(out, "programs may send a name, a password and a code with a request (programs: password-and-code): nothing shows people whether it is this site that asks them for these")
	}
	if slices.Contains(s.Programs, AccessToken) {
		out = append(out, "programs may come with an access token of "+strings.Join(s.TokensOf, ", ")+" in place of a session (programs: access-token): whoever has the token has what its owner has here, until it ends")
	}
	return out
}
