package forwardauth

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/protocol"
)

func placed(public string) protocol.Place {
	u, err := url.Parse(public)
	if err != nil {
		panic(err)
	}
	return protocol.Place{Public: u, Ask: protocol.AskAt("127.0.0.1:8080", u)}
}

func appOf(name, settings string) application.Application {
	return application.Application{Name: name, Title: name, Protocol: Protocol, Settings: json.RawMessage(settings)}
}

// written is every file of a proxy, one after the other.
func written(t *testing.T, proxy string, app application.Application, at protocol.Place) (string, error) {
	t.Helper()
	var all strings.Builder
	for _, g := range guides() {
		if g.Name != proxy {
			continue
		}
		files, err := g.Write(app, at)
		if err != nil {
			return "", err
		}
		for _, f := range files {
			all.WriteString(f.Text)
		}
	}
	return all.String(), nil
}

// The promise: what is shown has the application's own names and addresses, and nothing of
// the example's.
func TestGuides(t *testing.T) {
	app := appOf("payroll", `{"hosts": ["pay.corp.example:8443", "pay.corp.example"], "backend": "http://10.1.2.3:9000"}`)
	for _, g := range guides() {
		for _, public := range []string{"http://login.corp.example", "https://login.corp.example"} {
			text, err := written(t, g.Name, app, placed(public).With("pay.corp.example:8443", "", "", "10.1.2.9:8080"))
			if err != nil {
				t.Fatal(g.Name, err)
			}
			for _, want := range []string{"pay.corp.example", "10.1.2.3", "9000", "8443", "10.1.2.9"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s at %s lacks %s", g.Name, public, want)
				}
			}
			for _, other := range []string{"wiki", "example.org", "127.0.0.1:8080", "8081", "127.0.0.1:3000"} {
				if strings.Contains(text, other) {
					t.Errorf("%s at %s has the example's %s:\n%s", g.Name, public, other, text)
				}
			}
		}
	}
}

// Nothing gets into a configuration but names, addresses and numbers.
func TestGuidesRefuse(t *testing.T) {
	app := appOf("payroll", `{"hosts": ["pay.corp.example", "*.apps.example.org"]}`)
	for what, at := range map[string]protocol.Place{
		"a host of nobody's":     placed("http://login.test").With("other.example", "", "", ""),
		"a label more":           placed("http://login.test").With("a.b.apps.example.org", "", "", ""),
		"a back end with a line": placed("http://login.test").With("", "127.0.0.1:3000;\n}", "", ""),
		"a back end with a path": placed("http://login.test").With("", "http://127.0.0.1:3000/x", "", ""),
		"a back end with a user": placed("http://login.test").With("", "http://a:b@127.0.0.1:3000", "", ""),
		"an odd Countersign":     placed("http://login.test").With("", "", "", "127.0.0.1:8080;}"),
		"no port":                placed("http://login.test").With("", "", "", "127.0.0.1"),
	} {
		for _, g := range guides() {
			if text, err := written(t, g.Name, app, at); err == nil {
				t.Errorf("%s for %s:\n%s", what, g.Name, text)
			}
		}
	}
	if _, err := written(t, "nginx", app, placed("http://login.test").With("x.apps.example.org", "", "", "")); err != nil {
		t.Errorf("a host of the wildcard: %v", err)
	}
	if _, err := written(t, "haproxy", app, placed("http://login.test").With("", "", "", "login.test:8080")); err == nil {
		t.Error("HAProxy gets a name, which it cannot look up")
	}
}

func TestPlaces(t *testing.T) {
	for settings, good := range map[string]bool{
		`{"hosts": ["a.example"], "backend": "http://10.0.0.7:3000", "inside": ["10.0.0.0/24", "10.1.0.1"]}`: true,
		`{"hosts": ["a.example"], "backend": "ftp://10.0.0.7"}`:                                              false,
		`{"hosts": ["a.example"], "inside": ["169.254.169.254"]}`:                                            false,
		`{"hosts": ["a.example"], "inside": ["0.0.0.0/0"]}`:                                                  false,
		`{"hosts": ["a.example"], "inside": ["10.0.0.1/24"]}`:                                                false,
		`{"hosts": ["a.example"], "inside": ["inside.example"]}`:                                             false,
	} {
		if err := CheckSettings(json.RawMessage(settings)); (err == nil) != good {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
