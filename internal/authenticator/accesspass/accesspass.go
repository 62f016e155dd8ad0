// Package accesspass checks temporary access passes: what another person issues
// to somebody who has nothing to sign in with yet, or no longer.
//
// It owns the pass's form and its end. It does not say who may issue one (admin
// does) and cannot be enrolled by oneself. Its one invariant: a pass is good
// once and until its end, and shows only that somebody vouched.
package accesspass

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Kind is the word for passes in storage, policy and audit.
const Kind = "accesspass"

// 16 characters of 5 bits: 80 random bits, so a plain salted hash is enough
// against whoever has the sealed row.
const length = 16

type state struct {
	Version int    `json:"v"`
	Salt    []byte `json:"s"`
	Sum     []byte `json:"h"`
	Expires int64  `json:"e"` // Unix seconds
}

func sum(salt []byte, code string) []byte {
	h := sha256.Sum256(append([]byte("countersign access pass\x00"+string(salt)), code...))
	return h[:]
}

// Issue makes a pass: what the person types, and what is kept.
func Issue(now time.Time, lifetime time.Duration) (string, authenticator.Enrolled, error) {
	raw, salt := make([]byte, 10), make([]byte, 16)
	rand.Read(raw)
	rand.Read(salt)
	code := typed.Encode(raw)
	b, err := json.Marshal(state{Version: 1, Salt: salt, Sum: sum(salt, code), Expires: now.Add(lifetime).Unix()})
	return typed.Group(code, 4), authenticator.Enrolled{State: b, Traits: assurance.Vouched, Label: "Temporary access pass"}, err
}

// Authenticator checks passes.
type Authenticator struct{}

// Describe returns what passes are. 80 random bits are not guessed, so that they draw on
// no budget: strangers who know a name could empty it, and a pass is all that its owner has.
func (Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Signal: "temporary-access-pass", Title: "Temporary access pass", Noun: "temporary access pass", Document: "authenticators.md", Mark: authenticator.MarkTicket, Traits: assurance.Vouched,
		Media: prompt.Browser, First: true}
}

// Ask asks for the pass.
func (Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "Temporary access pass"}, nil, nil
}

// Check compares with every pass of the account.
func (Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	code, ok := typed.Letters(answer.Text, length)
	if !ok {
		return authenticator.Wrong("malformed"), nil
	}
	found := authenticator.Wrong("wrong")
	for _, c := range credentials {
		var s state
		if json.Unmarshal(c.State, &s) != nil || s.Version != 1 {
			return authenticator.Result{}, errors.New("accesspass: a stored pass cannot be read")
		}
		if subtle.ConstantTimeCompare(s.Sum, sum(s.Salt, code)) != 1 {
			continue
		}
		end := time.Unix(s.Expires, 0)
		if !now.Before(end) {
			found = authenticator.Wrong("expired")
			continue
		}
		return authenticator.Result{OK: true, Credential: c.ID, Traits: assurance.Vouched, Once: "pass", Exhausted: true, Until: end}, nil
	}
	return found, nil
}
