package forwardauth

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestCheckOpenings(t *testing.T) {
	for text, good := range map[string]bool{
		`"public":[{"path":"/assets"}]`:                    true,
		`"public":[{"path":"/hooks/","methods":["POST"]}]`: true,
		`"public":[{"path":"/"}]`:                          false,
		`"public":[{"path":""}]`:                           false,
		`"public":[{"path":"/%2e%2e/x"}]`:                  false,
		`"public":[{"path":"/a","methods":["post"]}]`:      false,
		`"public":[{"path":"/a","methods":["TRACE"]}]`:     false,
		`"public":[{"path":"/a","action":"x"}]`:            false,
		`"preflight":[{"path":"/","origins":["https://app.example.org","http://localhost:3000"]}]`: true,
		`"preflight":[{"path":"/api"}]`:                                           false,
		`"preflight":[{"path":"api","origins":["https://app.example.org"]}]`:      false,
		`"preflight":[{"path":"/api","origins":["*"]}]`:                           false,
		`"preflight":[{"path":"/api","origins":["null"]}]`:                        false,
		`"preflight":[{"path":"/api","origins":["https://app.example.org/"]}]`:    false,
		`"preflight":[{"path":"/api","origins":["https://App.example.org"]}]`:     false,
		`"preflight":[{"path":"/api","origins":["https://app.example.org:443"]}]`: false,
		`"preflight":[{"path":"/api","origins":["https://u@app.example.org"]}]`:   false,
		`"preflight":[{"path":"/api","origins":["file://x"]}]`:                    false,
	} {
		raw := json.RawMessage(`{"hosts":["h"],` + text + `}`)
		if err := CheckSettings(raw); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
		if good && len(Caveats(raw)) == 0 {
			t.Errorf("%s is not told by coverage", text)
		}
	}
}

// The promise: coverage says of each opening which paths, methods and origins it is.
func TestOpeningsAreTold(t *testing.T) {
	told := strings.Join(Caveats(json.RawMessage(`{"hosts":["h"],"ambiguous":"pass","public":[{"path":"/assets"},{"path":"/hooks","methods":["POST"]}],"preflight":[{"path":"/api","origins":["https://app.example.org"]}]}`)), "\n")
	for _, part := range []string{"/assets and everything under it (GET and HEAD)", "/hooks and everything under it (POST)", "/api and everything under it that name https://app.example.org", "ambiguous: pass"} {
		if !strings.Contains(told, part) {
			t.Errorf("coverage does not say %q:\n%s", part, told)
		}
	}
}

// The promise: an opening is for what it names in the one reading that a request has, and a
// preflight for what is one.
func TestOpens(t *testing.T) {
	var s Settings
	if err := json.Unmarshal([]byte(`{"public":[{"path":"/assets"}],"preflight":[{"path":"/api","origins":["https://app.example.org"]}]}`), &s); err != nil {
		t.Fatal(err)
	}
	at := place{app: "wiki", openings: prepareOpenings(s)}
	cors := http.Header{"Origin": {"https://app.example.org"}, "Access-Control-Request-Method": {"PUT"}}
	for _, k := range []struct {
		method, target string
		overridden     bool
		header         http.Header
		want           bool
	}{
		{"GET", "/assets/a", false, nil, true},
		{"HEAD", "/assets", false, nil, true},
		{"GET", "/assets/a%2fb", false, nil, true},
		{"GET", "/assets;v=1/a", false, nil, false},
		{"GET", "/assets%2fa", false, nil, false},
		{"GET", "/%61ssets/a", false, nil, true},
		{"GET", "/Assets/a", false, nil, false},
		{"GET", "/assets/a", true, nil, false},
		{"POST", "/assets/a", false, nil, false},
		{"OPTIONS", "/assets/a", false, cors, false},
		{"OPTIONS", "/api/a", false, cors, true},
		{"OPTIONS", "/api/a", false, nil, false},
		{"OPTIONS", "/api/a", true, cors, false},
		{"OPTIONS", "/api/a", false, http.Header{"Origin": {"https://app.example.org", "https://app.example.org"}, "Access-Control-Request-Method": {"PUT"}}, false},
		{"OPTIONS", "/api/a", false, http.Header{"Origin": {"https://app.example.org"}, "Access-Control-Request-Method": {"P UT"}}, false},
		{"GET", "/api/a", false, cors, false},
	} {
		read, ok := at.read(k.target)
		if got := ok && at.opens(request{method: k.method, target: read, overridden: k.overridden}, k.header); got != k.want {
			t.Errorf("%s %s %v: %v", k.method, k.target, k.header, got)
		}
	}
}
