// Package recoverycode checks saved recovery codes: look-up secrets
// (SP 800-63B-4 section 3.1.2) that a person keeps on paper.
//
// It owns the codes' form and their hashes. It does not sign anybody in by
// itself: what a code shows is one held thing. Its one invariant: each code is
// good once, and the stored ones do not tell what they are.
package recoverycode

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Kind is the word for recovery codes in storage, policy and audit.
const Kind = "recoverycode"

const (
	count  = 10
	random = 10             // bytes: 80 bits
	length = 1 + random*8/5 // the code's number, and its 16 characters
)

// Authenticator checks recovery codes. It is safe for concurrent use.
type Authenticator struct {
	params slowhash.Params
	gate   *slowhash.Gate
	decoy  slowhash.Hash
}

// New returns an Authenticator that hashes behind this gate: codes of less than
// 112 bits are hashed as slowly as passwords (SP 800-63B-4 section 3.1.2.2).
func New(params slowhash.Params, gate *slowhash.Gate) (*Authenticator, error) {
	decoy := slowhash.Hash{Params: params, Salt: slowhash.NewSalt(), Result: make([]byte, slowhash.SumSize)}
	return &Authenticator{params: params, gate: gate, decoy: decoy}, params.Check()
}

// Describe returns what recovery codes are.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Title: "Recovery codes", Noun: "recovery code", Pitch: "Ten codes to print and keep, for the day on which your phone or key is lost.", Document: "recovery.md", Mark: authenticator.MarkPaper, Single: true, Traits: assurance.Held | assurance.Recovery,
		Media: prompt.Line | prompt.Single | prompt.Browser, Slow: true, Guessable: true}
}

// Ask asks for one of the codes.
func (a *Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "A recovery code", Hint: "One of those that you kept, with its number in front."}, nil, nil
}

type state struct {
	Version int `json:"v"`
	// Codes are the hashes by the code's number, that of the tenth at 0; a used one is empty.
	Codes [count]string `json:"c"`
}

// Check hashes once, whatever was typed: the number in front says with which
// code to compare.
func (a *Authenticator) Check(ctx context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	code, ok := read(answer.Text)
	n := -1
	if ok && code[0] >= '0' && code[0] <= '9' {
		n = int(code[0] - '0')
	}
	hash, s := a.decoy, state{}
	if len(credentials) > 0 {
		if json.Unmarshal(credentials[0].State, &s) != nil || s.Version != 1 {
			return authenticator.Result{}, errors.New("recoverycode: stored codes cannot be read")
		}
	}
	found := n >= 0 && s.Codes[max(n, 0)] != ""
	if found {
		var err error
		if hash, err = slowhash.Parse(s.Codes[n]); err != nil {
			return authenticator.Result{}, err
		}
	}
	leave, err := a.gate.Enter(ctx)
	if err != nil {
		return authenticator.Result{}, err
	}
	defer leave()
	if !hash.Equal(hash.Sum([]byte(code), hash.Salt)) || !found {
		return authenticator.Wrong("wrong"), nil
	}
	s.Codes[n] = ""
	next, err := json.Marshal(s)
	return authenticator.Result{OK: true, Credential: credentials[0].ID, Traits: assurance.Held | assurance.Recovery,
		Next: next, Once: "r" + strconv.Itoa(n), Exhausted: s.Codes == [count]string{}}, err
}

// offered is what waits for the code that is typed back.
type offered struct {
	Account assurance.AccountID
	Codes   []string
}

// Offer makes ten codes and shows them, once.
func (a *Authenticator) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	codes := make([]string, count)
	for i := range codes {
		raw := make([]byte, random)
		rand.Read(raw)
		codes[i] = strconv.Itoa(i+1) + "-" + typed.Group(typed.Encode(raw), 4)
	}
	memo, err := json.Marshal(offered{Account: p.Account, Codes: codes})
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	data, err := json.Marshal(map[string][]string{"codes": codes})
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "Recovery codes", Data: data,
		Hint: "Keep these on paper. Each is good once, in place of your phone or key."}, memo, err
}

// Accept keeps the codes once one of them was typed back, which spends none.
func (a *Authenticator) Accept(ctx context.Context, p authenticator.Person, memo authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	var o offered
	if json.Unmarshal(memo, &o) != nil || len(o.Codes) != count || o.Account != p.Account {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "stale", Public: "These codes are not yours to keep; begin again."}
	}
	if !o.has(answer.Text) {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong", Public: "That is none of the codes. Type one of them, with its number in front."}
	}
	leave, err := a.gate.Enter(ctx)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	defer leave()
	s := state{Version: 1}
	for _, shown := range o.Codes {
		code, _ := read(shown)
		h := slowhash.Hash{Params: a.params, Salt: slowhash.NewSalt()}
		h.Result = h.Sum([]byte(code), h.Salt)
		s.Codes[code[0]-'0'] = h.String()
	}
	b, err := json.Marshal(s)
	return authenticator.Enrolled{State: b, Traits: assurance.Held | assurance.Recovery, Label: "Recovery codes"}, err
}

// read returns a typed code with its number as one digit in front. People count from 1 to 10;
// the tenth is kept as 0, which is also how codes of before are numbered: from 0 to 9.
func read(text string) (code string, ok bool) {
	if code, ok = typed.Letters(text, length); ok {
		return code, ok
	}
	long, ok := typed.Letters(text, length+1)
	if !ok || !strings.HasPrefix(long, "10") {
		return "", false
	}
	return long[1:], true
}

// has compares what was typed back with every code, all of them each time.
func (o offered) has(text string) bool {
	back, ok := read(text)
	found := 0
	for _, shown := range o.Codes {
		code, _ := read(shown)
		found |= subtle.ConstantTimeCompare([]byte(code), []byte(back))
	}
	return ok && found == 1
}
