package notify

import (
	"testing"

	"countersign/internal/failure"
)

// A server's own name may be in other letters: DNS and certificates have it in punycode.
func TestServersInOtherLetters(t *testing.T) {
	for server, want := range map[string][2]string{
		"mail.müller.example:587": {"mail.xn--mller-kva.example:587", "mail.xn--mller-kva.example"},
		"mx.example.org:25":       {"mx.example.org:25", "mx.example.org"},
		"[2001:db8::7]:465":       {"[2001:db8::7]:465", "2001:db8::7"},
	} {
		m := Mailer{Server: server}
		if m.address() != want[0] || m.tlsConfig().ServerName != want[1] {
			t.Errorf("%s is %s, for %s", server, m.address(), m.tlsConfig().ServerName)
		}
	}
}

// A password waits for TLS, also where what comes before would let it pass.
func TestNoPasswordBeforeTLS(t *testing.T) {
	c := &conversation{ctx: t.Context(), server: "mx.example.org:25", offers: map[string]string{"AUTH": "PLAIN"}}
	if err := c.login("countersign", "correct horse"); failure.ReasonOf(err) != "tls" {
		t.Error(err)
	}
}
