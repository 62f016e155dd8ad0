package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	auditcommands "countersign/internal/admin/audit"
	"countersign/internal/audit"
)

func TestPrint(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`[{"name":"ada","empty":"","groups":["a","b"]},{"name":"grace hopper","groups":[]}]`, "NAME          GROUPS\nada           a, b\ngrace hopper\n"},
		{`{"accounts":[{"name":"ada"}],"next":"ada"}`, "NAME\nada\nThere is more: go on with --after ada\n"},
		{`{"entries":[{"seq":3}],"next":3}`, "SEQ\n3\nThere is more: go on with --before 3\n"},
		{`{"name":"wiki","settings":{"hosts":["a","b"]}}`, "name  wiki\n\nsettings:\nhosts  a, b\n"},
		{`{"version":2,"body":"one\ntwo\n"}`, "version  2\n\nbody:\none\ntwo\n"},
		{`[]`, "Nothing.\n"},
		{`{"a":true,"b":false,"c":null}`, "a  yes\nb  no\n"},
		{`[{"number":"n","account":1,"evidence":[{"kind":"totp","traits":"held"}],"x":1,"y":2,"z":3,"agent":"v","source":"s"}]`, "NUMBER  SOURCE  AGENT  EVIDENCE\nn       s       v      totp\n"},
		// A list of accounts says what keeps an active one out.
		{`{"accounts":[{"name":"ada","display":"","kind":"person","state":"active","groups":[],"privileged":true,"dormant":true,"created":"2026-11-03T12:00:00Z","authenticators":["totp"]},{"name":"bob","kind":"person","state":"active","dormant":true,"at_risk":"2026-11-03T12:00:00Z"},` +
			`{"name":"eve","kind":"person","state":"active","dormant":false},{"name":"joe","kind":"person","state":"suspended","dormant":true}]}`,
			"NAME  STATE                     AUTHENTICATORS\nada   active, dormant           totp\nbob   active, dormant, at risk\neve   active\njoe   suspended, dormant\n"},
		{`{"accounts":[{"name":"ada","kind":"person","state":"active","ends":"2026-11-03T12:00:00Z","ended":true,"dormant":true,"privileged":false,"created":"2026-11-03T12:00:00Z","two_factors":false},` +
			`{"name":"bob","kind":"person","state":"active","ends":"2027-11-03T12:00:00Z","dormant":false},{"name":"eve","kind":"person","state":"active","dormant":false}]}`,
			"NAME  STATE                   ENDS\nada   active, ended, dormant  2026-11-03 12:00:00 UTC\nbob   active                  2027-11-03 12:00:00 UTC\neve   active\n"},
		// What somebody typed stays in its field: it moves no terminal and makes no line of its own.
		{"{\"account\":\"ada\",\"note\":\"seen\\u001b[2J\\nconfirmed  carol\\u202e\\u009b1m\"}", "account  ada\nnote     seen\\u{1B}[2J\\nconfirmed  carol\\u{202E}\\u{9B}1m\n"},
		{"[{\"account\":\"ada\",\"note\":\"a\\nb\\u2066c\"}]", "ACCOUNT  NOTE\nada      a\\nb\\u{2066}c\n"},
		{"{\"version\":1,\"body\":\"a\\n  b\\u001b]0;x\\u0007\\u200f\\n\"}", "version  1\n\nbody:\na\n  b\\u{1B}]0;x\\u{7}\\u{200F}\n"},
		{"{\"a\\u001b\":1,\"rows\":[{\"b\\u202e\":2}]}", "a\\u{1B}  1\n\nrows:\nB\\U{202E}\n2\n"},
	} {
		var b strings.Builder
		if err := (connection{}).print(&b, []byte(c.json)); err != nil || b.String() != c.want {
			t.Errorf("%s:\n%q\n%q %v", c.json, b.String(), c.want, err)
		}
	}
}

func FuzzPrint(f *testing.F) {
	f.Add(`{"a":[{"b":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		connection{}.print(&b, []byte(text)) //nolint:errcheck // that it does not panic
		if out := b.String(); strings.ContainsFunc(out, func(r rune) bool {
			return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u2068' && r != '\u2069'
		}) {
			t.Errorf("%q is printed raw: %q", text, out)
		}
	})
}

// Who did something has a column of their own.
func TestPrintNamesWho(t *testing.T) {
	b, err := json.Marshal(auditcommands.Page{Entries: []audit.Entry{{Event: "account.created", Actor: audit.Actor{Name: "ada", Via: "api"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := (connection{}).print(&out, b); err != nil || !strings.Contains(out.String(), "ACTOR") || !strings.Contains(out.String(), "ada by api") {
		t.Errorf("the actor has no column: %s %v", out.String(), err)
	}
}
