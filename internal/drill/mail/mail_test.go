package mail

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"countersign/internal/drill/openid"
)

// Addresses of doors are read as administrators write them, and by no other scheme.
func TestReadDoor(t *testing.T) {
	for text, want := range map[string]Door{
		"imap://mail.example.org:143":   {Protocol: IMAP, Address: "mail.example.org:143"},
		"imaps://mail.example.org:993":  {Protocol: IMAP, Address: "mail.example.org:993", Sealed: true},
		"pop3s://[2001:db8::1]:995":     {Protocol: POP3, Address: "[2001:db8::1]:995", Sealed: true},
		"submissions://192.0.2.7:465":   {Protocol: SMTP, Address: "192.0.2.7:465", Sealed: true},
		"sieve://mail.example.org:4190": {Protocol: Sieve, Address: "mail.example.org:4190"},
		"https://mail.example.org:443":  {},
		"imap://mail.example.org":       {},
		"s://mail.example.org:1":        {},
		"mail.example.org:143":          {},
	} {
		got, err := ReadDoor(text)
		if got != want || (err == nil) != (want.Address != "") {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if err == nil && got.Name() != text {
			t.Errorf("%s is called %s", text, got.Name())
		}
	}
}

// A deployment's mail servers are found in the settings of applications, with a program that can be
// played; a server without one says so, door by door.
func TestHere(t *testing.T) {
	all := []openid.Configured{
		{Application: "mail", Settings: json.RawMessage(`{"client_id":"m","introspects":["r","k"],"token_scope":"mail","doors":["imap://mail.example.org:143","imaps://mail.example.org:993"]}`)},
		{Application: "filters", Settings: json.RawMessage(`{"client_id":"f","introspects":["k"],"token_scope":"mail","acr":"phr","doors":["sieve://mail.example.org:4190"]}`)},
	}
	programs := []openid.Client{{Application: "narrow", ID: "n", Scope: "openid"}, {Application: "bound", ID: "r2", Scope: "openid mail", Held: "dpop"}, {Application: "roundcube", ID: "r", Secret: "y", Scope: "openid mail"}}
	out, left, err := Here(all, programs, map[string]string{"mail.example.org:993": "192.0.2.7:1993"})
	if err != nil || len(out) != 1 {
		t.Fatal(len(out), err)
	}
	m := out[0]
	if m.Program.ID != "r" || m.Program.Secret != "y" || len(m.Others) != 2 || m.Others[0].ID != "n" || m.Strong {
		t.Errorf("%+v", m)
	}
	var names []string
	for _, d := range m.Doors {
		names = append(names, d.Name())
	}
	if !slices.Equal(names, []string{"imap://mail.example.org:143", "imap://mail.example.org:143 without TLS", "imaps://mail.example.org:993"}) || m.Doors[2].Address != "192.0.2.7:1993" {
		t.Errorf("%v, %+v", names, m.Doors)
	}
	if why := left["filters"]["sieve://mail.example.org:4190"]; len(left) != 1 || !strings.Contains(why, "none of the programs") {
		t.Errorf("%v", left)
	}
	if got := Addresses(all); !slices.Equal(got, []string{"mail.example.org:143", "mail.example.org:993", "mail.example.org:4190"}) {
		t.Errorf("%v", got)
	}
}

// The last line of an answer is the server's word, in each protocol.
func TestYes(t *testing.T) {
	for said, want := range map[string]bool{
		"* CAPABILITY IMAP4rev1\nd1 OK Logged in": true, "d1 NO [UNAVAILABLE] later": false, "d2 BAD no such command": false, "+OK 0 0": true, "-ERR no": false,
		"235 2.7.0 in": true, "535 5.7.8 no": false, "454 later": false, "OK": true, `NO "no"`: false, "BYE": false, "": false, "+ eyJ9": false,
	} {
		if yes(said) != want {
			t.Errorf("%q: %t", said, !want)
		}
	}
	for said, want := range map[string]bool{"+ eyJ9": true, "+": true, "334 x": true, `"eyJ9"`: true, "+OK": false, "d1 OK": false, "535 x": false} {
		if challenged(said) != want {
			t.Errorf("%q is a challenge: %t", said, !want)
		}
	}
}
