// Package upstream is the authenticator for people who sign in first at another organisation's
// identity provider.
//
// It owns what such a sign-in is worth: something known, whatever the provider says, unless an
// administrator takes its word on a second factor. It speaks no protocol: the endpoint (room
// upstream) seals a statement of what it verified. Its one invariant: an accepted statement was
// made by our own endpoint, for the very question that this attempt was asked, about a person
// whose account was linked to that very subject beforehand.
package upstream

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/upstream/said"
)

// Kind is this authenticator's word in storage, policy and audit.
const Kind = "upstream"

// ErrNoUpstream is the error of Options.Terms for an upstream that there is not, or that is off.
var ErrNoUpstream = errors.New("upstream: there is no such upstream")

// Options are what the authenticator is made of.
type Options struct {
	// Seals opens what the endpoint sealed.
	Seals said.Seals
	// Terms are those that hold now for the upstream of a name.
	Terms func(ctx context.Context, name string) (said.Terms, error)
}

// Authenticator checks statements of upstreams. It is safe for concurrent use.
type Authenticator struct{ options Options }

// New makes one.
func New(o Options) *Authenticator { return &Authenticator{o} }

// Describe says what an upstream's word is worth at its best. It is never something held, and
// never resists phishing: what the person showed there, nobody here has seen.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Title: "Another identity provider", Noun: "identity provider", Document: "upstreams.md", Mark: authenticator.MarkPaper,
		Media: prompt.Browser, First: true, Issued: true, Traits: assurance.Known | assurance.Foreign | assurance.Asserted | assurance.Tentative}
}

const (
	// lifetime is how long a person may take at the upstream.
	lifetime = 10 * time.Minute
	// skew is how far two servers' clocks may differ.
	skew = 2 * time.Second
)

// memo is what was asked, kept until the answer comes.
type memo struct {
	Challenge string `json:"c"`
	Issued    int64  `json:"i"` // in milliseconds since 1970
}

// Ask returns the question, which is the same for everybody but for the challenge in it.
func (a *Authenticator) Ask(_ []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	var raw [said.ChallengeSize]byte
	rand.Read(raw[:])
	m := memo{base64.RawURLEncoding.EncodeToString(raw[:]), now.UnixMilli()}
	data, err := json.Marshal(map[string]string{"challenge": m.Challenge})
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	kept, err := json.Marshal(m)
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Upstream, Data: data}.Saying(language.Say("Sign in at your organisation")), kept, err
}

// Discover returns the handle of the subject that a statement is about.
func (a *Authenticator) Discover(answer prompt.Answer) (handle string, ok bool) {
	_, s, err := a.read(answer)
	if err != nil || s.Refused != "" || s.Subject == "" {
		return "", false
	}
	return s.Handle(), true
}

// Reasons of a refusal beside those of the endpoint.
const (
	reasonMalformed   = "malformed"
	reasonChallenge   = "wrong-challenge"
	reasonStale       = "stale"
	reasonGone        = "no-upstream"
	reasonClass       = "class-missing"
	reasonUnlinked    = "not-linked"
	reasonUnconfirmed = "not-confirmed"
)

// Check decides over a statement of our endpoint, on the terms that hold now. Its Once is the
// challenge, its Bound the upstream's issuer.
func (a *Authenticator) Check(ctx context.Context, credentials []authenticator.Credential, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	m, s, refused := a.answered(sealed, answer, now)
	if refused.Reason != "" {
		return refused, nil
	}
	terms, err := a.options.Terms(ctx, s.Name)
	switch {
	case errors.Is(err, ErrNoUpstream):
		return authenticator.Result{Reason: reasonGone, Detail: s.Detail}, nil
	case err != nil:
		return authenticator.Result{}, err
	case terms.Number != s.Upstream || terms.Issuer != s.Issuer:
		return authenticator.Result{Reason: reasonGone, Detail: s.Detail}, nil
	case terms.Trust == said.Enforce && !terms.Asserts(s.Class):
		return authenticator.Result{Reason: reasonClass, Detail: s.Detail}, nil
	}
	for _, c := range credentials {
		if c.Handle != s.Handle() {
			continue
		}
		kept, err := decodeState(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if !kept.fits(m.Challenge) {
			return authenticator.Result{Reason: reasonUnconfirmed, Detail: s.Detail}, nil
		}
		return authenticator.Result{OK: true, Credential: c.ID, Traits: traits(terms, s, kept), Once: "u" + m.Challenge, Bound: s.Issuer, Detail: s.Detail}, nil
	}
	return authenticator.Result{Reason: reasonUnlinked, Detail: s.Detail}, nil
}

// traits are what a statement shows about somebody who is linked.
func traits(terms said.Terms, s said.Statement, kept state) assurance.Trait {
	t := assurance.Known | assurance.Foreign
	switch {
	case kept.Tentative != "":
		t |= assurance.Tentative
	case terms.Asserts(s.Class):
		t |= assurance.Asserted
	}
	return t
}

// answered opens question and answer, and finds them to be of each other.
func (a *Authenticator) answered(sealed authenticator.Memo, answer prompt.Answer, now time.Time) (memo, said.Statement, authenticator.Result) {
	var m memo
	if json.Unmarshal(sealed, &m) != nil || !said.IsChallenge(m.Challenge) {
		return m, said.Statement{}, authenticator.Wrong(reasonChallenge)
	}
	issued := time.UnixMilli(m.Issued)
	if age := now.Sub(issued); age < -skew || age > lifetime {
		return m, said.Statement{}, authenticator.Wrong(reasonStale)
	}
	challenge, s, err := a.read(answer)
	switch {
	case err != nil:
		return m, s, authenticator.Wrong(reasonMalformed)
	case subtle.ConstantTimeCompare([]byte(challenge), []byte(m.Challenge)) != 1:
		return m, s, authenticator.Wrong(reasonChallenge)
	case s.At().Before(issued.Add(-skew)) || s.At().After(now.Add(skew)):
		return m, s, authenticator.Wrong(reasonStale)
	case s.Refused != "":
		return m, s, authenticator.Result{Reason: s.Refused, Detail: s.Detail}
	case s.Subject == "":
		return m, s, authenticator.Wrong(reasonMalformed)
	}
	return m, s, authenticator.Result{}
}

func (a *Authenticator) read(answer prompt.Answer) (string, said.Statement, error) {
	var text string
	if err := json.Unmarshal(answer.Data, &text); err != nil {
		return "", said.Statement{}, err
	}
	if a.options.Seals == nil {
		return "", said.Statement{}, said.ErrStatement
	}
	return said.Read(a.options.Seals, text)
}
