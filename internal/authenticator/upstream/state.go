package upstream

import (
	"encoding/json"
	"errors"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/upstream/said"
)

// state is what is kept of a link. There is no secret in it.
type state struct {
	Version int `json:"v"`
	// Upstream is the number of the upstream, and Subject whom it knows there.
	Upstream int64  `json:"u"`
	Issuer   string `json:"i"`
	Subject  string `json:"s"`
	// Tentative says that its owner has not confirmed the link: it is the digest of the one
	// challenge that a link counts for which a rule made, or anyChallenge for one that an
	// administrator made. It is empty once its owner has confirmed it.
	Tentative string `json:"t,omitempty"`
}

const anyChallenge = "*"

// fits reports whether a link counts for a challenge.
func (s state) fits(challenge string) bool {
	return s.Tentative == "" || s.Tentative == anyChallenge || s.Tentative == said.Digest(challenge)
}

const stateVersion = 1

var errState = errors.New("upstream: the stored state cannot be read")

func decodeState(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != stateVersion || s.Upstream == 0 || s.Issuer == "" || s.Subject == "" {
		return state{}, errState
	}
	return s, nil
}

// Link is a link that is to be kept, of whoever a statement is about. It is not confirmed; with a
// challenge it counts for that one alone until it is.
func Link(s said.Statement, label, challenge string) (authenticator.Enrolled, error) {
	kept := state{Version: stateVersion, Upstream: s.Upstream, Issuer: s.Issuer, Subject: s.Subject, Tentative: anyChallenge}
	if challenge != "" {
		kept.Tentative = said.Digest(challenge)
	}
	b, err := json.Marshal(kept)
	return authenticator.Enrolled{State: b, Handle: s.Handle(), Traits: assurance.Known | assurance.Foreign | assurance.Tentative, Label: label}, err
}

// Confirmed is a link's state once its owner has confirmed it.
func Confirmed(old []byte) (next []byte, traits assurance.Trait, err error) {
	kept, err := decodeState(old)
	if err != nil {
		return nil, 0, err
	}
	kept.Tentative = ""
	next, err = json.Marshal(kept)
	return next, assurance.Known | assurance.Foreign | assurance.Asserted, err
}

// Of returns the upstream's number and the subject that a link is to, and whether it is not
// confirmed.
func Of(kept []byte) (upstream int64, subject string, tentative bool, err error) {
	s, err := decodeState(kept)
	return s.Upstream, s.Subject, s.Tentative != "", err
}
