package look

import "testing"

func TestWords(t *testing.T) {
	l := &Look{Options: Options{Kinds: map[string]Kind{"totp": {Noun: "authenticator app"}, "password": {Noun: "password"}, "hotp": {Noun: "code token"}, "passkey": {Noun: "passkey"}}}}
	for list, want := range map[string]string{"totp": "authenticator app", "password, totp": "password and authenticator app",
		"password, hotp, passkey": "password, code token and passkey", "": "", "something-new": "something-new"} {
		if got := l.Nouns(list); got != want {
			t.Errorf("%q is called %q", list, got)
		}
	}
	if got := l.Act("group.create", "group operators (Operators)").String(); got != "group.create: group operators (Operators)" {
		t.Errorf("what is approved reads %q", got)
	}
	if got := l.Act("authenticator.enroll", "hotp").String(); got != "Set up: code token" {
		t.Errorf("what is approved reads %q", got)
	}
}
