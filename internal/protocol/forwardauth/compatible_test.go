package forwardauth

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// The promise: no two applications share a name's cookies, nor does one share
// those of our own pages, and none takes another's host.
func TestCheckCompatible(t *testing.T) {
	public, _ := url.Parse("https://auth.example.org")
	others := []application.Application{
		{Name: "code", Protocol: Protocol, Settings: json.RawMessage(`{"hosts":["code.example.org","*.apps.example.org","127.0.0.1:8081"]}`)},
		{Name: "vpn", Protocol: "radius", Settings: json.RawMessage(`{"hosts":["vpn.example.org"]}`)},
		{Name: "broken", Protocol: Protocol, Settings: json.RawMessage(`{"hosts":`)},
	}
	for host, want := range map[string]string{
		"wiki.example.org": "", "wiki.example.org:8443": "", "*.example.net": "", "vpn.example.org": "", "localhost:8081": "", "127.0.0.2:8081": "", "a.b.apps.example.org:8443": "", "apps.example.org:8443": "",
		"code.example.org": "already", "CODE.example.org.": "already", "*.apps.example.org": "already",
		"code.example.org:8443": "another port", "*.example.org:8443": "", "x.apps.example.org:8443": "another port", "*.apps.example.org:8443": "another port", "127.0.0.1:8082": "another port", "127.0.0.1": "another port",
		"x.apps.example.org": "", // the exact name goes before the wildcard
		"auth.example.org":   "own pages", "auth.example.org:8443": "own pages", "Auth.Example.org": "own pages", "*.example.org": "own pages",
	} {
		raw, _ := json.Marshal(Settings{Hosts: []string{"first.example.com", host}})
		err := CheckCompatible(raw, others, public)
		if host == "*.example.org:8443" {
			want = "own pages"
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(failure.Public(err), want) {
			t.Errorf("%s: %v", host, err)
		}
	}
	local, _ := url.Parse("http://localhost:8080")
	if err := CheckCompatible(json.RawMessage(`{"hosts":["localhost:8081"]}`), others, local); err != nil {
		t.Errorf("on this machine: %v", err)
	}
	both := json.RawMessage(`{"hosts":["one.example.com","one.example.com:8443"]}`)
	if err := CheckCompatible(both, others, public); err != nil {
		t.Errorf("two ports of one application: %v", err)
	}
}
