package look

import "testing"

func TestWords(t *testing.T) {
	for list, want := range map[string]string{"totp": "authenticator app", "password, totp": "password and authenticator app",
		"password, hotp, passkey": "password, code token and passkey", "": "", "something-new": "something-new"} {
		if got := Kinds(list); got != want {
			t.Errorf("%q is called %q", list, got)
		}
	}
	if got := Act("group.create", "group operators (Operators)"); got != "group.create: group operators (Operators)" {
		t.Errorf("what is approved reads %q", got)
	}
	if got := Act("authenticator.enroll", "hotp"); got != "Set up: code token" {
		t.Errorf("what is approved reads %q", got)
	}
}
