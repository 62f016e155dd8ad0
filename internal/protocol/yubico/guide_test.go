package yubico

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/protocol"
)

const guideKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODk="

func shownFor(g protocol.Guide, name, client string) (all string, live []string, err error) {
	settings, err := json.Marshal(map[string]any{"clients": []any{map[string]any{"name": client, "id": 41, "key": guideKey}}})
	if err != nil {
		return "", nil, err
	}
	at := protocol.Place{Public: &url.URL{Scheme: "https", Host: "login.corp.example"}}
	files, err := g.Write(application.Application{Name: name, Title: "a }\n title", Protocol: Protocol, Settings: settings}, at)
	for _, f := range files {
		all += f.Path + "\n" + f.Text
		live = append(live, f.Path)
		for line := range strings.Lines(f.Text) {
			if !strings.HasPrefix(line, "#") {
				live = append(live, line)
			}
		}
	}
	return all, live, err
}

// The promise: no program's file holds a key, and no name adds to what a file says or ends what
// stands there: outside of comments it is letters, digits and dashes, and a comment is one line.
func TestGuidesHoldNoKeyAndNothingOdd(t *testing.T) {
	for _, g := range guides() {
		tame, lines, err := shownFor(g, "a-b", "c-d")
		if err != nil || strings.Contains(tame, guideKey) || strings.Contains(tame, "the-client-key") || !strings.Contains(tame, "https://login.corp.example") || !strings.Contains(tame, "41 ") {
			t.Errorf("%s: %v\n%s", g.Name, err, tame)
		}
		for _, odd := range []string{"\"", "'", ";", "{", "}", "`", "$", "\\", "/", "%", "=", " ", "é"} {
			all, live, err := shownFor(g, "a"+odd+"b", "c"+odd+"d")
			if err != nil || !slices.Equal(live, lines) || strings.Count(all, "\n") != strings.Count(tame, "\n") {
				t.Errorf("%s with %q: %v\n%s", g.Name, odd, err, all)
			}
		}
		for _, name := range []string{"a\nauth sufficient pam_permit.so", "a\rb", "a\x00b"} {
			if all, _, err := shownFor(g, "sudo", name); err == nil || strings.Contains(err.Error(), guideKey) {
				t.Errorf("%s with the client %q: %v\n%s", g.Name, name, err, all)
			}
		}
	}
}
