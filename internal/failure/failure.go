// Package failure classifies errors. An [Error] has one of six classes, a
// sentence for the user, and the cause for the log.
//
// Protocols translate a [Class] to their own status codes. Invariant: an error
// without a class is [Internal], and its text is never shown to a user. Every
// package may import this one; it imports none of ours.
package failure

import (
	"errors"
	"fmt"
)

// Class is the kind of an error. The zero Class is Internal.
type Class int

const (
	// Internal is a fault of the server: details go to the log only.
	Internal Class = iota
	// Invalid is malformed input; the sentence says how to correct it.
	Invalid
	// Refused is a valid request that is not allowed.
	Refused
	// NotFound is an object that does not exist, or that the caller may not know of.
	NotFound
	// Conflict is a change that was already made, or that another change preceded.
	Conflict
	// Unavailable is a temporary failure: try again later.
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
	// Public is one sentence that any user may see. It holds no secret
	// and, for Refused, nothing that tells one refusal from another.
	Public string
	// Format and Args are what Public was made of, as by [fmt.Sprintf], for whoever says it in
	// another language; Format is empty where Public is all.
	Format string
	Args   []any
	// Reason is a stable word for the audit log: "stale", "own-pass", ...
	Reason string
	// Field is the name of the input in the request that caused it, or empty.
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

// Busy refuses a request because a queue is full.
var Busy = &Error{Class: Unavailable, Reason: "busy", Public: "Too many people are signing in at this moment. Try again in a few seconds."}

// New returns an Error of this class with its public sentence.
func New(c Class, format string, args ...any) *Error {
	return &Error{Class: c, Public: fmt.Sprintf(format, args...), Format: format, Args: args}
}

// Refuse returns a Refused error: a reason for the audit log, a sentence for the user.
func Refuse(reason, public string) *Error {
	return &Error{Class: Refused, Reason: reason, Public: public}
}

// Wrap returns an Error of this class for a cause, or nil for a nil cause.
func Wrap(c Class, cause error, public string) error {
	if cause == nil {
		return nil
	}
	return &Error{Class: c, Public: public, Cause: cause}
}

// ClassOf returns the class of the outermost classified error in the chain, and
// Internal when there is none.
func ClassOf(err error) Class {
	if err == nil {
		return Internal // as most are asked about: nothing is allocated
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Internal
}

// Public returns the sentence that any user may see.
func Public(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Public != "" && e.Class != Internal {
		return e.Public
	}
	return unexplained
}

const unexplained = "Something went wrong on our side. Nothing was changed."

// Sentence returns [Public] as it was made: its text, and the arguments that are formatted into
// it as by [fmt.Sprintf]; without arguments nothing is formatted.
func Sentence(err error) (format string, args []any) {
	var e *Error
	switch {
	case !errors.As(err, &e) || e.Public == "" || e.Class == Internal:
		return unexplained, nil
	case e.Format == "" || fmt.Sprintf(e.Format, e.Args...) != e.Public: // it says something else since
		return e.Public, nil
	}
	return e.Format, e.Args
}

// ReasonOf returns the reason for the audit log, or the name of the class.
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Reason != "" {
		return e.Reason
	}
	return ClassOf(err).String()
}

// At sets the Field of a classified error that has none. It returns nil and
// unclassified errors unchanged.
func At(field string, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Field != "" {
		return err
	}
	c := *e
	c.Field = field
	return &c
}

// FieldOf returns the Field of an error, or empty.
func FieldOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Field
	}
	return ""
}
