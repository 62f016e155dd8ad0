package forwardauth

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"countersign/internal/failure"
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
)

// keyKind and keyPrefix are of package apikey, which no protocol imports.
const (
	keyKind   = "apikey"
	keyPrefix = "cskey_"
)

// credentials are what a request brings for us in its Authorization. The zero value is nothing.
type credentials struct {
	key                  string
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
	switch {
	case strings.EqualFold(scheme, "Bearer") && keys && strings.HasPrefix(rest, keyPrefix):
		return credentials{key: rest}
	case !strings.EqualFold(scheme, "Basic") || !keys && !codes:
		return credentials{}
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	name, password, found := strings.Cut(string(b), ":")
	switch {
	case err != nil || !found || !utf8.Valid(b):
		return credentials{}
	case keys && strings.HasPrefix(password, keyPrefix):
		return credentials{key: password}
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
	if c.password == "" || c.code == "" {
		return signin.Step{Public: "Send the password and a code in one, as password,123456.", Reason: "no-code"}, nil
	}
	r.Medium, r.Name = prompt.Single, c.name
	r.Opening = []prompt.Answer{{Authenticator: "password", Text: c.password}, {Authenticator: signin.AnyCode, Text: c.code}}
	return d.engine.Begin(ctx, r)
}

// program reports whether a request comes from a program that shows nobody a dialogue for a
// password: all browsers say that they are Mozilla.
func program(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "" && !strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

// checkPrograms says what is wrong with what settings that are to be saved take of programs.
func (s Settings) checkPrograms() error {
	for _, p := range s.Programs {
		if p != AutomationKey && p != PasswordAndCode {
			return failure.New(failure.Invalid, "%q is not what programs can bring; use %q or %q.", p, AutomationKey, PasswordAndCode)
		}
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
	return out
}
