package saml

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/protocol"
)

// What is shown to be copied has the application's own words in it, and nothing that ends a line
// or a text in a configuration file or in a shell.
func TestGuides(t *testing.T) {
	at := protocol.Place{Public: &url.URL{Scheme: "https", Host: "login.corp.example"}}
	write := func(g protocol.Guide, name, entity, consumer string) (string, error) {
		raw, err := json.Marshal(map[string]any{"entity_id": entity, "consumers": []any{map[string]any{"url": consumer}}})
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
		tame, err := write(g, "wiki", "https://wiki.corp.example/meta", "https://wiki.corp.example/auth/postResponse")
		if err != nil || !strings.Contains(tame, "https://login.corp.example/saml/metadata") || !strings.Contains(tame, "https://wiki.corp.example/meta") {
			t.Errorf("%s: %v\n%s", g.Name, err, tame)
		}
		if g.Name == "mellon" && (!strings.Contains(tame, "MellonEndpointPath /auth\n") || !strings.Contains(tame, "metadata https://wiki.corp.example/meta https://wiki.corp.example/auth\n")) {
			t.Errorf("the endpoint is another one:\n%s", tame)
		}
		for _, odd := range []string{"'", ";", "{", "`", "$", "(", "!", "#", "&", "|", `"`, `\`, "<", "*"} {
			if all, err := write(g, "wiki", "https://wiki.corp.example/me"+odd+"ta", "https://wiki.corp.example/acs"); err == nil {
				t.Errorf("%s with %q in the entity ID:\n%s", g.Name, odd, all)
			}
			if all, err := write(g, "wiki", "https://wiki.corp.example/meta", "https://wiki.corp.example/ac"+odd+"s"); err == nil {
				t.Errorf("%s with %q in the address:\n%s", g.Name, odd, all)
			}
		}
		if all, err := write(g, "wi\nki; $(id)", "https://wiki.corp.example/meta", "https://wiki.corp.example/auth/postResponse"); err != nil || strings.Count(all, "\n") != strings.Count(tame, "\n") || strings.Contains(all, "$(") {
			t.Errorf("%s with a name of two lines: %v\n%s", g.Name, err, all)
		}
	}
}
