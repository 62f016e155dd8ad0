package passkey_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/prompt"
	"countersign/internal/virtualauth"
)

func TestExam(t *testing.T) {
	for name, key := range map[string]*virtualauth.Key{
		"key that counts": {}, "synced passkey": {BackupEligible: true, BackupState: true, NoCounter: true},
		"EdDSA": {Algorithm: virtualauth.EdDSA},
	} {
		t.Run(name, func(t *testing.T) { authenticatortest.Exam(t, subject(key)) })
	}
}

// subject sits the exam with keys like this one.
func subject(like *virtualauth.Key) authenticatortest.Subject {
	return authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator { return open(t, options()) },
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			k, enroller := like.Clone(), a.(*passkey.Authenticator)
			offer, memo, err := enroller.Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			e, err := enroller.Accept(t.Context(), p, memo, create(t, k, offer), now)
			if err != nil {
				t.Fatal(err)
			}
			return e, func(t testing.TB, question prompt.Prompt, _ time.Time) prompt.Answer {
				t.Helper()
				reply, err := k.Get(origin, question.Data)
				if err != nil {
					t.Fatal(err)
				}
				return answer(reply)
			}
		},
		Confirm: func(t testing.TB, offer prompt.Prompt, _ time.Time) prompt.Answer {
			t.Helper()
			return create(t, like.Clone(), offer)
		},
		Wrong:   nearMisses,
		Unmoved: like.NoCounter,
		Pause:   time.Second,
		Stale:   passkey.DefaultTimeout + time.Second,
	}
}

func create(t testing.TB, k *virtualauth.Key, offer prompt.Prompt) prompt.Answer {
	t.Helper()
	reply, err := k.Create(origin, offer.Data)
	if err != nil {
		t.Fatal(err)
	}
	return answer(reply)
}

// nearMisses turns one bit in each part of a reply that matters.
func nearMisses(t testing.TB, right prompt.Answer) []prompt.Answer {
	t.Helper()
	var out []prompt.Answer
	for _, part := range []string{"clientDataJSON", "authenticatorData", "signature", "userHandle"} {
		var reply map[string]any
		if err := json.Unmarshal(right.Data, &reply); err != nil {
			t.Fatal(err)
		}
		response := reply["response"].(map[string]any)
		text := []byte(response[part].(string))
		at := len(text) / 2
		text[at] = map[bool]byte{true: 'B', false: 'A'}[text[at] == 'A']
		response[part] = string(text)
		changed, err := json.Marshal(reply)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(changed, right.Data) {
			t.Fatal("nothing changed")
		}
		out = append(out, answer(changed))
	}
	return out
}
