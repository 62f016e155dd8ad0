package mailcode

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/directory"
	"countersign/internal/prompt"
)

func TestExam(t *testing.T) {
	var came authenticator.Message
	kept, err := json.Marshal(state{1, "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	typed := func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
		return prompt.Answer{Authenticator: Kind, Text: came.Text[:sentcode.Digits]}
	}
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator {
			return authenticatortest.Pressed{Sending: New("Example", directory.CheckMail), Came: &came, State: kept, To: "ada@example.org"}
		},
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			return authenticator.Enrolled{State: kept, Traits: traits, Label: "Mail"}, typed
		},
		Confirm: typed,
		Unmoved: true,
	})
}

// What a code by mail shows meets no requirement that lets anybody in.
func TestItSignsNobodyIn(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	shown := []assurance.Evidence{{Kind: Kind, Traits: traits, Time: now}, {Kind: "password", Traits: assurance.Known, Time: now}}
	for _, name := range assurance.Names() {
		r, err := assurance.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Met(shown[:1], now) || r.Met(shown, now) && name != "one-factor" && name != "aal1" {
			t.Errorf("a code by mail meets %s", name)
		}
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		" ada@example.org ": "a…@example.org", "Ada <ada@example.org>": "", "ada@example.org, eve@example.org": "", "ada": "",
		"ada@example.org\r\nBcc: eve@example.org": "", strings.Repeat("a", 250) + "@example.org": "", "": "", "ä@example.org": "ä…@example.org",
	} {
		read, err := directory.CheckMail(text)
		if got := ""; err == nil {
			if got = address(read).masked(); got != want {
				t.Errorf("%q is read as %q", text, got)
			}
		} else if want != "" {
			t.Errorf("%q is refused", text)
		}
	}
}
