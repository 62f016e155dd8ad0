package smscode

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/sentcode"
	"countersign/internal/prompt"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func codeIn(t *testing.T, m authenticator.Message) string {
	t.Helper()
	code, _, ok := strings.Cut(m.Text, " is your code for ")
	if !ok || !strings.HasSuffix(m.Text, "\n\n@login.example.org #"+code) {
		t.Fatalf("the message is %q", m.Text)
	}
	return code
}

// A code is right for the question that it was sent for, by its number, for ten
// minutes, and for nothing else.
func TestCheck(t *testing.T) {
	a := New("Example", "login.example.org")
	s, err := state{Number: "+4930123456"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	c := authenticator.Credential{ID: 7, State: s}
	message, p, memo, err := a.Send(c, noon)
	if err != nil || message.To != "+4930123456" || strings.Contains(p.Label, "0123") || !strings.Contains(p.Label, "+49 … 56") {
		t.Fatal(message, p, err)
	}
	code := codeIn(t, message)
	_, _, other, _ := a.Send(c, noon)
	for name, try := range map[string]struct {
		memo        authenticator.Memo
		credentials []authenticator.Credential
		text        string
		at          time.Time
		want        string
	}{
		"right":                {memo, []authenticator.Credential{c}, code[:3] + " " + code[3:], noon.Add(sentcode.Life - time.Second), ""},
		"late":                 {memo, []authenticator.Credential{c}, code, noon.Add(sentcode.Life), "expired"},
		"of another question":  {other, []authenticator.Credential{c}, code, noon, "wrong"},
		"before one was sent":  {nil, []authenticator.Credential{c}, code, noon, "not-sent"},
		"number removed since": {memo, nil, code, noon, "wrong"},
		"another number's":     {memo, []authenticator.Credential{{ID: 8, State: s}}, code, noon, "wrong"},
		"five digits":          {memo, []authenticator.Credential{c}, code[:5], noon, "malformed"},
		"nothing":              {memo, []authenticator.Credential{c}, "", noon, "malformed"},
	} {
		r, err := a.Check(context.Background(), try.credentials, try.memo, prompt.Answer{Text: try.text}, try.at)
		if err != nil || r.OK != (try.want == "") || r.Reason != try.want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if r.OK && (r.Traits != traits || r.Once == "" || r.Credential != 7) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A number counts when the code that was sent to it came back, and not before.
func TestEnroll(t *testing.T) {
	a, ada := New("Example", "login.example.org"), authenticator.Person{Account: 3}
	offered, memo, err := a.Offer(ada, noon)
	if err != nil || !strings.Contains(offered.Hint, "weakest") {
		t.Fatal(offered, err)
	}
	refused := func(memo authenticator.Memo, text, want string) {
		t.Helper()
		var r *authenticator.Refused
		if _, err := a.Accept(context.Background(), ada, memo, prompt.Answer{Text: text}, noon); !errors.As(err, &r) || r.Reason != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	refused(memo, "030 123456", "malformed")
	var another *authenticator.Another
	if _, err := a.Accept(context.Background(), ada, memo, prompt.Answer{Text: "+49 (30) 12-34 56"}, noon); !errors.As(err, &another) || another.Message.To != "+4930123456" {
		t.Fatal(err)
	}
	refused(another.Memo, "+4930123456", "malformed")
	if _, err := a.Accept(context.Background(), authenticator.Person{Account: 4}, another.Memo, prompt.Answer{Text: codeIn(t, another.Message)}, noon); err == nil {
		t.Error("somebody else's code was taken")
	}
	e, err := a.Accept(context.Background(), ada, another.Memo, prompt.Answer{Text: codeIn(t, another.Message)}, noon)
	if err != nil || e.Traits != traits || e.Label != "SMS to +49 … 56" {
		t.Errorf("%+v, %v", e, err)
	}
}

func FuzzReadNumber(f *testing.F) {
	for _, s := range []string{"+49 30 123456", "+1 (212) 555-0100", "0049301", "+", "+0123456789", "+123456789012345", "+1234567890123456", "+49\u00a030123456", "+49301234\n56"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := ReadNumber(s)
		if !ok {
			return
		}
		if again, ok := ReadNumber(string(n)); !ok || again != n || len(n) < 9 || len(n) > 16 || strings.Trim(string(n[1:]), "0123456789") != "" {
			t.Errorf("%q was read as %q", s, n)
		}
	})
}
