package recoverycode

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/prompt"
)

func codes(t testing.TB, offer prompt.Prompt) []string {
	t.Helper()
	var shown struct{ Codes []string }
	if err := json.Unmarshal(offer.Data, &shown); err != nil || len(shown.Codes) != count {
		t.Fatal(err, len(shown.Codes))
	}
	return shown.Codes
}

func TestExam(t *testing.T) {
	authenticatortest.Exam(t, authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator {
			a, err := New(authenticatortest.Hashing(), slowhash.NewGate(4, 1000))
			return authenticatortest.Hashed(t, a, err)
		},
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			offer, memo, err := a.(*Authenticator).Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			list := codes(t, offer)
			e, err := a.(*Authenticator).Accept(t.Context(), p, memo, prompt.Answer{Text: list[3]}, now)
			if err != nil {
				t.Fatal(err)
			}
			next := 0
			return e, func(testing.TB, prompt.Prompt, time.Time) prompt.Answer {
				next++
				return prompt.Answer{Authenticator: Kind, Text: list[(next-1)%count]}
			}
		},
		Confirm: func(t testing.TB, offer prompt.Prompt, _ time.Time) prompt.Answer {
			return prompt.Answer{Authenticator: Kind, Text: codes(t, offer)[0]}
		},
		Uses: count,
	})
}

// People count from 1: the codes are numbered from 1 to 10, each is good as it is shown, and
// those of before, which were numbered from 0, are good as they stand on somebody's paper.
func TestCodesAreNumberedFromOne(t *testing.T) {
	made, err := New(authenticatortest.Hashing(), slowhash.NewGate(4, 1000))
	a := authenticatortest.Hashed(t, made, err)
	p, now := authenticator.Person{Account: 7}, time.Unix(0, 0)
	offer, memo, err := a.Offer(p, now)
	if err != nil {
		t.Fatal(err)
	}
	list := codes(t, offer)
	before := slices.Clone(list)
	for i, code := range list {
		number, rest, _ := strings.Cut(code, "-")
		if number != strconv.Itoa(i+1) {
			t.Errorf("code %d is %s", i+1, number)
		}
		before[i] = strconv.Itoa(i) + "-" + rest
	}
	old, err := json.Marshal(offered{Account: 7, Codes: before})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		memo  authenticator.Memo
		codes []string
	}{"new": {memo, list}, "of before": {old, before}} {
		e, err := a.Accept(t.Context(), p, c.memo, prompt.Answer{Text: c.codes[9]}, now)
		if err != nil {
			t.Fatal(name, err)
		}
		for i, code := range c.codes {
			held := []authenticator.Credential{{ID: 1, Account: 7, State: e.State}}
			r, err := a.Check(t.Context(), held, nil, prompt.Answer{Text: strings.ToLower(code)}, now)
			if err != nil || !r.OK {
				t.Errorf("%s: code %d is refused: %v", name, i, err)
				continue
			}
			held[0].State = r.Next
			if again, err := a.Check(t.Context(), held, nil, prompt.Answer{Text: code}, now); err != nil || again.OK {
				t.Errorf("%s: code %d is good twice: %v", name, i, err)
			}
		}
		for _, no := range []string{"11" + c.codes[0][1:], "1" + c.codes[4], c.codes[0][2:], ""} {
			if r, err := a.Check(t.Context(), []authenticator.Credential{{ID: 1, Account: 7, State: e.State}}, nil, prompt.Answer{Text: no}, now); err != nil || r.OK {
				t.Errorf("%s: %q is taken: %v", name, no, err)
			}
		}
	}
}
