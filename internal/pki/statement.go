package pki

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Statement is the result of one mutual TLS handshake, for one challenge. The endpoint
// only reports; the reader decides whether the certificate is sufficient.
type Statement struct {
	// Certificate is the one whose key the client proved to hold; empty for none.
	Certificate []byte `json:"c,omitempty"`
	// Authority is the name of the authority whose revocation sources were asked.
	Authority string `json:"a,omitempty"`
	// Refused is why the certificate is refused; empty if it was not revoked.
	Refused string `json:"r,omitempty"`
	Detail  string `json:"d,omitempty"`
	// Time is the time of the handshake, in milliseconds since 1970.
	Time int64 `json:"t"`
}

// At returns the time of the handshake.
func (s Statement) At() time.Time { return time.UnixMilli(s.Time) }

// Seals seals statements: only this installation's endpoint can make one, and it is
// valid only for its challenge.
type Seals interface {
	Seal(challenge string, plain []byte) []byte
	Open(challenge string, sealed []byte) ([]byte, error)
}

var errStatement = errors.New("pki: invalid statement")

// Write seals a statement for a challenge, as text for a URL.
func Write(k Seals, challenge string, s Statement) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return challenge + "." + base64.RawURLEncoding.EncodeToString(k.Seal(challenge, plain)), nil
}

// longest is the greatest statement, in characters of its text.
const longest = 2*Largest + 1024

// Read opens the result of Write, and returns its challenge.
func Read(k Seals, text string) (challenge string, s Statement, err error) {
	challenge, rest, ok := strings.Cut(text, ".")
	if !ok || len(text) > longest || !IsChallenge(challenge) {
		return "", s, errStatement
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return "", s, errStatement
	}
	plain, err := k.Open(challenge, sealed)
	if err != nil {
		return "", s, errStatement
	}
	if json.Unmarshal(plain, &s) != nil {
		return "", Statement{}, errStatement
	}
	return challenge, s, nil
}

// ChallengeSize is the number of random bytes in a challenge.
const ChallengeSize = 32

// IsChallenge reports whether a text has the form of a challenge, base64url.
func IsChallenge(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == ChallengeSize
}
