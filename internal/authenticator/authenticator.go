// Package authenticator is the contract that every kind of authenticator
// fulfils, and authenticatortest the exam that each one sits.
//
// It owns the shape of a question, a check and an enrollment. It does not keep
// anything, count anything or know any protocol: the engine hands in the
// credential's stored state and stores the next one. Its one invariant: an
// authenticator is a pure function of its arguments and its configuration, so
// that single use, guess budgets and audit live in one place, in signin.
package authenticator

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/language"
	"countersign/internal/prompt"
)

// Description is what an authenticator is, constant for its lifetime.
type Description struct {
	// Kind is the stable word in storage, policy and audit: "totp".
	Kind string
	// Title is what people call it: "Authenticator app". Noun is the same within a
	// sentence: "authenticator app".
	Title, Noun string
	// Pitch says in a sentence what it is for whoever chooses what to set up; kinds that
	// nobody sets up by themselves have none.
	Pitch string
	// Document is its page in docs: "authenticators.md".
	Document string
	// Mark is the picture beside it.
	Mark Mark
	// AMR is the method that it is where its traits do not say (RFC 8176): "pwd",
	// "sms"; else empty.
	AMR string
	// Signal is the type of credential that it is in shared signals (CAEP 1.0 section 3.3.1):
	// "password", "app"; "fido2" is roaming or platform by its traits. Empty is its Kind.
	Signal string
	// Single says that an account has one: a new one replaces it.
	Single bool
	// Issued says that people have one only when their organisation gave it to them: a
	// card. Nobody begins with it alone.
	Issued bool
	// Carrier is by what its codes are sent; empty where none are.
	Carrier Carrier
	// Traits are all that it could show at its best. A Result shows a subset.
	Traits assurance.Trait
	// Media: the prompt can be played by any medium that has one of these bits.
	Media prompt.Medium
	// Slow checks (memory-hard hashes) run outside of transactions and behind
	// admission control. Others run inside the transaction that spends them.
	Slow bool
	// Guessable answers draw on the guess budget. Signatures cannot be guessed,
	// so that a stranger's noise never locks the owner out of them.
	Guessable bool
	// First may be the first thing asked of a person whose name alone is known.
	First bool
}

// Carrier is by what a code is sent, in HTML's word for the field that takes its address.
type Carrier string

// The carriers.
const (
	Telephone Carrier = "tel"
	Mail      Carrier = "email"
)

// Mark names a picture that the pages have.
type Mark string

// The marks.
const (
	MarkKey    Mark = "key"
	MarkPhone  Mark = "phone"
	MarkDots   Mark = "dots"
	MarkPaper  Mark = "paper"
	MarkTicket Mark = "ticket"
)

// Credential is one enrolled authenticator, as read from the store: unsealed,
// and its row's MAC verified.
type Credential struct {
	ID      assurance.CredentialID
	Account assurance.AccountID
	Kind    string
	// Label is the owner's own name for it.
	Label string
	// State is the authenticator's own, opaque to everybody else.
	State []byte
	// Handle is how an answer finds its credential when no account was named
	// (a WebAuthn credential id, a token serial); unique per kind, or empty.
	Handle string
	// Failures counts wrong answers since the last right one.
	Failures int
	Created  time.Time
}

// Result is what a check found. The zero Result is a wrong answer.
type Result struct {
	OK bool
	// Partial is a right answer that is not yet enough: the first of two
	// consecutive codes. Once and Next are kept, no evidence is added, and the
	// question is asked again. OK is false then.
	Partial bool
	// Used is an answer that is refused and used up all the same: the right code
	// with a wrong PIN or none, which nobody may give again with it. Once and
	// Next are kept, and it is charged like any wrong answer. OK and Partial are
	// false then.
	Used bool
	// Credential is which one of those handed in answered.
	Credential assurance.CredentialID
	// Traits are what was shown this time.
	Traits assurance.Trait
	// Next is the state to keep from now on; nil keeps the old one.
	Next []byte
	// Once is a key that may be accepted only once, ever, for this credential:
	// a time step, a counter, a challenge, a recovery code's number. Every OK
	// or Partial Result of a replayable answer has one; the engine spends it
	// under a unique constraint in the transaction that writes the evidence.
	Once string
	// Exhausted says the credential has nothing left and is to be retired.
	Exhausted bool
	// Reason is a stable word for the audit log when not OK: "wrong",
	// "replayed", "stale", "wrong-origin", "not-verified", ... Never shown.
	Reason string
	// Detail is for the audit log as well: the origin seen, a counter that
	// went back. It never holds what was typed.
	Detail string
	// Bound is what an accepted answer was bound to: a WebAuthn origin.
	Bound string
	// Until is when what was shown stops counting; zero for never. A temporary
	// access pass sets its own end.
	Until time.Time
}

// Wrong is a refused answer with its reason.
func Wrong(reason string) Result { return Result{Reason: reason} }

// Memo is what an authenticator wants back with the answer: a challenge. The
// engine keeps it sealed and hands it to nobody else. Nil is none.
type Memo []byte

