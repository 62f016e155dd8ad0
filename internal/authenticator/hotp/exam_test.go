package hotp_test

import (
	"encoding/base32"
	"encoding/json"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/prompt"
)

// button is a device that is made from what an offer shows and gives its next
// code each time.
func button(t testing.TB, offer prompt.Prompt) func() string {
	t.Helper()
	var shown struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(offer.Data, &shown); err != nil {
		t.Fatal(err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(shown.Secret)
	if err != nil {
		t.Fatal(err)
	}
	k, next := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: secret}, uint64(0)
	return func() string { next++; return k.Code(next - 1) }
}

func open(t testing.TB, o hotp.Options) *hotp.Authenticator {
	t.Helper()
	o.Issuer = "Countersign"
	a, err := hotp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator { return open(t, hotp.Options{}) },
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			how := a.(*hotp.Authenticator)
			offer, memo, err := how.Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			press := button(t, offer)
			e, err := how.Accept(t.Context(), p, memo, prompt.Answer{Text: press()}, now)
			if err != nil {
				t.Fatal(err)
			}
			return e, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				return prompt.Answer{Authenticator: hotp.Kind, Text: press()}
			}
		},
		Confirm: func(t testing.TB, offer prompt.Prompt, _ time.Time) prompt.Answer {
			return prompt.Answer{Authenticator: hotp.Kind, Text: button(t, offer)()}
		},
		NextCode: 3,
	})
}
