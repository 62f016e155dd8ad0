package otp

import (
	"encoding/json"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Reasons of a refusal, as the audit log words them.
const (
	Malformed = "malformed"
	Wrong     = "wrong"
	Replayed  = "replayed"
)

// Finding is what one key makes of an answer. S is the key as it is kept.
type Finding[S any] struct {
	Accepted bool // wholly, or as the first of two
	Partial  bool
	Once     string // what accepting it uses up
	Next     S      // the key afterwards, when accepted
	Reason   string // when not accepted
	Detail   string
}

// Refused is an answer that is not accepted.
func Refused[S any](reason, detail string) Finding[S] {
	return Finding[S]{Reason: reason, Detail: detail}
}

// rank orders what several keys make of one answer: a yes, then half of one,
// then the refusal that explains most.
func (f Finding[S]) rank() int {
	switch {
	case f.Accepted && !f.Partial:
		return 4
	case f.Accepted:
		return 3
	case f.Reason == Replayed:
		return 2
	case f.Reason != Wrong:
		return 1
	}
	return 0
}

// Result is the finding as signin reads it, about one credential.
func (f Finding[S]) Result(id assurance.CredentialID) (authenticator.Result, error) {
	if !f.Accepted {
		return authenticator.Result{Reason: f.Reason, Detail: f.Detail}, nil
	}
	next, err := json.Marshal(f.Next)
	if err != nil {
		return authenticator.Result{}, err
	}
	r := authenticator.Result{Credential: id, Next: next, Once: f.Once, Detail: f.Detail}
	if f.Partial {
		r.Partial, r.Reason = true, "second-code-wanted"
	} else {
		r.OK, r.Traits = true, assurance.Held
	}
	return r, nil
}

// Judge is what differs between the kinds of codes.
type Judge[S any] struct {
	Decode func(stored []byte) (S, error)
	// Match judges digits by one key, which has had so many failures in a row.
	Match func(s S, digits string, failures int) Finding[S]
	// Decoy is what is compared with when there is nothing else.
	Decoy S
}

// Check judges what was typed by the keys of all the credentials, and answers
// with the best that any makes of it.
func (j Judge[S]) Check(credentials []authenticator.Credential, answer prompt.Answer) (authenticator.Result, error) {
	digits, ok := typed.Digits(answer.Text)
	if !ok {
		return authenticator.Wrong(Malformed), nil
	}
	if len(credentials) == 0 {
		j.Match(j.Decoy, digits, 0)
		return authenticator.Wrong(Wrong), nil
	}
	best, of := Refused[S](Wrong, ""), assurance.CredentialID(0)
	for _, c := range credentials {
		s, err := j.Decode(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if f := j.Match(s, digits, c.Failures); f.rank() > best.rank() {
			best, of = f, c.ID
		}
	}
	return best.Result(of)
}

// Ask completes a question for a code: with how many digits it has, which is 0
// where the credentials differ, and what the prompt says where there are none.
func Ask(p prompt.Prompt, credentials []authenticator.Credential, key func(stored []byte) (Key, error)) (prompt.Prompt, authenticator.Memo, error) {
	for i, c := range credentials {
		k, err := key(c.State)
		if err != nil {
			return prompt.Prompt{}, nil, err
		}
		if i > 0 && k.Digits != p.Digits {
			p.Digits = 0 // either will do
			break
		}
		p.Digits = k.Digits
	}
	return p, nil, nil
}
