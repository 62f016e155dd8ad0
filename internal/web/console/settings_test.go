package console

import (
	"encoding/json"
	"net/url"
	"testing"

	"countersign/internal/admin/application"
	"countersign/internal/protocol"
	"countersign/internal/protocol/forwardauth"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/yubico"
)

// testPages have the protocols that there are, and nothing to work on.
func testPages() *applicationPages {
	return &applicationPages{protocols: protocol.List{forwardauth.Description(), radius.Description(), yubico.Description()}}
}

// What the form does not have is left as it was stored, and what is shown and
// sent back unchanged is the same.
func TestSettingsComeBack(t *testing.T) {
	for protocol, settings := range map[string]string{
		"forward-auth": `{"hosts":["a.example.org","b.example.org:8443"],"later":{"deep":[1,2.50]},"rules":[{"action":"wiki.admin","methods":["POST","PUT"],"path":"/admin/"},{"action":"x","path":"/x"}]}`,
		"radius":       `{"bind":"client","clients":[{"message_authenticator_exception":{"expires":"2026-12-01T00:00:00Z","reason":"old"},"name":"a","nas_identifiers":["one","two"],"networks":["127.0.0.1"],"secret":"(hidden)"}],"code_digits":8,"mode":"appended","ports":[1812,1813],"replies":[{"attributes":[{"name":"Class","value":"x"}]}],"separator":",","source_attribute":"Calling-Station-Id","timeout":30}`,
		"yubico":       `{"clients":[{"id":7,"key":"(hidden)","later":true,"name":"gateway"}]}`,
	} {
		f := testPages().filled(application.Application{Name: "app", Kind: "vpn", Tier: "standard", Protocol: protocol, Settings: json.RawMessage(settings)})
		c := testPages().read(nil, f).(*application.Set)
		if f.bad() || string(c.Settings) != settings {
			t.Errorf("%s: %v\n%s\n%s", protocol, f.problems, settings, c.Settings)
		}
	}
}

func FuzzSettings(f *testing.F) {
	f.Add("radius", `{"clients":[{"name":"a"}]}`, "client-name-0", "a")
	f.Add("forward-auth", `{"hosts":[1]}`, "rule-path-199", "/x")
	f.Fuzz(func(t *testing.T, protocol, base, name, value string) {
		form := typed(url.Values{"protocol": {protocol}, "base": {base}, name: {value}, "hosts": {value}, "client-networks-0": {value}, "ports": {value}})
		c := testPages().read(nil, form).(*application.Set)
		if !form.bad() && !json.Valid(c.Settings) {
			t.Errorf("not JSON: %s", c.Settings)
		}
		for _, d := range testPages().protocols {
			for _, g := range d.Form {
				rowNumbers(form, g)
			}
			fillSettings(form, d.Form, json.RawMessage(base))
		}
	})
}

func TestDocumentLines(t *testing.T) {
	f := filled("body", "a\r\nb\r\n\r\n")
	if d := document(f); d != "a\nb\n" {
		t.Errorf("%q", d)
	}
	if lines := linesOf("a\r\n\n# b"); len(lines) != 3 || lines[0].Text != "a" || !lines[2].Remark || lines[2].Number != 3 {
		t.Errorf("%+v", lines)
	}
}
