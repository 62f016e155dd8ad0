package signin

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator/accesspass"
)

// Strangers who know a name keep nobody from using their pass, in whatever browser: it
// is all that somebody new, or on the way back in, has, and nobody guesses 80 bits.
func TestStrangersCloseNoPass(t *testing.T) {
	r := newRig(t, "rules:\n  - {name: all, when: 'true', require: access-pass}\n")
	bob := r.person("bob")
	r.withPassword(bob)
	text, enrolled, err := accesspass.Issue(r.Now(), 8*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r.give(bob, "accesspass", enrolled)
	from := netip.MustParseAddr("192.0.2.1")
	try := func(kind, text string) Step {
		q := browses(Self, "bob", typed(kind, text))
		q.Action, q.Object, q.Source = "authenticator.enroll", SettingUp, from
		return r.begin(q)
	}
	for range 60 {
		from = from.Next()
		r.clock.Later(time.Minute)
		for kind, wrong := range map[string]string{"accesspass": "AAAA-AAAA-AAAA-AAAA", "password": "a wrong one, and long"} {
			if s := try(kind, wrong); s.State == Granted {
				t.Fatalf("a wrong %s: %+v", kind, s)
			}
		}
	}
	from = netip.MustParseAddr("198.51.100.7")
	if s := try("accesspass", text); s.State == Denied || len(s.Prompts) == 0 && s.State != Granted {
		t.Errorf("the right pass: %+v", s)
	}
	shown := r.events("evidence.accepted")
	if len(shown) != 1 || shown[0].Detail["authenticator"] != "accesspass" || shown[0].Detail["traits"] != assurance.Vouched.String() {
		t.Errorf("shown: %+v", shown)
	}
	if s := try("accesspass", text); s.State == Granted {
		t.Errorf("a pass is good twice: %+v", s)
	}
}
