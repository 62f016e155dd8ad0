package password

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/prompt"
)

func open(t testing.TB) *Authenticator {
	t.Helper()
	a, err := New(authenticatortest.Hashing(), slowhash.NewGate(4, 1000))
	return authenticatortest.Hashed(t, a, err)
}

const right = "correct horse battery staple"

// checker hides that people can enroll a password: what the exam holds for
// hostile enrollment answers are passwords like any other.
type checker struct{ authenticator.Authenticator }

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator { return checker{open(t)} },
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			own := prompt.Answer{Authenticator: Kind, Text: rand.Text()}
			e, err := a.(checker).Authenticator.(*Authenticator).Accept(t.Context(), p, nil, own, now)
			if err != nil {
				t.Fatal(err)
			}
			return e, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer { return own }
		},
		Reusable: true, Unmoved: true,
	})
}

// A password typed on another keyboard, in another composition, is the same.
func TestNormalForm(t *testing.T) {
	a := open(t)
	e, err := a.Accept(t.Context(), authenticator.Person{}, nil, prompt.Answer{Text: "Zoe\u0308 am Fluss"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Check(t.Context(), []authenticator.Credential{{ID: 1, State: e.State}}, nil, prompt.Answer{Text: "Zoë am Fluss"}, time.Now())
	if err != nil || !r.OK {
		t.Errorf("%+v %v", r, err)
	}
}

func TestRefusedPasswords(t *testing.T) {
	a := open(t)
	p := authenticator.Person{Name: "ada.lovelace", Display: "Ada Lovelace"}
	for text, reason := range map[string]string{
		"short": "length", strings.Repeat("a", 300): "length", "nul\x00nul\x00": "length", "two\nlines of it": "length", "bad\xffbytes": "length",
		"password": "common", "Password1!": "common", "12345678": "common", "aaaaaaaaa": "common", "qwertyuiop": "common",
		"ADA.lovelace": "own-name", "ada lovelace": "own-name",
	} {
		_, err := a.Accept(t.Context(), p, nil, prompt.Answer{Text: text}, time.Now())
		refused, ok := err.(*authenticator.Refused)
		if !ok || refused.Reason != reason || refused.Public == "" {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	for _, text := range []string{right, "x9!kw2pq", strings.Repeat("é", 256)} {
		if _, err := a.Accept(t.Context(), p, nil, prompt.Answer{Text: text}, time.Now()); err != nil && text != strings.Repeat("é", 256) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// A hash with cheaper parameters is replaced at the next right answer.
func TestRehash(t *testing.T) {
	old, now := open(t), time.Now()
	e, err := old.Accept(t.Context(), authenticator.Person{}, nil, prompt.Answer{Text: right}, now)
	if err != nil {
		t.Fatal(err)
	}
	dearer, err := New(slowhash.Default(), slowhash.NewGate(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	r, err := dearer.Check(t.Context(), []authenticator.Credential{{ID: 1, State: e.State}}, nil, prompt.Answer{Text: right}, now)
	if err != nil || !r.OK {
		t.Fatal(r, err)
	}
	if authenticatortest.Hashing().Cheaper(slowhash.Default()) != (r.Next != nil) {
		t.Error("the hash was not replaced")
	}
}
