package forwardauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The promise: of an Authorization only what the settings take is ours, and a password without a
// code is ours without opening anything.
func TestReadCredentials(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	tokens := []string{AccessToken}
	both, keys, codes := []string{AutomationKey, PasswordAndCode}, []string{AutomationKey}, []string{PasswordAndCode}
	for _, k := range []struct {
		programs []string
		sent     string
		want     credentials
	}{
		{both, "Bearer cskey_a_b", credentials{key: "cskey_a_b"}},
		{both, "bearer  cskey_a_b", credentials{key: "cskey_a_b"}},
		{both, basic("robot:cskey_a_b"), credentials{key: "cskey_a_b"}},
		{both, basic("ada:pass,123456"), credentials{name: "ada", password: "pass", code: "123456"}},
		{both, basic("ada:pass,word,cccccc"), credentials{name: "ada", password: "pass,word", code: "cccccc"}},
		{both, basic("ada:pass123456"), credentials{name: "ada", password: "pass", code: "123456"}},
		{both, basic("ada:a:b,123456"), credentials{name: "ada", password: "a:b", code: "123456"}},
		{both, basic("ada:password"), credentials{name: "ada", password: "password"}},
		{both, basic("ada:"), credentials{name: "ada"}},
		{keys, basic("ada:pass,123456"), credentials{}},
		{codes, "Bearer cskey_a_b", credentials{}},
		{codes, basic("robot:cskey_a_b"), credentials{name: "robot", password: "cskey_a_b"}},
		{nil, "Bearer cskey_a_b", credentials{}},
		{nil, basic("ada:pass,123456"), credentials{}},
		{tokens, "Bearer csat_a", credentials{token: "csat_a"}},
		{tokens, basic("oauth2:csat_a"), credentials{token: "csat_a"}},
		{tokens, basic("ada:theirs"), credentials{}},
		{tokens, "Bearer theirs", credentials{}},
		{tokens, "DPoP csat_a", credentials{}},
		{tokens, "Bearer cskey_a_b", credentials{}},
		{both, "Bearer csat_a", credentials{}},
		{keys, basic("oauth2:csat_a"), credentials{}},
		{both, "Bearer theirs", credentials{}},
		{both, "Basic !!!", credentials{}},
		{both, basic("no colon"), credentials{}},
		{both, basic("\xff:x,123456"), credentials{}},
		{both, basic(":x,123456"), credentials{}},
		{both, "Digest username=ada", credentials{}},
		{both, "", credentials{}},
	} {
		if got := (place{programs: k.programs}).readCredentials(http.Header{"Authorization": {k.sent}}); got != k.want {
			t.Errorf("%v %q: %+v", k.programs, k.sent, got)
		}
	}
	if got := (place{programs: both}).readCredentials(http.Header{"Authorization": {"Bearer cskey_a_b", "Bearer cskey_a_b"}}); got.ours() {
		t.Errorf("of two: %+v", got)
	}
}

func TestCheckPrograms(t *testing.T) {
	for text, told := range map[string]string{`["automation-key"]`: "automation key", `["password-and-code"]`: "a password and a code", `["password"]`: "", `["Automation-Key"]`: "", `[""]`: ""} {
		raw := json.RawMessage(`{"hosts":["h"],"programs":` + text + `}`)
		if err := CheckSettings(raw); (err == nil) != (told != "") {
			t.Errorf("%s: %v", text, err)
		}
		if said := strings.Join(Caveats(raw), "\n"); told != "" && !strings.Contains(said, told) {
			t.Errorf("%s: coverage says %q", text, said)
		}
		if TakesKeys(raw) != (text == `["automation-key"]`) {
			t.Errorf("%s takes keys: %v", text, TakesKeys(raw))
		}
	}
}

// The promise: a browser is never told to ask for a password by itself.
func TestOnlyProgramsAreChallenged(t *testing.T) {
	for agent, told := range map[string]bool{"curl/7.88.1": true, "git/2.39.2": true, "": true, "Mozilla/5.0 (X11; Linux x86_64)": false} {
		for _, programs := range [][]string{nil, {AutomationKey}} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("User-Agent", agent)
			w := httptest.NewRecorder()
			challengeProgram(w, r, place{app: "wiki", programs: programs})
			said := strings.Join(w.Header().Values("WWW-Authenticate"), "\n")
			if strings.Contains(said, "Basic") != (told && programs != nil) || strings.Contains(said, "Countersign") == strings.Contains(said, "Basic") {
				t.Errorf("%q, %v: %s", agent, programs, said)
			}
		}
	}
}

// The promise: settings say whose access tokens are taken, and say so where none can come.
func TestCheckTokensOf(t *testing.T) {
	for text, told := range map[string]string{
		`"programs":["access-token"],"tokens_of":["git"]`:   "an access token of git",
		`"programs":["access-token"]`:                       "",
		`"programs":["access-token"],"tokens_of":[]`:        "",
		`"programs":["automation-key"],"tokens_of":["git"]`: "",
		`"tokens_of":["git"]`:                               "",
	} {
		raw := json.RawMessage(`{"hosts":["h"],` + text + `}`)
		if err := CheckSettings(raw); (err == nil) != (told != "") {
			t.Errorf("%s: %v", text, err)
		}
		if said := strings.Join(Caveats(raw), "\n"); told != "" && !strings.Contains(said, told) {
			t.Errorf("%s: coverage says %q", text, said)
		}
	}
}
