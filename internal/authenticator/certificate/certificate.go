// Package certificate is the authenticator for smart cards and other X.509
// certificates, shown by mutual TLS.
//
// It owns what a certificate is bound by, which traits it shows and how it is
// enrolled. It speaks no TLS: the endpoint that does (protocol/mutualtls) seals a
// statement of what it saw, and this room decides what that is worth. Its one
// invariant: an accepted statement was made by our own endpoint, for the very
// question that this attempt was asked, over a certificate that an account was
// bound to beforehand.
package certificate

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/pki"
	"countersign/internal/prompt"
)

// Kind is this authenticator's word in storage, policy and audit.
const Kind = "certificate"

// Options are what the authenticator is made of.
type Options struct {
	Authorities pki.Authorities
	// Seals opens what the endpoint sealed.
	Seals pki.Seals
	// URL is where the endpoint is, as browsers reach it. Its origin is what
	// evidence is bound to.
	URL *url.URL
}

// Authenticator checks certificates. It is safe for concurrent use.
type Authenticator struct{ options Options }

// New makes one.
func New(o Options) *Authenticator { return &Authenticator{o} }

// Describe says what a certificate can show at its best.
//
// It resists phishing by channel binding: client-authenticated TLS is the example
// that NIST SP 800-63B-4 section 3.2.5.1 gives. It may be the first thing asked:
// it names its own account.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Signal: "x509", Title: "Smart card", Noun: "smart card", Pitch: "The card that your organisation gave you. It cannot be phished.", Document: "smartcards.md", Mark: authenticator.MarkPaper, AMR: "sc", Media: prompt.Browser, First: true, Issued: true,
		Traits: assurance.Held | assurance.PhishingResistant | assurance.UserVerified | assurance.HardwareBound}
}

// lifetime is how long a question can be answered: a PIN is typed meanwhile.
const lifetime = 5 * time.Minute

// Ask returns the question: an address at which the card is shown. It is the same
// for everybody but for the challenge in it.
func (a *Authenticator) Ask(credentials []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	m := newMemo(forSignIn, now)
	for _, c := range credentials {
		m.Account, m.Asked = c.Account, append(m.Asked, c.ID)
	}
	return a.pose(m, "Use a smart card")
}

func (a *Authenticator) pose(m memo, label string) (prompt.Prompt, authenticator.Memo, error) {
	data, err := json.Marshal(struct {
		URL string `json:"url"`
	}{a.options.URL.JoinPath(m.For, m.Challenge).String()})
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	kept, err := json.Marshal(m)
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Certificate, Label: label, Data: data}, kept, err
}

// Discover returns the handle of the certificate that a statement is about.
func (a *Authenticator) Discover(answer prompt.Answer) (handle string, ok bool) {
	_, s, err := a.read(answer)
	if err != nil || s.Refused != "" {
		return "", false
	}
	seen, err := a.look(s, s.At())
	return seen.id.Handle, err == nil
}

// Reasons of a refusal beside those of pki and the endpoint.
const (
	reasonMalformed = "malformed"
	reasonChallenge = "wrong-challenge"
	reasonStale     = "stale"
	reasonUnknown   = "unknown-certificate"
	reasonKey       = "other-key"
	reasonOwner     = "other-name"
	reasonAttest    = "not-attested"
)

// Check decides over a statement of our endpoint. Its Once is the challenge, its
// Bound the endpoint's origin. The certificate is verified here again, so that
// what the configuration says now is what counts.
func (a *Authenticator) Check(_ context.Context, credentials []authenticator.Credential, sealed authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	m, s, refused := a.answered(sealed, forSignIn, answer, now)
	if refused.Reason != "" {
		return refused, nil
	}
	seen, err := a.look(s, now)
	if err != nil {
		return authenticator.Result{Reason: reasonOf(err), Detail: s.Detail}, nil
	}
	for _, c := range credentials {
		if c.Handle != seen.id.Handle || !m.covers(c) {
			continue
		}
		kept, err := decodeState(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if !kept.fits(seen) {
			return authenticator.Result{Reason: reasonKey, Detail: s.Detail}, nil
		}
		return authenticator.Result{OK: true, Credential: c.ID, Traits: kept.traits(seen), Once: "c" + m.Challenge,
			Bound: a.options.URL.Scheme + "://" + a.options.URL.Host, Detail: s.Detail}, nil
	}
	return authenticator.Result{Reason: reasonUnknown, Detail: s.Detail}, nil
}

// answered opens question and answer, and finds them to be of each other.
func (a *Authenticator) answered(sealed authenticator.Memo, use string, answer prompt.Answer, now time.Time) (memo, pki.Statement, authenticator.Result) {
	m, reason := openMemo(sealed, use, now)
	if reason != "" {
		return m, pki.Statement{}, authenticator.Wrong(reason)
	}
	challenge, s, err := a.read(answer)
	switch {
	case err != nil:
		return m, s, authenticator.Wrong(reasonMalformed)
	case subtle.ConstantTimeCompare([]byte(challenge), []byte(m.Challenge)) != 1:
		return m, s, authenticator.Wrong(reasonChallenge)
	case s.At().Before(m.issued().Add(-skew)) || s.At().After(now.Add(skew)):
		return m, s, authenticator.Wrong(reasonStale)
	case s.Refused != "":
		return m, s, authenticator.Result{Reason: s.Refused, Detail: s.Detail}
	}
	return m, s, authenticator.Result{}
}

func (a *Authenticator) read(answer prompt.Answer) (string, pki.Statement, error) {
	var text string
	if err := json.Unmarshal(answer.Data, &text); err != nil {
		return "", pki.Statement{}, err
	}
	return pki.Read(a.options.Seals, text)
}

// sight is a certificate that was verified.
type sight struct {
	authority pki.Authority
	id        pki.Identity
}

// look verifies the statement's certificate. The authority must be the one that
// the endpoint asked about its revocation.
func (a *Authenticator) look(s pki.Statement, now time.Time) (sight, error) {
	seen, err := a.sight(s.Certificate, now)
	if err == nil && seen.authority.Name != s.Authority {
		err = pki.UnknownAuthority
	}
	return seen, err
}

func (a *Authenticator) sight(der []byte, now time.Time) (sight, error) {
	authority, path, err := a.options.Authorities.Verify(der, now)
	if err != nil {
		return sight{}, err
	}
	id, err := authority.Identify(path[0])
	return sight{authority, id}, err
}

func reasonOf(err error) string {
	var r pki.Refusal
	if errors.As(err, &r) {
		return string(r)
	}
	return reasonMalformed
}
