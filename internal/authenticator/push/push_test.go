package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/prompt"
)

// phone is a device with a key.
type phone struct{ key *ecdsa.PrivateKey }

func newPhone(t testing.TB) phone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return phone{key}
}

func (p phone) point(t testing.TB) []byte {
	t.Helper()
	b, err := p.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p phone) sign(t testing.TB, statement []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(statement)
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out
}

// bind opens the link of an offer, and returns what the owner sends.
func (p phone) bind(t testing.TB, o prompt.Prompt) prompt.Answer {
	t.Helper()
	var shown struct{ URI string }
	if err := json.Unmarshal(o.Data, &shown); err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(shown.URI, "https://login.example.org/app/#bind=")
	if !ok {
		t.Fatal("the link leads elsewhere")
	}
	data, err := json.Marshal(proposal{Key: p.point(t), Signature: p.sign(t, bound(code, p.point(t)))})
	if err != nil {
		t.Fatal(err)
	}
	return prompt.Answer{Authenticator: Kind, Text: confirmation(code, p.point(t)), Data: data}
}

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(testing.TB) authenticator.Authenticator { return New("https://login.example.org/app/", nil) },
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			how, device := a.(*Authenticator), newPhone(t)
			o, memo, err := how.Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			e, err := how.Accept(t.Context(), p, memo, device.bind(t, o), now)
			if err != nil {
				t.Fatal(err)
			}
			return e, func(t testing.TB, question prompt.Prompt, _ time.Time) prompt.Answer {
				t.Helper()
				var statement []byte
				if err := json.Unmarshal(question.Data, &statement); err != nil {
					t.Fatal(err)
				}
				return Answer(e.Handle, device.sign(t, statement))
			}
		},
		Confirm: func(t testing.TB, o prompt.Prompt, _ time.Time) prompt.Answer { return newPhone(t).bind(t, o) },
		Wrong: func(t testing.TB, right prompt.Answer) []prompt.Answer {
			t.Helper()
			var r reply
			if err := json.Unmarshal(right.Data, &r); err != nil {
				t.Fatal(err)
			}
			var out []prompt.Answer
			for i := range r.Signature {
				bad := append([]byte(nil), r.Signature...)
				bad[i] ^= 1
				out = append(out, Answer(r.App, bad))
			}
			return append(out, Answer(r.App, nil), Answer("", r.Signature), Answer(r.App[1:], r.Signature), Answer(r.App, r.Signature[:63]), Answer(r.App, make([]byte, 64)))
		},
		Unmoved: true,
		Stale:   life + time.Second,
	})
}

var (
	ada = authenticator.Person{Account: 7, Name: "ada"}
	now = time.Unix(1_800_000_000, 0)
)

// The promise: whoever saw the picture and was quicker is not bound, because its
// owner types the number of their own device; a signature over another code, or
// by another key, binds nothing.
func TestOnlyTheOwnersDeviceIsBound(t *testing.T) {
	a := New("https://login.example.org/app/", nil)
	o, memo, err := a.Offer(ada, now)
	if err != nil {
		t.Fatal(err)
	}
	mine, thief := newPhone(t).bind(t, o), newPhone(t).bind(t, o)
	accept := func(text string, data []byte) error {
		_, err := a.Accept(t.Context(), ada, memo, prompt.Answer{Authenticator: Kind, Text: text, Data: data}, now)
		return err
	}
	if accept(mine.Text, thief.Data) == nil {
		t.Error("the thief's device was bound with the owner's number")
	}
	other, _, err := a.Offer(ada, now)
	if err != nil {
		t.Fatal(err)
	}
	late := newPhone(t).bind(t, other)
	if accept(late.Text, late.Data) == nil {
		t.Error("a key that signed another code was bound")
	}
	var p, q proposal
	if json.Unmarshal(mine.Data, &p) != nil || json.Unmarshal(thief.Data, &q) != nil {
		t.Fatal("no proposals")
	}
	code, err := a.Code(memo)
	if err != nil {
		t.Fatal(err)
	}
	p.Key = q.Key
	swapped, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if a.Proposes(code, swapped) || accept(confirmation(code, q.Key), swapped) == nil {
		t.Error("one key with the signature of another was bound")
	}
	if err := accept(mine.Text[:3]+" "+mine.Text[3:], mine.Data); err != nil {
		t.Error(err)
	}
}

func TestAddress(t *testing.T) {
	a := New("x", nil)
	b, err := json.Marshal(state{Version: 1, Key: newPhone(t).point(t)})
	if err != nil {
		t.Fatal(err)
	}
	c := authenticator.Credential{State: b}
	if _, ok := a.Address(c); ok {
		t.Error("an address that nobody gave")
	}
	if c.State, err = a.Move(c, authenticator.Address{Endpoint: "https://push.example.net/x", Public: []byte{4}, Secret: []byte{5}}); err != nil {
		t.Fatal(err)
	}
	if at, ok := a.Address(c); !ok || at.Endpoint != "https://push.example.net/x" {
		t.Error(at, ok)
	}
	if c.State, err = a.Move(c, authenticator.Address{}); err != nil || string(c.State) != string(b) {
		t.Error("it cannot be taken away", err)
	}
}

func FuzzPropose(f *testing.F) {
	f.Add("code", []byte(`{"key":"BAAA","signature":"AAAA"}`))
	f.Fuzz(func(t *testing.T, code string, b []byte) {
		if _, ok := propose(code, b); ok {
			t.Error("bound without a signature")
		}
	})
}

// Answer is the reply that bears a signature.
func Answer(handle string, signature []byte) prompt.Answer {
	b, err := json.Marshal(reply{App: handle, Signature: signature})
	if err != nil {
		return prompt.Answer{Authenticator: Kind}
	}
	return prompt.Answer{Authenticator: Kind, Data: b}
}