// Authenticator checks one kind of evidence. Methods are safe for concurrent
// use. A wrong answer is a value; an error means breakdown, and refuses.
type Authenticator interface {
	// Describe returns the same Description each time.
	Describe() Description
	// Ask returns the question for these credentials of one account. With none
	// it returns the question that an account which has one would be asked
	// (for a discoverable passkey: the one without a list).
	Ask(credentials []Credential, now time.Time) (prompt.Prompt, Memo, error)
	// Check compares. With no credentials it takes the usual time and the
	// answer is wrong. The credentials and the memo belong to one account.
	Check(ctx context.Context, credentials []Credential, memo Memo, answer prompt.Answer, now time.Time) (Result, error)
}

// Discoverer is an Authenticator whose answers can name their own credential,
// so that the person need not type a name.
type Discoverer interface {
	// Discover returns the credential's Handle. It checks nothing.
	Discover(answer prompt.Answer) (handle string, ok bool)
}

// Person is who enrolls.
type Person struct {
	Account assurance.AccountID
	// UserHandle is 64 random bytes at most that stand for the account towards
	// authenticators and say nothing about it (WebAuthn section 5.4.3).
	UserHandle []byte
	Name       string // canonical name
	Display    string
	// Mails are the account's addresses.
	Mails []string
	// Existing are the account's credentials of this kind.
	Existing []Credential
}

// Enrolled is a new credential, not yet kept.
type Enrolled struct {
	// State and Handle as in Credential. Traits are what it could show.
	State  []byte
	Handle string
	Traits assurance.Trait
	// Label is a proposal for its name: "YubiKey 5", "Authenticator app".
	Label string
	// Detail is for the audit log: an AAGUID, an attestation's verdict.
	Detail string
	// Once as in Result: the code that confirmed a TOTP enrollment is spent.
	Once string
}

// Enroller is an Authenticator that people can enroll by themselves. Owning a
// new one is not having used it: enrolling adds no evidence.
type Enroller interface {
	// Offer begins: what to show the person, and what to remember.
	Offer(p Person, now time.Time) (prompt.Prompt, Memo, error)
	// Accept finishes. A refused answer is a *Refused error.
	Accept(ctx context.Context, p Person, memo Memo, answer prompt.Answer, now time.Time) (Enrolled, error)
}

// Bearer is an Authenticator whose credentials come with a device's requests, each at one service
// of one application.
type Bearer interface {
	// For is the service that a credential was made for.
	For(c Credential) (application, service string, err error)
}

// Assigner is an Authenticator that an administrator can assign to somebody by what
// is public of it.
type Assigner interface {
	// Assign makes of a text what is kept. A text that will not do is a *Refused
	// error.
	Assign(text []byte, now time.Time) (Enrolled, error)
}

// Message is a short text for a telephone or a mail, which others carry.
type Message struct {
	// To is a number, E.164 with a + before, or an address.
	To string
	// Subject is that of a mail; a text for a telephone has none.
	Subject string
	Text    string
	// Said is the same before it is in a language. A message that was written is kept without it.
	Said Wording `json:"-"`
}

// Wording is a message in no language yet, and what stands behind its text in each of them.
type Wording struct {
	Subject, Text language.Sentence
	Tail          string
}

// Worded is a message in English that can be written in other languages.
func Worded(to string, w Wording) Message {
	return Message{To: to, Said: w}.In(language.English())
}

// In is the message as it is written in a language.
func (m Message) In(in *language.Language) Message {
	if m.Said.Text.Format != "" {
		m.Subject, m.Text = in.Tell(m.Said.Subject), in.Tell(m.Said.Text)+m.Said.Tail
	}
	return m
}

// String hides what is sent, so that no log or error can show it.
func (m Message) String() string { return "message" }

// GoString hides what is sent from %#v too.
func (m Message) GoString() string { return m.String() }

// Sender is an Authenticator whose code goes to its owner by way of others. Ask
// offers to send one, and sends none.
type Sender interface {
	// Send makes a code for a credential: what is to be sent, the question for it,
	// and what to remember until the answer.
	Send(c Credential, now time.Time) (Message, prompt.Prompt, Memo, error)
}

// Another is an enrollment answer that was understood, after which one more is
// asked for: a code that goes to what the first answer named.
type Another struct {
	Message Message
	Prompt  prompt.Prompt
	Memo    Memo
}

func (a *Another) Error() string { return "authenticator: another answer is needed" }

// Refused is an enrollment answer that was understood and not accepted. Public
// is one sentence for the person on how to mend it.
type Refused struct {
	Reason string // a stable word for the audit log
	Public string
	// Said is what Public was made of, for whoever reads it in another language; zero where
	// Public is all.
	Said language.Sentence
}

func (r *Refused) Error() string { return "authenticator: enrollment refused: " + r.Reason }

// RollbackRecoverer is an Authenticator whose answers can be given again if the store
// forgets that they were: every one that spends a Once and keeps no challenge.
type RollbackRecoverer interface {
	// AfterRollback is asked when an older copy of the state was put back, as a
	// restored backup does. It returns a state that accepts nothing which may
	// have been accepted before now, or usable false where none can be told from
	// what is still good: then the credential is retired.
	AfterRollback(state []byte, now time.Time) (next []byte, usable bool, err error)
}
