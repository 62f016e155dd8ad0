package forwardauth

import (
	"encoding/json"
	"testing"
)

func TestCheckSettings(t *testing.T) {
	for text, good := range map[string]bool{
		`{"hosts":["wiki.example.org","localhost:8081"]}`:                        true,
		`{"hosts":["wiki.example.org"],"rules":[{"path":"/a/","action":"x.y"}]}`: true,
		`{"hosts":[]}`:                   false,
		`{"hosts":["Wiki.example.org"]}`: true,
		`{"hosts":["*.example.org"]}`:    true,
		`{"hosts":["*.org"]}`:            false,
		`{"hosts":["h"],"rules":[{"path":"/a","action":"x","query":["=v"]}]}`:     false,
		`{"hosts":["h"],"rules":[{"path":"/a","action":"x","methods":["post"]}]}`: false,
		`{"hosts":["a@b"]}`:                                                   false,
		`{"hosts":["h"],"sessions":"bound"}`:                                  true,
		`{"hosts":["h"],"sessions":"any"}`:                                    false,
		`{"hosts":["h"],"sessions":"bound","programs":["automation-key"]}`:    false,
		`{"hosts":["h"],"sessions":"bound","programs":["password-and-code"]}`: false,
		`{"hosts":["h"],"unknown":1}`:                                         false,
		`{"hosts":["h"],"rules":[{"path":"/../a","action":"x"}]}`:             false,
		`{"hosts":["h"],"rules":[{"path":"/a"}]}`:                             false,
		`[]`: false,
	} {
		if err := CheckSettings(json.RawMessage(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzCheckSettings(f *testing.F) {
	f.Add([]byte(`{"hosts":["h"],"rules":[{"path":"/a","action":"x"}]}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = CheckSettings(b) })
}

func TestIdentityCannotBreakOut(t *testing.T) {
	for in, want := range map[string]string{"ada": "ada", "a\r\nRemote-User: root": "a%0D%0ARemote-User:%20root", "100%": "100%25", "Zoë": "Zo%C3%AB"} {
		if got := plain(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
