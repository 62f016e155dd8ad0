// Package said is what another organisation's identity provider said of somebody, as our own
// endpoint understood it.
//
// It owns the statement, how it travels sealed, and the terms on which an installation hears an
// upstream. It knows no protocol, no network and no database, and the moment is always an
// argument. Its neighbours are upstream, which makes statements, and authenticator/upstream,
// which says what one is worth. Its one invariant: a statement is for one question, and only
// this installation's endpoint can have made it.
package said

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Trust is what an upstream's word on second factors is worth.
type Trust string

const (
	// Reject takes no word on second factors: signing in there is something known, as a password.
	Reject Trust = "reject"
	// Accept takes its word where it names one of the listed classes, and is Reject otherwise.
	Accept Trust = "accept"
	// Enforce is Accept, and refuses whoever comes without one of the listed classes.
	Enforce Trust = "enforce"
)

// Refusal is what an upstream said and why it is not taken. Reason is a stable word for the log,
// and Detail is for the log too; neither holds a secret.
type Refusal struct{ Reason, Detail string }

func (r *Refusal) Error() string { return "upstream: " + r.Reason }

// Terms are on what terms an upstream is heard.
type Terms struct {
	// Number is the upstream's, which no other one ever has. Name is its stable word, and Title
	// what people call it.
	Number      int64
	Name, Title string
	// Issuer is who signs: an issuer identifier of OpenID Connect, an entity ID of SAML.
	Issuer string
	Trust  Trust
	// Classes are the values of acr, or of AuthnContextClassRef, that say that a second factor was
	// checked.
	Classes []string
}

// Asserts reports whether a class is one by which the upstream's word is taken.
func (t Terms) Asserts(class string) bool {
	return (t.Trust == Accept || t.Trust == Enforce) && class != "" && slices.Contains(t.Classes, class)
}

// Statement is what came of one visit to an upstream, for one challenge.
type Statement struct {
	// Upstream is the number of the upstream, and Name its stable word.
	Upstream int64  `json:"u"`
	Name     string `json:"n"`
	Issuer   string `json:"i"`
	// Subject is who the upstream says it is: an identifier of its own, never a mail address
	// that it merely claims.
	Subject string `json:"s,omitempty"`
	// Class is how they signed in there: acr, AuthnContextClassRef; empty where nothing is said.
	Class string `json:"c,omitempty"`
	// Mail is an address that the upstream says it verified; else it is empty.
	Mail string `json:"m,omitempty"`
	// Refused is why nothing is said of anybody; empty where something is. Detail is for the log.
	Refused string `json:"r,omitempty"`
	Detail  string `json:"d,omitempty"`
	// Time is when it was made, in milliseconds since 1970.
	Time int64 `json:"t"`
}

// At is when the statement was made.
func (s Statement) At() time.Time { return time.UnixMilli(s.Time) }

// Handle is what a link to the statement's subject is found by: nobody's at another upstream,
// nor at one of the same name that was made anew.
func (s Statement) Handle() string { return Handle(s.Upstream, s.Issuer, s.Subject) }

// Handle is that of a subject at an upstream.
func Handle(upstream int64, issuer, subject string) string {
	sum := sha256.Sum256([]byte(strconv.Quote(issuer) + strconv.Quote(subject)))
	return Prefix(upstream) + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Prefix begins every handle of an upstream, and none of another one.
func Prefix(upstream int64) string { return strconv.FormatInt(upstream, 10) + ":" }

// Seals seals statements: only this installation can make one, for one challenge.
type Seals interface {
	Seal(challenge string, plain []byte) []byte
	Open(challenge string, sealed []byte) ([]byte, error)
}

// ErrStatement is a text that is no statement of ours.
var ErrStatement = errors.New("said: invalid statement")

// longest bounds a statement, in characters of its text.
const longest = 8 << 10

// Write seals a statement for a challenge.
func Write(k Seals, challenge string, s Statement) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return challenge + "." + base64.RawURLEncoding.EncodeToString(k.Seal(challenge, plain)), nil
}

// Read opens what Write made, and returns its challenge.
func Read(k Seals, text string) (challenge string, s Statement, err error) {
	challenge, rest, ok := strings.Cut(text, ".")
	if !ok || len(text) > longest || !IsChallenge(challenge) {
		return "", s, ErrStatement
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return "", s, ErrStatement
	}
	plain, err := k.Open(challenge, sealed)
	if err != nil || json.Unmarshal(plain, &s) != nil {
		return "", Statement{}, ErrStatement
	}
	return challenge, s, nil
}

// ChallengeSize is the number of random octets in a challenge.
const ChallengeSize = 32

// IsChallenge reports whether a text has the form of a challenge.
func IsChallenge(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == ChallengeSize
}

// Digest stands for a challenge where it is kept.
func Digest(challenge string) string {
	sum := sha256.Sum256([]byte("countersign upstream\x00" + challenge))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
