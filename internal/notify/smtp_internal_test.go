package notify

import (
	"strings"
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

// The organisation's name is under a mail, and names a sender that has no other name; whatever it
// holds, it is one line.
func TestMailsAreTheOrganisations(t *testing.T) {
	for body, want := range map[string]string{"Hello.\n": "Hello.\n\n-- \nExample & Sons\n", "Hello.\n\n\n": "Hello.\n\n-- \nExample & Sons\n", "": "\n\n-- \nExample & Sons\n"} {
		if got := signed(body, "Example & Sons"); got != want {
			t.Errorf("%q becomes %q", body, got)
		}
	}
	if got := signed("Hello.\n", ""); got != "Hello.\n" {
		t.Errorf("signed by nobody: %q", got)
	}
	if got := signed("Hello.\n", "A\nB"); strings.Count(got, "\n") != 4 {
		t.Errorf("a name of two lines: %q", got)
	}
	for from, want := range map[string]string{"mfa@example.org": `"Example & Sons" <mfa@example.org>`, "IT <mfa@example.org>": `"IT" <mfa@example.org>`} {
		if m, err := readSender(from, "Example & Sons"); err != nil || m.header != want || m.envelope != "mfa@example.org" {
			t.Errorf("%s becomes %q: %v", from, m.header, err)
		}
	}
	if m, err := readSender("mfa@example.org", ""); err != nil || m.header != "<mfa@example.org>" {
		t.Errorf("of nobody: %q %v", m.header, err)
	}
	if m, err := readSender("mfa@example.org", "A\r\nBcc: eve@evil.test"); err == nil && strings.ContainsAny(m.header, "\r\n") {
		t.Errorf("a header of two lines: %q", m.header)
	}
}
