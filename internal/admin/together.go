package admin

import (
	"context"
	"errors"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Granted is a command with the grant for exactly it.
type Granted struct {
	Grant   signin.Grant
	Command Command
}

// sharedKey is where a context says in which change commands are done together.
type sharedKey struct{}

// Together does several commands of one account in one change, in their order, all of them or
// none, each with its own grant and entries. First comes before all of them, in the same change,
// and may refuse; nil is nothing. It is for the commands that write by [Book.Change] and
// [Book.ChangeEach] alone: those of accounts and groups, without the import.
//
// A command that is refused is in the log as by [Admin.Do]. It answers what each command does.
func (a *Admin) Together(ctx context.Context, first func(ctx context.Context, tx *store.Tx) error, all []Granted) ([]any, error) {
	if len(all) == 0 {
		return nil, failure.New(failure.Internal, "no command to do together")
	}
	answers, at := make([]any, len(all)), 0
	for _, one := range all {
		if !one.Grant.Covers(signin.Self, one.Command.Action(), one.Command.Object()) || one.Grant.Account() != all[0].Grant.Account() {
			return nil, failure.New(failure.Internal, "a command without its own grant")
		}
	}
	err := a.db.Change(ctx, all[0].Grant.Actor(), func(tx *store.Tx) error {
		at = 0
		shared := context.WithValue(ctx, sharedKey{}, tx)
		if first != nil {
			if err := first(shared, tx); err != nil {
				return err
			}
		}
		for i, one := range all {
			at = i
			t, ok := a.task(one.Command)
			if !ok {
				return failure.New(failure.Internal, "a command of another room")
			}
			var err error
			if answers[i], err = t.do(shared, one.Grant); err != nil {
				return err
			}
		}
		return nil
	})
	if failure.ClassOf(err) == failure.Refused {
		g := all[at].Grant
		return nil, errors.Join(a.noteRefusal(ctx, g.Actor(), Entry(g, refusedEvent, audit.Refused, nil), all[at].Command, err), err)
	}
	return answers, err
}
