package totp_test

import (
	"encoding/base32"
	"encoding/json"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/totp"
	"countersign/internal/prompt"
)

// device computes codes from what an offer shows.
func device(t testing.TB, offer prompt.Prompt) func(now time.Time) string {
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
	k := otp.Key{Algorithm: otp.SHA1, Digits: 6, Secret: secret}
	return func(now time.Time) string { return k.Code(uint64(now.Unix() / 30)) }
}

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator {
			a, err := totp.New(totp.Options{Issuer: "Countersign"})
			if err != nil {
				t.Fatal(err)
			}
			return a
		},
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			how := a.(*totp.Authenticator)
			offer, memo, err := how.Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			code := device(t, offer)
			e, err := how.Accept(t.Context(), p, memo, prompt.Answer{Text: code(now)}, now)
			if err != nil {
				t.Fatal(err)
			}
			return e, func(_ testing.TB, _ prompt.Prompt, now time.Time) prompt.Answer {
				return prompt.Answer{Authenticator: totp.Kind, Text: code(now)}
			}
		},
		Confirm: func(t testing.TB, offer prompt.Prompt, now time.Time) prompt.Answer {
			return prompt.Answer{Authenticator: totp.Kind, Text: device(t, offer)(now)}
		},
		Pause: 30 * time.Second, Stale: 2 * time.Minute, NextCode: 3,
	})
}
