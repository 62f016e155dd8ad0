package upstream_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/upstream"
	"countersign/internal/prompt"
	"countersign/internal/upstream/said"
)

// seals stands for the keyring: a MAC over the challenge and the text.
type seals []byte

func (k seals) mac(challenge string, plain []byte) []byte {
	h := sha256.Sum256(append(append(append([]byte{}, k...), challenge...), plain...))
	return h[:]
}
func (k seals) Seal(challenge string, plain []byte) []byte {
	return append(k.mac(challenge, plain), plain...)
}
func (k seals) Open(challenge string, sealed []byte) ([]byte, error) {
	if len(sealed) < 32 || subtle.ConstantTimeCompare(sealed[:32], k.mac(challenge, sealed[32:])) != 1 {
		return nil, errors.New("sealed by another")
	}
	return sealed[32:], nil
}

var ours = seals("the key of the tests")

// terms are those of the one upstream here.
var terms = said.Terms{Number: 7, Name: "partner", Title: "Partner", Issuer: "https://idp.partner.example", Trust: said.Accept, Classes: []string{"mfa"}}

func open(now said.Terms, err error) *upstream.Authenticator {
	return upstream.New(upstream.Options{Seals: ours, Terms: func(context.Context, string) (said.Terms, error) { return now, err }})
}

func of(subject string, at time.Time) said.Statement {
	return said.Statement{Upstream: terms.Number, Name: terms.Name, Issuer: terms.Issuer, Subject: subject, Class: "mfa", Time: at.UnixMilli()}
}

func challengeOf(t testing.TB, p prompt.Prompt) string {
	t.Helper()
	var d struct{ Challenge string }
	if err := json.Unmarshal(p.Data, &d); err != nil {
		t.Fatal(err)
	}
	return d.Challenge
}

func answer(t testing.TB, k said.Seals, challenge string, s said.Statement) prompt.Answer {
	t.Helper()
	text, err := said.Write(k, challenge, s)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return prompt.Answer{Authenticator: upstream.Kind, Data: data}
}

func TestExam(t *testing.T) {
	n := 0
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator { return open(terms, nil) },
		Enroll: func(t testing.TB, _ authenticator.Authenticator, p authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			n++
			subject := "subject-" + strconv.Itoa(n)
			e, err := upstream.Link(of(subject, time.Time{}), "Partner", "")
			if err != nil {
				t.Fatal(err)
			}
			return e, func(t testing.TB, q prompt.Prompt, now time.Time) prompt.Answer {
				return answer(t, ours, challengeOf(t, q), of(subject, now))
			}
		},
		Wrong: func(t testing.TB, right prompt.Answer) []prompt.Answer {
			var text string
			if err := json.Unmarshal(right.Data, &text); err != nil {
				t.Fatal(err)
			}
			challenge, s, err := said.Read(ours, text)
			if err != nil {
				t.Fatal(err)
			}
			other, number, refused, nobody, moved := s, s, s, s, s
			other.Subject, number.Upstream, refused.Refused, nobody.Subject, moved.Issuer = s.Subject+"x", 8, "wrong-signature", "", "https://idp.evil.example"
			return []prompt.Answer{answer(t, seals("another key"), challenge, s), answer(t, ours, challenge, other), answer(t, ours, challenge, number),
				answer(t, ours, challenge, refused), answer(t, ours, challenge, nobody), answer(t, ours, challenge, moved)}
		},
		Unmoved: true, Stale: 11 * time.Minute,
	})
}

// What a statement shows, on each of the terms and in each state of the link.
func TestWhatAStatementShows(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	none := errors.New("the database does not answer")
	for what, c := range map[string]struct {
		terms     func(*said.Terms)
		err       error
		statement func(*said.Statement)
		confirmed bool
		other     bool // the link was made for another challenge
		want      string
	}{
		"accept, and its class":      {confirmed: true, want: "known+foreign+asserted"},
		"accept, and another class":  {confirmed: true, statement: func(s *said.Statement) { s.Class = "pwd" }, want: "known+foreign"},
		"accept, and no class":       {confirmed: true, statement: func(s *said.Statement) { s.Class = "" }, want: "known+foreign"},
		"reject":                     {confirmed: true, terms: func(t *said.Terms) { t.Trust = said.Reject }, want: "known+foreign"},
		"no trust at all":            {confirmed: true, terms: func(t *said.Terms) { t.Trust = "" }, want: "known+foreign"},
		"enforce, and its class":     {confirmed: true, terms: func(t *said.Terms) { t.Trust = said.Enforce }, want: "known+foreign+asserted"},
		"enforce, and another class": {confirmed: true, terms: func(t *said.Terms) { t.Trust = said.Enforce }, statement: func(s *said.Statement) { s.Class = "pwd" }, want: "class-missing"},
		"not confirmed":              {want: "known+foreign+tentative"},
		"of another challenge":       {other: true, want: "not-confirmed"},
		"the upstream is gone":       {confirmed: true, err: upstream.ErrNoUpstream, want: "no-upstream"},
		"another of the same name":   {confirmed: true, terms: func(t *said.Terms) { t.Number = 8 }, want: "no-upstream"},
		"another issuer by now":      {confirmed: true, terms: func(t *said.Terms) { t.Issuer = "https://new.example" }, want: "no-upstream"},
		"a breakdown":                {confirmed: true, err: none, want: none.Error()},
	} {
		held, s := terms, of("ada", now)
		if c.terms != nil {
			c.terms(&held)
		}
		if c.statement != nil {
			c.statement(&s)
		}
		how := open(held, c.err)
		q, memo, err := how.Ask(nil, now)
		if err != nil {
			t.Fatal(err)
		}
		made := challengeOf(t, q)
		if c.other {
			made = said.Digest("another")
		}
		e, err := upstream.Link(s, "Partner", made)
		if err != nil {
			t.Fatal(err)
		}
		if c.confirmed {
			if e.State, e.Traits, err = upstream.Confirmed(e.State); err != nil {
				t.Fatal(err)
			}
		}
		r, err := how.Check(t.Context(), []authenticator.Credential{{ID: 1, Account: 2, Kind: upstream.Kind, State: e.State, Handle: e.Handle}}, memo, answer(t, ours, challengeOf(t, q), s), now)
		got := r.Reason
		switch {
		case err != nil:
			got = err.Error()
		case r.OK:
			got = r.Traits.String()
		}
		if got != c.want {
			t.Errorf("%s: %q, and was to be %q", what, got, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	text, err := said.Write(ours, said.Digest("a"), of("ada", time.Unix(0, 0)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		if _, s, err := said.Read(ours, text); err == nil && s.Upstream != terms.Number {
			t.Errorf("somebody else's statement was read: %+v", s)
		}
	})
}
