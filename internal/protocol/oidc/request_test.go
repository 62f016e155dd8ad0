package oidc

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

const goodChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B

func asked(more ...string) params {
	v := params{"response_type": "code", "scope": "openid", "code_challenge": goodChallenge, "code_challenge_method": "S256"}
	for i := 0; i < len(more); i += 2 {
		if v[more[i]] = more[i+1]; more[i+1] == "" {
			delete(v, more[i])
		}
	}
	return v
}

// What is missing, weaker or of another kind is refused, and by the word that the standards have
// for it.
func TestWhatIsRefusedOfARequest(t *testing.T) {
	for name, c := range map[string]struct {
		v    params
		want string
	}{
		"whole":                     {asked(), ""},
		"no response type":          {asked("response_type", ""), "invalid_request"},
		"a token in the address":    {asked("response_type", "token"), "unsupported_response_type"},
		"an ID token so":            {asked("response_type", "id_token"), "unsupported_response_type"},
		"both":                      {asked("response_type", "code id_token"), "unsupported_response_type"},
		"in a fragment":             {asked("response_mode", "fragment"), "invalid_request"},
		"no PKCE":                   {asked("code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		"a method and no challenge": {asked("code_challenge", ""), "invalid_request"},
		"a challenge and no method": {asked("code_challenge_method", ""), "invalid_request"},
		"plain":                     {asked("code_challenge_method", "plain"), "invalid_request"},
		"plain that looks like it":  {asked("code_challenge_method", "s256"), "invalid_request"},
		"a short challenge":         {asked("code_challenge", goodChallenge[1:]), "invalid_request"},
		"a padded one":              {asked("code_challenge", goodChallenge+"="), "invalid_request"},
		"one of another spelling":   {asked("code_challenge", goodChallenge[:42]+"N"), "invalid_request"},
		"no openid":                 {asked("scope", "profile"), "invalid_scope"},
		"none and login":            {asked("prompt", "none login"), "invalid_request"},
		"an unknown prompt":         {asked("prompt", "create"), "invalid_request"},
		"a negative age":            {asked("max_age", "-1"), "invalid_request"},
		"an age of letters":         {asked("max_age", "1h"), "invalid_request"},
		"an endless age":            {asked("max_age", "99999999999999999999"), "invalid_request"},
		"many classes":              {asked("acr_values", strings.Repeat("phr ", 21)), "invalid_request"},
		"a registration":            {asked("registration", "{}"), "registration_not_supported"},
	} {
		q := request{client: client{Settings: settings(t, nil)}}
		if f := q.understand(c.v); f.code != c.want || (f.code == "") != (f.says == "") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// A parameter stands once, and a value is of a length that somebody could mean.
func TestParametersStandOnce(t *testing.T) {
	for name, c := range map[string]struct {
		values url.Values
		want   bool
	}{
		"once": {url.Values{"a": {"b"}}, true}, "twice": {url.Values{"client_id": {"a", "b"}}, false}, "twice alike": {url.Values{"client_id": {"a", "a"}}, false},
		"twice and unknown": {url.Values{"x": {"", ""}}, false}, "long": {url.Values{"state": {strings.Repeat("x", valueMost+1)}}, false},
	} {
		if _, f := readParams(c.values); f.is() == c.want || strings.Contains(f.says, "xxx") {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if _, f := readParams(url.Values{"a secret": {"x", "x"}}); strings.Contains(f.says, "secret") {
		t.Errorf("a name is echoed: %s", f.says)
	}
}

// Ages are counted from when the client asked: what was shown on the way is new enough.
func TestWishes(t *testing.T) {
	begun := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		v     params
		after time.Duration
		since time.Time
	}{
		"nothing":                {asked(), 0, time.Time{}},
		"an hour":                {asked("max_age", "3600"), 0, begun.Add(-time.Hour)},
		"an hour, later":         {asked("max_age", "3600"), 10 * time.Minute, begun.Add(-50 * time.Minute)},
		"nothing at all":         {asked("max_age", "0"), 0, begun},
		"nothing at all, later":  {asked("max_age", "0"), 10 * time.Minute, begun},
		"anew":                   {asked("prompt", "login"), 10 * time.Minute, begun},
		"anew, and an hour":      {asked("prompt", "login", "max_age", "3600"), 10 * time.Minute, begun},
		"less than it has taken": {asked("max_age", "60"), 10 * time.Minute, begun},
	} {
		q := request{client: client{Settings: settings(t, nil)}, begun: begun}
		if f := q.understand(c.v); f.is() {
			t.Fatalf("%s: %+v", name, f)
		}
		w, _ := q.wish(begun.Add(c.after))
		if !w.since.Equal(c.since) {
			t.Errorf("%s: since %v, and it is %v", name, w.since, c.since)
		}
	}
}

// Whatever comes, it is read or refused, and no more is kept of it than can be meant.
func FuzzRequest(f *testing.F) {
	f.Add("response_type=code&scope=openid&code_challenge=" + goodChallenge + "&code_challenge_method=S256&prompt=login&max_age=1&acr_values=phr")
	f.Add("a=b&a=b")
	f.Add("scope=%00&state=%ff")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		v, fault := readParams(values)
		if fault.is() {
			return
		}
		q := request{client: client{Settings: Settings{ClientID: "wiki"}}, begun: time.Now()}
		if q.understand(v).is() {
			return
		}
		if q.challenge == "" || len(q.scopes) == 0 || q.mode == "" {
			t.Errorf("%q is understood as %+v", text, q)
		}
		if w, _ := q.wish(time.Now()); len(w.wanted) > mostClasses {
			t.Errorf("%d classes", len(w.wanted))
		}
	})
}
