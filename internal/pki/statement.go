package pki

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Statement is what the endpoint that speaks mutual TLS says of one handshake, for
// one challenge. It says no more than it saw: whether the certificate lets anybody
// in is decided by who reads it.
type Statement struct {
	// Certificate is what the client proved to hold the key of; empty for none.
	Certificate []byte `json:"c,omitempty"`
	// Authority is the name of the one that was asked about its revocation.
	Authority string `json:"a,omitempty"`
	// Refused says why it is worth nothing; empty says that it was not revoked.
	Refused string `json:"r,omitempty"`
	Detail  string `json:"d,omitempty"`
	// Time is when, in milliseconds since 1970.
	Time int64 `json:"t"`
}

// At is the statement's time.
func (s Statement) At() time.Time { return time.UnixMilli(s.Time) }

// Seals keeps a statement from everybody else's hands: only our own endpoint can
// make one, and one that was made for a challenge is nothing to another.
type Seals interface {
	Seal(challenge string, plain []byte) []byte
	Open(challenge string, sealed []byte) ([]byte, error)
}

var errStatement = errors.New("pki: not a statement of ours")

// Write seals a statement for a challenge, as text for an address.
func Write(k Seals, challenge string, s Statement) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return challenge + "." + base64.RawURLEncoding.EncodeToString(k.Seal(challenge, plain)), nil
}

// longest is the greatest statement, in characters of its text.
const longest = 2*Largest + 1024

// Read opens what Write made, and returns the challenge that it is for.
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

// ChallengeSize is how many random bytes a challenge has.
const ChallengeSize = 32

// IsChallenge reports whether a text has the form of a challenge, base64url.
func IsChallenge(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == ChallengeSize
}
