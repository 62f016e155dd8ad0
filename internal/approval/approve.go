package approval

import (
	"context"
	"crypto/subtle"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// Approvals is the other side of a sign-in that waits: what its owner sees of it
// and answers, elsewhere. It is safe for concurrent use.
type Approvals struct {
	db       *store.DB
	people   *directory.Accounts
	owners   owners
	now      func() time.Time
	kinds    map[string]authenticator.Authenticator
	rows     *Requests
	throttle *throttle.Throttle
}

// WaitingFor finds the sign-in that waits under a number, for its owner alone.
// Numbers that nothing waits under draw on the account's budget, so that a
// stolen session cannot look for one.
func (a *Approvals) WaitingFor(ctx context.Context, g Grant, typed string) (Waiting, error) {
	return a.under(ctx, g.Actor(), guesser{protocol: g.Protocol(), source: g.Source(), account: g.Account()}, typed)
}

// Approve approves a waiting sign-in. The object names the number that was typed and
// the text that was read ([Waiting.Numbered]), and the grant must be for exactly it: what
// somebody is led to approve without having seen the number approves nothing. The
// number is compared here, where the sign-in is let go on, and a wrong one draws on the
// budget of those who look for one. The grant must rest on a passkey: that is what the
// sign-in is then given, without its resistance to phishing, which does not cross to
// another device.
func (a *Approvals) Approve(ctx context.Context, g Grant, object string) error {
	id, number, ok := readNumbered(object)
	if !ok || !g.Covers(audit.Self, Approve, object) {
		return failure.Refuse("other-action", "The approval is for something else.")
	}
	shown, err := transferred(g)
	if err != nil {
		return err
	}
	by := guesser{protocol: g.Protocol(), source: g.Source(), account: g.Account()}
	return a.throttle.Confirm(ctx, func(heard bool) error {
		by.heard = heard
		return a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
			row, err := a.numbered(ctx, tx, by, id, number)
			if err != nil {
				return err
			}
			if object != row.body.Waiting.Numbered(number) {
				return failure.Refuse("other-text", "The request is not the one that was shown. Type the number again.")
			}
			shown.Bound = row.body.Waiting.Text()
			return a.rows.settle(ctx, tx, row, &shown, entryOf(g))
		})
	})
}

// numbered is what waits, if the number is its own and one may be tried.
func (a *Approvals) numbered(ctx context.Context, tx *store.Tx, by guesser, id int64, number string) (*Request, error) {
	_, over, err := a.budget(ctx, tx, by)
	if err != nil {
		return nil, err
	}
	row, err := a.rows.waiting(ctx, tx, by.account, id)
	if err == nil && (over != "" || subtle.ConstantTimeCompare([]byte(number), []byte(row.body.Number)) != 1) {
		err = a.wrong(ctx, tx, by)
	}
	return row, err
}

// transferred is what an approval by this grant shows elsewhere.
func transferred(g Grant) (assurance.Evidence, error) {
	shown := assurance.Evidence{}
	for _, ev := range g.Evidence() {
		if ev.Traits.Has(assurance.Held|assurance.PhishingResistant) && ev.Time.After(shown.Time) {
			shown = ev
		}
	}
	if shown.Kind == "" {
		return shown, failure.Refuse("no-passkey", "Only a passkey or a security key can approve.")
	}
	shown.Traits &^= assurance.PhishingResistant
	return shown, nil
}

// Numbered is what is approved on a page: the text, and the number that whoever approves
// has read where the sign-in is. Without it nobody has a grant that approves.
func (w Waiting) Numbered(number string) string { return "number " + number + ", " + w.Text() }

// readNumbered takes apart what [Waiting.Numbered] wrote.
func readNumbered(object string) (id int64, number string, ok bool) {
	rest, found := strings.CutPrefix(object, "number ")
	typed, rest, comma := strings.Cut(rest, ", request ")
	digits, _, colon := strings.Cut(rest, ":")
	number, err := readNumber(typed)
	if !found || !comma || !colon || err != nil || number != typed {
		return 0, "", false
	}
	id, err = strconv.ParseInt(digits, 10, 64)
	return id, number, err == nil
}

// Refuse refuses a waiting sign-in; any session of its owner may.
func (a *Approvals) Refuse(ctx context.Context, g Grant, id int64) error {
	return a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		row, err := a.rows.waiting(ctx, tx, g.Account(), id)
		if err != nil {
			return err
		}
		return a.rows.settle(ctx, tx, row, nil, entryOf(g))
	})
}

func entryOf(g Grant) audit.Entry {
	return audit.Entry{AccountName: g.Name(), Protocol: g.Protocol(), Source: g.SourceText(), Detail: map[string]string{}}
}
