package radius

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/protocol"
)

// shownFor is what is shown of an application for a product: its paths, and the lines of its
// files with and without those that are comments.
func shownFor(t *testing.T, g protocol.Guide, name, client string) (all string, live []string) {
	t.Helper()
	settings, err := json.Marshal(map[string]any{"clients": []any{map[string]any{"name": client, "networks": []string{"10.0.0.7"}, "secret": "kX9-Lq27-vTzp-40aM"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := protocol.Place{Public: &url.URL{Scheme: "https", Host: "login.corp.example"}, Sockets: func(string) []string { return []string{"10.1.2.9:1812"} }}
	files, err := g.Write(application.Application{Name: name, Title: "a }\n title", Protocol: Protocol, Settings: settings}, at)
	if err != nil {
		t.Fatalf("%s of %q: %v", g.Name, client, err)
	}
	for _, f := range files {
		all += f.Path + "\n" + f.Text
		live = append(live, f.Path)
		for line := range strings.Lines(f.Text) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "!") {
				live = append(live, line)
			}
		}
	}
	return all, live
}

// The promise: no product's files hold a secret, and no name adds to what a file says or ends
// what stands there: outside of comments it is letters, digits and dashes, and a comment is
// one line.
func TestGuidesHoldNoSecretAndNothingOdd(t *testing.T) {
	for _, g := range guides() {
		tame, lines := shownFor(t, g, "a-b", "c-d")
		if strings.Contains(tame, "kX9-Lq27-vTzp-40aM") || strings.Contains(tame, "the-shared-secret") || !strings.Contains(tame, "10.1.2.9") && g.Name != "openvpn" {
			t.Errorf("%s:\n%s", g.Name, tame)
		}
		for _, odd := range []string{"\"", "'", ";", "{", "}", "`", "$", "\\", "/", "%", "=", " ", "é"} {
			all, live := shownFor(t, g, "a"+odd+"b", "c"+odd+"d")
			if !slices.Equal(live, lines) || strings.Count(all, "\n") != strings.Count(tame, "\n") {
				t.Errorf("%s with %q:\n%s", g.Name, odd, all)
			}
		}
	}
	for _, name := range []string{"a\nsecret", "a\rb", "a\x00b"} {
		settings, err := json.Marshal(map[string]any{"clients": []any{map[string]any{"name": name, "networks": []string{"10.0.0.7"}, "secret": "kX9-Lq27-vTzp-40aM"}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range guides() {
			if files, err := g.Write(application.Application{Name: "vpn", Protocol: Protocol, Settings: settings}, protocol.Place{}); err == nil || strings.Contains(err.Error(), "kX9") {
				t.Errorf("%s with the client %q: %v %v", g.Name, name, files, err)
			}
		}
	}
}
