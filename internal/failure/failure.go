// Package failure is the one vocabulary of errors: six classes, a sentence for
// the person, and the cause for the log.
//
// It owns no transport's words: each protocol translates a [Class] once, at its
// edge. Its one invariant: an error that nobody classified is [Internal], and
// says nothing outside. Every room may import it; it imports none.
package failure

import (
	"errors"
	"fmt"
)

// Class says what kind of trouble it is. The zero Class is Internal.
type Class int

const (
	// Internal is our own fault: silent outside, loud in the log.
	Internal Class = iota
	// Invalid is input that cannot be understood; the sentence says how to mend it.
	Invalid
	// Refused is understood and not allowed.
	Refused
	// NotFound is no such thing, or none that the asker may know of.
	NotFound
	// Conflict is something that is already so, or was done by somebody else meanwhile.
	Conflict
	// Unavailable is a breakdown that may pass: try again later.
	Unavailable
)

var classWords = [...]string{"internal", "invalid", "refused", "not-found", "conflict", "unavailable"}

func (c Class) String() string {
	if c < 0 || int(c) >= len(classWords) {
		return classWords[Internal]
	}
	return classWords[c]
}

// Error is a classified error.
type Error struct {
	Class Class
	// Public is one sentence that may be shown to anybody. It holds no secret
	// and, for Refused, nothing that tells one refusal from another.
	Public string
	// Reason is a stable word for the audit log: "stale", "own-pass", ...
	Reason string
	// Field is the input that it is about, by its name in a request, or empty.
	Field string
	// Cause is for the log, or nil. It stays reachable by errors.Is.
	Cause error
}

func (e *Error) Error() string {
	s := e.Public
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Busy turns somebody away from a line that is full.
var Busy = &Error{Class: Unavailable, Reason: "busy", Public: "Too many people are signing in at this moment. Try again in a few seconds."}

// New makes a classified error with its public sentence.
func New(c Class, format string, args ...any) *Error {
	return &Error{Class: c, Public: fmt.Sprintf(format, args...)}
}

// Refuse makes a Refused error: a reason for the log, a sentence for the person.
func Refuse(reason, public string) *Error {
	return &Error{Class: Refused, Reason: reason, Public: public}
}

// Wrap classifies a cause. A nil cause stays nil.
func Wrap(c Class, cause error, public string) error {
	if cause == nil {
		return nil
	}
	return &Error{Class: c, Public: public, Cause: cause}
}

// ClassOf returns the class of the outermost classified error in the chain, and
// Internal when there is none.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Internal
}

// Public returns what may be shown to anybody.
func Public(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Public != "" && e.Class != Internal {
		return e.Public
	}
	return "Something went wrong on our side. Nothing was changed."
}

// ReasonOf returns the stable word for the audit log, or the class.
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return ClassOf(err).String()
}

// At says which input a classified error is about, where that is not said yet.
// Nil and what nobody classified stay as they are.
func At(field string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Field != "" {
		return err
	}
	c := *e
	c.Field = field
	return &c
}

// FieldOf returns the input that an error is about, or empty.
func FieldOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}
