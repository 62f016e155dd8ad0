package oidc

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/protocol"
)

// What is shown to be copied has the application's own words in it, no secret, and nothing that
// ends a line or a text in a configuration file.
func TestGuides(t *testing.T) {
	at := protocol.Place{Public: &url.URL{Scheme: "https", Host: "login.corp.example"}}
	write := func(g protocol.Guide, name, redirect string) (string, error) {
		raw, err := json.Marshal(map[string]any{"client_id": "the-wiki", "client_secret": "a-secret-that-is-shown-to-nobody-at-all", "redirect_uris": []string{redirect}, "introspects": []string{"mail-programs"}})
		if err != nil {
			t.Fatal(err)
		}
		files, err := g.Write(application.Application{Name: name, Title: "a }\n title", Protocol: Protocol, Settings: raw}, at)
		all := ""
		for _, f := range files {
			all += f.Path + "\n" + f.Text
		}
		return all, err
	}
	for _, g := range guides() {
		tame, err := write(g, "wiki", "https://wiki.corp.example/callback")
		if err != nil || strings.Contains(tame, "shown-to-nobody") || !strings.Contains(tame, "login.corp.example") || !strings.Contains(tame, "the-wiki") || !strings.Contains(tame, secretWord) && g.Name != "cloud" && g.Name != "kubernetes" {
			t.Errorf("%s: %v\n%s", g.Name, err, tame)
		}
		for _, odd := range []string{"'", ";", "{", "`", "$", ",", "(", "!", "#"} {
			if all, err := write(g, "wiki", "https://wiki.corp.example/call"+odd+"back"); err == nil && strings.Contains(all, odd+"back") {
				t.Errorf("%s with %q:\n%s", g.Name, odd, all)
			}
		}
		if all, err := write(g, "wi\nki", "https://wiki.corp.example/callback"); err != nil || strings.Count(all, "\n") != strings.Count(tame, "\n") {
			t.Errorf("%s with a name of two lines: %v\n%s", g.Name, err, all)
		}
	}
}

// Who asks about tokens and signs nobody in gets the lines for that, and no others.
func TestGuideOfAMailServer(t *testing.T) {
	at := protocol.Place{Public: &url.URL{Scheme: "https", Host: "login.corp.example"}}
	mail := application.Application{Name: "mail", Protocol: Protocol, Settings: json.RawMessage(`{"client_id": "mail", "client_secret": "a-secret-that-is-shown-to-nobody-at-all", "introspects": ["mail-programs"]}`)}
	for _, g := range guides() {
		files, err := g.Write(mail, at)
		if (g.Name == "dovecot") != (err == nil) {
			t.Errorf("%s: %v", g.Name, err)
		}
		if err == nil && !strings.Contains(files[0].Text, "introspection_url = https://mail:"+secretWord+"@login.corp.example/oidc/introspect\n") {
			t.Errorf("%s", files[0].Text)
		}
	}
}
