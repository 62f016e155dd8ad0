// Package prompt is the words for what is asked, what is answered, and what a
// medium can play.
//
// It owns no behaviour: an authenticator makes a [Prompt], a protocol or a page
// plays it, and the [Answer] goes back to the engine. Its one invariant: a
// Prompt names everything a person needs to answer it and nothing that helps
// anybody else to.
package prompt

import (
	"encoding/json"

	"countersign/internal/language"
)

// Medium is what a protocol can play, as a set of bits. The engine never asks
// for what the medium cannot play. The zero Medium can play nothing.
type Medium uint8

const (
	// Line is a text and one typed line in reply, again and again: RADIUS
	// Access-Challenge, a PAM conversation, a terminal.
	Line Medium = 1 << iota
	// Single is one typed line and no second: a client that takes a challenge
	// for a refusal. Password and code must come together.
	Single
	// Silence is waiting while the person acts elsewhere.
	Silence
	// Display is a text that the person sees before they act elsewhere, so a
	// number can be shown.
	Display
	// Browser is a page: forms, and WebAuthn through script.
	Browser
	// API is a request of a program that carries its own proof: there is nobody to
	// ask.
	API
)

// Can reports whether the medium can play every bit of want.
func (m Medium) Can(want Medium) bool { return m&want == want }

// Kind says how a Prompt is played.
type Kind string

const (
	// Secret is a typed line that is not echoed: a password, a pass.
	Secret Kind = "secret"
	// Code is a short typed code that may be echoed where the medium wants so.
	Code Kind = "code"
	// PublicKey is a WebAuthn ceremony: Data is the JSON for
	// navigator.credentials.get or create, the Answer's Data its JSON reply.
	PublicKey Kind = "public-key"
	// OutOfBand is an act on another device: Label says what to do there, and
	// Number is what to type there (never a choice). Data, where it is there, is
	// {"uri": "..."}: a link that a device can scan in place of typing.
	OutOfBand Kind = "elsewhere"
	// Sending is an offer to send a code: the Answer is empty, and a Code is asked
	// for then.
	Sending Kind = "sending"
	// Certificate is a visit to another address of ours, which asks for a client
	// certificate: Data is {"url": "..."}, the Answer's Data the text that the
	// browser brings back, as a JSON string.
	Certificate Kind = "certificate"
	// Upstream is a visit to another organisation's identity provider: Data is
	// {"challenge": "..."}, the Answer's Data the text that our own endpoint made of
	// what came back, as a JSON string.
	Upstream Kind = "upstream"
)

// Prompt is one question.
type Prompt struct {
	// Authenticator is the kind that asks: "password", "totp", ...
	Authenticator string `json:"authenticator"`
	Kind          Kind   `json:"kind"`
	// Label is one short line for the person: "Code from your authenticator app".
	Label string `json:"label"`
	// Said is what Label was made of, for whoever reads it in another language; zero where
	// Label is all.
	Said language.Sentence `json:"said,omitzero"`
	// Hint is one optional line more.
	Hint string `json:"hint,omitempty"`
	// Digits is the length of a numeric code, 0 when it is not one.
	Digits int `json:"digits,omitempty"`
	// Number is what the person must type elsewhere: on another device
	// (Elsewhere), or into the token whose answer is wanted here.
	Number string `json:"number,omitempty"`
	// Resend says that the Code was sent, and that an empty Answer asks for another.
	Resend bool `json:"resend,omitempty"`
	// Data is the WebAuthn options, where a certificate is shown, a link with the
	// Number to be scanned, or what an enrollment page must show (an otpauth URI,
	// recovery codes). It is the only field that may hold a
	// secret, and only in a Prompt for its own owner's enrollment.
	Data json.RawMessage `json:"data,omitempty"`
}

// Saying returns the Prompt with this label.
func (p Prompt) Saying(label language.Sentence) Prompt {
	p.Said, p.Label = label, label.String()
	return p
}

// Sentence is Label for whoever reads it in another language.
func (p Prompt) Sentence() language.Sentence {
	if p.Said.String() == p.Label {
		return p.Said
	}
	return language.Say(p.Label)
}

// Answer is the reply to a Prompt.
type Answer struct {
	// Authenticator is the kind that it answers, as the Prompt named it.
	Authenticator string
	// Text is the typed line for Secret and Code.
	Text string
	// Data is the JSON reply for PublicKey and Certificate.
	Data json.RawMessage
}

// String hides what was typed, so that no log or error can show it.
func (a Answer) String() string { return "answer to " + a.Authenticator }

// GoString hides what was typed from %#v too.
func (a Answer) GoString() string { return a.String() }
