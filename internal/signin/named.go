package signin

import (
	"context"
	"slices"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// Names says whether a name, as somebody typed it, is that of whom a ticket's attempt is about:
// the same account, or nobody under a like spelling. It is a Refused failure where it is not, with
// the sentence of a wrong answer, and uses nothing up. What the ticket itself is worth, [Engine.Answer]
// and [Engine.Poll] say.
func (e *Engine) Names(ctx context.Context, ticket, name string) error {
	at, err := e.attempts.read(ctx, e.db, ticket)
	if failure.ClassOf(err) == failure.Refused {
		return nil
	}
	if err != nil {
		return err
	}
	return e.examiner.names(ctx, e.db, at, name)
}

var errOtherName = &failure.Error{Class: failure.Refused, Reason: "other-name", Public: bland}

func (x *examiner) names(ctx context.Context, r store.Reader, at *attempt, name string) error {
	ours, err := x.claimed(ctx, r, at)
	if err != nil {
		return err
	}
	theirs, err := x.people.Find(ctx, r, name)
	switch class := failure.ClassOf(err); {
	case err != nil && class != failure.NotFound && class != failure.Invalid:
		return err
	case err == nil && theirs.ID == ours.ID:
		return nil
	case err != nil && ours.ID == 0 && alike(at.Name, name):
		return nil
	}
	return errOtherName
}

// alike reports whether two names that nobody has could be one person's.
func alike(a, b string) bool {
	if a == b {
		return true
	}
	theirs := directory.Candidates(b)
	return slices.ContainsFunc(directory.Candidates(a), func(s string) bool { return slices.Contains(theirs, s) })
}
