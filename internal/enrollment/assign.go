package enrollment

import (
	"context"
	"errors"

	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/store"
)

// Assignable makes of what an administrator brings the authenticator that it would
// be. The error is an Invalid failure that says how to mend it.
func (e *Enrollments) Assignable(kind string, text []byte) (authenticator.Enrolled, error) {
	how, ok := e.kind(kind).(authenticator.Assigner)
	if !ok {
		return authenticator.Enrolled{}, failure.New(failure.Invalid, "There is no such authenticator on this installation: nothing is configured for it.")
	}
	enrolled, err := how.Assign(text, e.now())
	var refused *authenticator.Refused
	if errors.As(err, &refused) {
		err = &failure.Error{Class: failure.Invalid, Reason: refused.Reason, Public: refused.Public}
	}
	return enrolled, err
}

// AssignTx makes what an administrator brought an authenticator of an account,
// inside another room's change, which records it. It is in quarantine always:
// whoever hands something over has had it in their hands.
func (e *Enrollments) AssignTx(ctx context.Context, tx *store.Tx, account directory.Account, c directory.Credential) (directory.Credential, error) {
	c.Account, c.Quarantine = account.ID, e.now().Add(e.quarantine)
	c, err := e.credentials.Add(ctx, tx, c)
	if err != nil {
		return c, err
	}
	return c, e.tell(ctx, tx, account, language.Say("Something to sign in with was assigned to your account"),
		language.Say("\"%s\" can now be used to sign in as %s.", language.Word(c.Label), account.Name))
}
