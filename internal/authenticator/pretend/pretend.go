// Package pretend is an authenticator that nobody carries: an example of all that one
// brings. It is a chain of hashes, of which each link is shown once (RFC 2289, in small).
//
// It owns the chain. It does not know who asks. Only tests put it into their list, with
// one line. Its one invariant is that of every kind: a right answer is right once.
package pretend

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Kind is its word in storage, policy and audit.
const Kind = "pretend"

type state struct {
	Top  string // the link that was shown last
	Left int
}

// New makes a chain of so many links, in the order in which they are shown, and what is
// kept of it.
func New(links int) ([]string, authenticator.Enrolled, error) {
	link := hash(rand.Text())
	shown := make([]string, links)
	for i := range shown {
		shown[links-1-i] = link
		link = hash(link)
	}
	kept, err := json.Marshal(state{link, links})
	return shown, authenticator.Enrolled{State: kept, Traits: assurance.Held, Label: "Chain"}, err
}

func hash(link string) string {
	sum := sha256.Sum256([]byte(link))
	return hex.EncodeToString(sum[:16])
}

// Authenticator checks links.
type Authenticator struct{}

// Describe returns what chains are.
func (Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Title: "Pretended chain", Noun: "pretended chain", Document: "pretend.md", Mark: authenticator.MarkPaper,
		Traits: assurance.Held, Media: prompt.Line | prompt.Single | prompt.Browser}
}

// Ask asks for the next link.
func (Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "The next link of your chain"}, nil, nil
}

// Check hashes what was typed: it must be what was shown last.
func (Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	typed := hash(answer.Text)
	for _, c := range credentials {
		var s state
		if json.Unmarshal(c.State, &s) != nil || s.Top == "" {
			return authenticator.Result{}, errors.New("pretend: a stored chain cannot be read")
		}
		if subtle.ConstantTimeCompare([]byte(typed), []byte(s.Top)) != 1 {
			continue
		}
		next, err := json.Marshal(state{answer.Text, s.Left - 1})
		return authenticator.Result{OK: true, Credential: c.ID, Traits: assurance.Held, Next: next, Once: typed, Exhausted: s.Left == 1}, err
	}
	return authenticator.Wrong("wrong"), nil
}

// AfterRollback gives the chain up: nothing tells which links were shown since.
func (Authenticator) AfterRollback([]byte, time.Time) (next []byte, usable bool, err error) {
	return nil, false, nil
}
