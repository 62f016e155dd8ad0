// Package password checks passwords (SP 800-63B-4 section 3.1.1).
//
// It owns the rules for a new password, its normal form, and its hash. It does
// not count guesses (signin does). Its one invariant: comparing with nothing
// takes as long as comparing with something.
package password

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/prompt"
)

// Kind is the word for passwords in storage, policy and audit.
const Kind = "password"

const (
	minLength = 8
	maxLength = 256 // code points
	maxBytes  = 4 * maxLength
)

// Authenticator checks passwords. It is safe for concurrent use.
type Authenticator struct {
	params  slowhash.Params
	gate    *slowhash.Gate
	decoy   []byte
	service []string // names that no password may hold
}

// New returns an Authenticator that hashes new passwords with these parameters
// behind this gate, and refuses those made of what the service is called: names,
// and host names.
func New(params slowhash.Params, gate *slowhash.Gate, service ...string) (*Authenticator, error) {
	return &Authenticator{params: params, gate: gate, decoy: slowhash.NewSalt(), service: names(service)}, params.Check()
}

// Describe returns what passwords are.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Signal: "password", Title: "Password", Noun: "password", Pitch: "A sentence or a word that only you know. It takes something that you hold beside it.", Document: "authenticators.md", Mark: authenticator.MarkDots, AMR: "pwd", Single: true, Traits: assurance.Known,
		Media: prompt.Line | prompt.Single | prompt.Browser, Slow: true, Guessable: true, First: true}
}

// Ask asks for the password.
func (a *Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "Password"}, nil, nil
}

type state struct {
	Version int    `json:"v"`
	PHC     string `json:"phc"`
}

// Check hashes once, whatever was typed and whoever was named. What no password
// can be is wrong without a hash of its own: the decoy's stands in.
func (a *Authenticator) Check(ctx context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	typed, ok := normal(answer.Text)
	hash := slowhash.Hash{Params: a.params, Salt: a.decoy, Result: make([]byte, slowhash.SumSize)}
	if len(credentials) > 0 {
		var s state
		if json.Unmarshal(credentials[0].State, &s) != nil || s.Version != 1 {
			return authenticator.Result{}, errors.New("password: a stored password cannot be read")
		}
		var err error
		if hash, err = slowhash.Parse(s.PHC); err != nil {
			return authenticator.Result{}, err
		}
	}
	leave, err := a.gate.Enter(ctx)
	if err != nil {
		return authenticator.Result{}, err
	}
	defer leave()
	if !hash.Equal(hash.Sum(typed, hash.Salt)) || !ok || len(credentials) == 0 {
		return authenticator.Wrong("wrong"), nil
	}
	r := authenticator.Result{OK: true, Credential: credentials[0].ID, Traits: assurance.Known}
	if hash.Cheaper(a.params) {
		r.Next = a.hash(typed)
	}
	return r, nil
}

func (a *Authenticator) hash(typed []byte) []byte {
	h := slowhash.Hash{Params: a.params, Salt: slowhash.NewSalt()}
	h.Result = h.Sum(typed, h.Salt)
	b, _ := json.Marshal(state{Version: 1, PHC: h.String()})
	return b
}

// normal is the form that is hashed: NFKC (SP 800-63B-4 section 3.1.1.2 asks for
// a normalisation before hashing), so that a password typed on another keyboard
// is the same.
func normal(text string) ([]byte, bool) {
	if len(text) > maxBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, false
	}
	n := norm.NFKC.Bytes([]byte(text))
	return n, utf8.RuneCount(n) <= maxLength
}

// Offer asks for a new password.
func (a *Authenticator) Offer(authenticator.Person, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "New password", Hint: "At least 8 characters. A few random words make a good one."}, nil, nil
}

// Accept keeps a new password that nobody would guess first.
func (a *Authenticator) Accept(ctx context.Context, p authenticator.Person, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	typed, ok := normal(answer.Text)
	if !ok || utf8.RuneCount(typed) < minLength {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "length", Public: "Use 8 to 256 characters that can be typed on one line."}
	}
	if r := a.guessable(fold(string(typed)), p); r != nil {
		return authenticator.Enrolled{}, r
	}
	leave, err := a.gate.Enter(ctx)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	defer leave()
	return authenticator.Enrolled{State: a.hash(typed), Traits: assurance.Known, Label: "Password"}, nil
}

// guessable refuses what is guessed first (SP 800-63B-4 section 3.1.1.2): what
// many people use, the person's own name, and the service's.
func (a *Authenticator) guessable(folded string, p authenticator.Person) *authenticator.Refused {
	if common(folded) {
		return &authenticator.Refused{Reason: "common", Public: "Many people use that password, so it is guessed first. Choose another."}
	}
	local, _, _ := strings.Cut(p.Name, "@")
	for _, name := range []string{p.Name, local, p.Display} {
		if made(folded, name) {
			return &authenticator.Refused{Reason: "own-name", Public: "Your own name is in that password, and is guessed first. Choose another."}
		}
	}
	for _, name := range a.service {
		if made(folded, name) {
			return &authenticator.Refused{Reason: "service-name", Public: "The name of this service is in that password, and is guessed first. Choose another."}
		}
	}
	return nil
}
