package mailcode

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/prompt"
)

// pressed is the authenticator with somebody who always has a code sent, and the
// mailbox that it comes to.
type pressed struct {
	*Authenticator
	came *authenticator.Message
	kept []byte
}

func (p pressed) Ask(credentials []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	c := authenticator.Credential{State: p.kept} // nobody's: only who has shown something is asked at all
	if len(credentials) > 0 {
		c = credentials[0]
	}
	message, q, memo, err := p.Send(c, now)
	*p.came = message
	return q, memo, err
}

// Offer is the second question of an enrollment, for the code that came.
func (p pressed) Offer(who authenticator.Person, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	_, memo, err := p.Authenticator.Offer(who, now)
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	var another *authenticator.Another
	if _, err = p.Accept(context.Background(), who, memo, prompt.Answer{Authenticator: Kind, Text: "ada@example.org"}, now); !errors.As(err, &another) {
		return prompt.Prompt{}, nil, err
	}
	*p.came = another.Message
	return another.Prompt, another.Memo, nil
}

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
		New: func(testing.TB) authenticator.Authenticator { return pressed{New("Example"), &came, kept} },
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
		a, ok := readAddress(text)
		if got := ""; ok {
			if got = a.masked(); got != want {
				t.Errorf("%q is read as %q", text, got)
			}
		} else if want != "" {
			t.Errorf("%q is refused", text)
		}
	}
}
