package main

import (
	"strings"
	"testing"
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
	} {
		var b strings.Builder
		if err := (connection{}).print(&b, []byte(c.json)); err != nil || b.String() != c.want {
			t.Errorf("%s:\n%q\n%q %v", c.json, b.String(), c.want, err)
		}
	}
}

func FuzzPrint(f *testing.F) {
	f.Add(`{"a":[{"b":1}]}`)
	f.Fuzz(func(_ *testing.T, text string) {
		var b strings.Builder
		connection{}.print(&b, []byte(text)) //nolint:errcheck // that it does not panic
	})
}
