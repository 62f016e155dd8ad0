package saml

import (
	"encoding/json"
	"testing"

	"countersign/internal/failure"
	"countersign/internal/protocol/saml/message"
)

// settings are good ones with something else in them.
func settings(change func(m map[string]any)) json.RawMessage {
	m := map[string]any{"entity_id": "https://wiki.example.org/saml", "consumers": []any{map[string]any{"url": "https://wiki.example.org/acs"}}}
	change(m)
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return raw
}

func set(key string, value any) func(map[string]any) {
	return func(m map[string]any) { m[key] = value }
}

func TestSettings(t *testing.T) {
	consumer := func(url string) []any { return []any{map[string]any{"url": url}} }
	for name, change := range map[string]func(map[string]any){
		"as they are": func(map[string]any) {}, "at another port": set("consumers", consumer("https://wiki.example.org:8443/acs?x=1")), "a mail address": set("name", "mail"), "hours": set("hours", 24), "bound sessions": set("sessions", "bound"),
		"two addresses": set("consumers", []any{map[string]any{"url": "https://a.example.org/"}, map[string]any{"url": "https://b.example.org/", "index": 1}}), "attributes": set("attributes", []any{map[string]any{"what": "mail"}, map[string]any{"what": "mail", "as": "mail"}}),
	} {
		if err := CheckSettings(settings(change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(map[string]any){
		"no entity": set("entity_id", ""), "a space in it": set("entity_id", "a b"), "no address": set("consumers", []any{}), "a word": set("consumers", consumer("acs")), "a script": set("consumers", consumer("javascript:alert(1)")),
		"a name in it": set("consumers", consumer("https://a@b.example.org/")), "a fragment": set("consumers", consumer("https://b.example.org/#x")), "a backslash": set("consumers", consumer(`https://b.example.org\@evil.example.org/`)),
		"a quote": set("consumers", consumer(`https://b.example.org/"`)), "a line": set("consumers", consumer("https://b.example.org/\n")), "twice": set("consumers", append(consumer("https://b.example.org/"), consumer("https://b.example.org/")...)),
		"one index twice": set("consumers", append(consumer("https://b.example.org/"), consumer("https://c.example.org/")...)), "an unknown name": set("name", "handle"), "unknown": set("unsigned", "yes"), "25 hours": set("hours", 25), "sessions of a word": set("sessions", "any"),
		"an unknown attribute": set("attributes", []any{map[string]any{"what": "salary"}}), "one attribute twice": set("attributes", []any{map[string]any{"what": "mail"}, map[string]any{"what": "mail"}}),
		"no certificate": set("certificates", []any{"hello"}), "a key in its place": set("certificates", []any{"-----BEGIN PRIVATE KEY-----", "AAAA", "-----END PRIVATE KEY-----"}),
		"logout without a certificate": set("logout", "https://wiki.example.org/slo"), "logout by carrier pigeon": set("logout_binding", "soap"), "a setting that is none": set("secret", "x"), "begun nowhere": set("start", "here"),
	} {
		if err := CheckSettings(settings(change)); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A response goes to the address that is asked for if it is registered, letter for letter, and
// to no other.
func TestWhereResponsesGo(t *testing.T) {
	p, err := read(settings(set("consumers", []any{map[string]any{"url": "https://a.example.org/acs", "index": 3}, map[string]any{"url": "https://b.example.org/acs"}})))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    string
		index int
		want  string
	}{{"", -1, "https://a.example.org/acs"}, {"https://b.example.org/acs", -1, "https://b.example.org/acs"}, {"", 0, "https://b.example.org/acs"}, {"", 3, "https://a.example.org/acs"}, {"", 1, ""},
		{"https://a.example.org/acs/", -1, ""}, {"https://a.example.org/acs?x", -1, ""}, {"https://A.example.org/acs", -1, ""}, {"https://a.example.org:443/acs", -1, ""}, {"https://a.example.org@evil.example.org/acs", -1, ""},
		{"https://a.example.org.evil.example.org/acs", -1, ""}, {"https://a.example.org/acs#x", -1, ""}, {"http://a.example.org/acs", -1, ""}, {`https://a.example.org\acs`, -1, ""}, {"https://a.example.org/%61cs", -1, ""}, {"https://a.example.org/x/../acs", -1, ""}} {
		if got, ok := p.settings.consumer(c.at, c.index); got != c.want || ok != (c.want != "") {
			t.Errorf("%q %d: %q %t", c.at, c.index, got, ok)
		}
	}
}

// A request can ask for a name that tells less than the settings, or for the same.
func TestNamesThatAreAskedFor(t *testing.T) {
	plain, _ := read(settings(func(map[string]any) {}))
	account, _ := read(settings(set("name", "account")))
	mails, _ := read(settings(set("attributes", []any{map[string]any{"what": "mail"}})))
	for _, c := range []struct {
		to        party
		format, q string
		kind      string
		ok        bool
	}{{plain, "", "", NamePersistent, true}, {plain, message.FormatUnspecified, "", NamePersistent, true}, {plain, message.FormatTransient, "", NameTransient, true}, {plain, message.FormatMail, "", NamePersistent, false},
		{mails, message.FormatMail, "", NameMail, true}, {account, "", "", NameAccount, true}, {account, message.FormatPersistent, "", NamePersistent, true}, {plain, message.FormatEncrypted, "", NamePersistent, false},
		{plain, message.FormatEntity, "", NamePersistent, false}, {plain, "", "https://other.example.org", NamePersistent, false}, {plain, "", "https://wiki.example.org/saml", NamePersistent, true}} {
		if kind, ok := (asked{Format: c.format, Qualifier: c.q}).named(&c.to); ok != c.ok || ok && kind != c.kind {
			t.Errorf("%s for %s: %s %t", c.format, c.to.settings.name(), kind, ok)
		}
	}
}
