// Package apikey checks automation keys: what an administrator gives to a
// service account, for exactly the actions and the networks that were approved
// when it was issued.
//
// It owns the key's form, what it serves and its end. It does not say who may
// issue one (admin does), is never asked for, and cannot be enrolled by oneself.
// Its neighbour is signin, which asks [Authenticator.Serves] before it looks at
// the key's evidence. Its one invariant: a key shows that an administrator
// approved in advance, and nothing that a person could be taken for.
package apikey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Kind is the word for keys in storage, policy and audit.
const Kind = "apikey"

// Prefix begins every key, so that people and scanners know one by sight.
const Prefix = "cskey_"

// Terms are what a key is good for.
type Terms struct {
	// Actions are the exact actions; Networks are where it may be used from.
	// Neither may be empty.
	Actions  []string
	Networks []netip.Prefix
	Expires  time.Time
}

type state struct {
	Version  int            `json:"v"`
	Sum      []byte         `json:"h"`
	Actions  []string       `json:"a"`
	Networks []netip.Prefix `json:"n"`
	Expires  int64          `json:"e"` // Unix seconds
}

func sum(secret string) []byte {
	h := sha256.Sum256([]byte("countersign automation key\x00" + secret))
	return h[:]
}

// Issue makes a key: its text, shown once, and what is kept. The secret half has
// at least 128 random bits, so a plain hash is enough.
func Issue(t Terms) (string, authenticator.Enrolled, error) {
	if len(t.Actions) == 0 || len(t.Networks) == 0 || t.Expires.IsZero() {
		return "", authenticator.Enrolled{}, errors.New("apikey: a key needs actions, networks and an end")
	}
	handle, secret := strings.ToLower(rand.Text()[:16]), strings.ToLower(rand.Text())
	b, err := json.Marshal(state{Version: 1, Sum: sum(secret), Actions: t.Actions, Networks: t.Networks, Expires: t.Expires.Unix()})
	return Prefix + handle + "_" + secret, authenticator.Enrolled{State: b, Handle: handle, Traits: assurance.Delegated, Label: "Automation key"}, err
}

// Authenticator checks keys.
type Authenticator struct{}

// Describe returns what keys are. They come with a program's request and are an
// answer nowhere.
func (Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Title: "Automation key", Noun: "automation key", Document: "commandline.md", Mark: authenticator.MarkKey, Traits: assurance.Delegated, Media: prompt.API}
}

// Ask is never played.
func (Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "Automation key"}, nil, nil
}

// Discover returns the half of a key that names its row.
func (Authenticator) Discover(answer prompt.Answer) (string, bool) {
	handle, _, ok := split(answer.Text)
	return handle, ok
}

func split(key string) (handle, secret string, ok bool) {
	rest, ok := strings.CutPrefix(key, Prefix)
	if !ok || len(rest) > 100 {
		return "", "", false
	}
	handle, secret, ok = strings.Cut(rest, "_")
	return handle, secret, ok && handle != "" && secret != ""
}

// Check compares the secret half. A key is used many times on purpose, so the
// result has no Once.
func (Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	handle, secret, ok := split(answer.Text)
	if !ok {
		return authenticator.Wrong("malformed"), nil
	}
	for _, c := range credentials {
		if c.Handle != handle {
			continue
		}
		s, err := read(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if subtle.ConstantTimeCompare(s.Sum, sum(secret)) != 1 {
			return authenticator.Wrong("wrong"), nil
		}
		end := time.Unix(s.Expires, 0)
		if !now.Before(end) {
			return authenticator.Wrong("expired"), nil
		}
		return authenticator.Result{OK: true, Credential: c.ID, Traits: assurance.Delegated, Until: end}, nil
	}
	return authenticator.Wrong("wrong"), nil
}

func read(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != 1 {
		return s, errors.New("apikey: a stored key cannot be read")
	}
	return s, nil
}

// Until says when a key ends.
func (Authenticator) Until(c authenticator.Credential) (time.Time, error) {
	s, err := read(c.State)
	return time.Unix(s.Expires, 0), err
}

// Serves says why a key does not serve an action from a source; empty when it
// does. A source that is not known is in no network.
func (Authenticator) Serves(c authenticator.Credential, action string, source netip.Addr) (string, error) {
	s, err := read(c.State)
	switch {
	case err != nil:
		return "", err
	case !slices.Contains(s.Actions, action):
		return "other-action", nil
	case !slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(source.Unmap()) }):
		return "other-network", nil
	}
	return "", nil
}
