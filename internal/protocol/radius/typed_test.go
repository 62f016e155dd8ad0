package radius

import "testing"

// What equipment makes of a typed text becomes that text again.
func TestAsTyped(t *testing.T) {
	for octets, want := range map[string]string{"": "", "plain": "plain", "Zo\xc3\xab": "Zoë", "Zo\xeb": "Zoë", "12\x80": "12€", "123456\r\n": "123456", "123456\n": "123456", "pass\x00rest": "pass", "a b ": "a b ", "a\rb": "a\rb"} {
		if got := asTyped([]byte(octets)); got != want {
			t.Errorf("%q is taken as %q, not %q", octets, got, want)
		}
	}
}

// Another case or domain of a name is for the same State, as far as it goes, and another name or nothing is not.
func TestStateOfAnotherSpelling(t *testing.T) {
	to := func(name string) bearer {
		return (&job{client: &client{key: []byte("k")}, content: content{name: []byte(name)}}).bearer()
	}
	state := to("bob").write(stateAnswer, "ticket")
	for name, same := range map[string]bool{"bob": true, "BOB": true, "Bob ": true, "ｂｏｂ": true, "bo": false, "rob": false, `CORP\bob`: true, "bob@corp": true, `CORP\rob`: false, "rob@bob": false, `bob\rob`: false, "@bob": false, "": false} {
		if _, _, ok := to(name).read(state); ok != same {
			t.Errorf("the State of bob for %q: %v", name, ok)
		}
	}
}

// A space that somebody types before the code is no part of the password, and one more is.
func TestSplitAtSpace(t *testing.T) {
	d := &door{digits: 6}
	for typed, want := range map[string][2]string{"password 123456": {"password", "123456"}, "password123456": {"password", "123456"}, "password  123456": {"password ", "123456"}, "password 12345": {"password 12345", ""}} {
		if password, code := d.split(typed); [2]string{password, code} != want {
			t.Errorf("%q is split in %q and %q", typed, password, code)
		}
	}
}
