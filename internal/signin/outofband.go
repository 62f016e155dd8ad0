package signin

import (
	"context"
	"slices"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// outOfBand is an attempt's side of its approval: the number that is asked for,
// and what came of it.
type outOfBand struct {
	reader    store.Reader
	accounts  accounts
	rules     *Rules
	reading   []string // see Parts.Reading
	approveAt string   // see Parts.ApproveAt
	now       func() time.Time
	kinds     map[string]authenticator.Authenticator
	requests  *approval.Requests
	pushes    *approval.Pushes
	throttle  *throttle.Throttle
}

func (at *attempt) asker() approval.Asker {
	return approval.Asker{Account: at.Account, Attempt: at.ID, Source: at.Source, Partner: at.Partner, Deadline: at.Deadline}
}

// request is what an attempt waits for, and nil where there is nothing.
func (w *outOfBand) request(ctx context.Context, at *attempt) (*approval.Request, error) {
	if at.Approval == 0 {
		return nil, nil
	}
	row, err := w.requests.Of(ctx, w.reader, at.asker(), at.Approval)
	if failure.ClassOf(err) == failure.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return row, nil
}

// take appends what was approved, once, and forgets what was not. It
// returns the reason of a refusal.
func (w *outOfBand) take(ctx context.Context, tx *store.Tx, at *attempt) (string, error) {
	if at.Approval == 0 {
		return "", nil
	}
	row, err := w.requests.Of(ctx, tx, at.asker(), at.Approval)
	if failure.ClassOf(err) == failure.NotFound {
		at.Approval = 0
		return "", nil
	}
	if err != nil {
		return "", err
	}
	ev, approved := row.Approved()
	switch {
	case row.Refused():
		return "refused-elsewhere", nil
	case approved:
		if err := w.requests.Use(ctx, tx, row); err != nil {
			return "", err
		}
		ev.Channel, ev.OutOfBand, ev.Act = at.Protocol, true, at.act(w.reading)
		at.Evidence, at.Approval = assurance.Append(at.Evidence, ev), 0
		account, err := w.accounts.person(ctx, tx, at)
		if err != nil {
			return "", err
		}
		return "", tx.Record(at.accepted(account, verdict{ok: true, kind: OutOfBand}))
	case row.Waits(w.now()):
	default: // late, or another took its place
		at.Approval, at.Transfers, at.Replaced = 0, false, row.Replaced()
	}
	return "", nil
}

const notNow = "Not now: another sign-in waits for approval, or too many were not answered. Use another way, or try again in a few minutes."

// ask is the question, with the number once it is asked for. Where the
// person is in a browser it is asked for by pressing a button, because most who
// see the page will not use it.
func (w *outOfBand) ask(ctx context.Context, tx *store.Tx, at *attempt) (prompt.Prompt, bool, error) {
	p := prompt.Prompt{Authenticator: OutOfBand, Kind: prompt.OutOfBand, Label: "Approve it on another device"}
	if at.Approval != 0 {
		row, err := w.requests.Of(ctx, tx, at.asker(), at.Approval)
		if err != nil {
			return p, false, err
		}
		p.Number = row.Number()
	} else if at.Replaced && !at.browser() {
		return p, false, nil // whoever wants the place back begins again
	} else if !at.browser() || at.Transfers {
		may, err := w.requests.Offered(ctx, tx, at.asker())
		if err != nil || !may {
			at.Transfers = false
			p.Hint = notNow
			return p, at.browser(), err
		}
		told, err := w.told(ctx, tx, at)
		if err != nil {
			return p, false, err
		}
		if p.Number, at.Approval, err = w.requests.Open(ctx, tx, at.asker(), told); err != nil {
			return p, false, err
		}
		if err := w.want(ctx, tx, at); err != nil {
			return p, false, err
		}
	}
	if p.Number != "" {
		if err := w.show(ctx, tx, at, &p); err != nil {
			return p, false, err
		}
	}
	return p, true, nil
}

// want asks for the account's apps to be woken for an approval that was just
// opened; one that was opened once is never opened again, so a retransmission
// wakes nobody. An account without an app has no row.
func (w *outOfBand) want(ctx context.Context, tx *store.Tx, at *attempt) error {
	all, err := w.accounts.credentialsOf(ctx, tx, at, at.Account)
	if err != nil || len(w.pushes.Apps(all)) == 0 {
		return err
	}
	return w.pushes.Queue(ctx, tx, at.Account, at.Approval)
}

// told is what the owner is told of an attempt: who, what, and from where.
func (w *outOfBand) told(ctx context.Context, tx *store.Tx, at *attempt) (approval.Waiting, error) {
	account, err := w.accounts.person(ctx, tx, at)
	if err != nil {
		return approval.Waiting{}, err
	}
	rules, err := w.rules.Current(ctx)
	if err != nil {
		return approval.Waiting{}, err
	}
	familiar, err := w.throttle.KnownSource(ctx, tx, at.Account, at.Source)
	reading := at.Reading
	if !reading.Of(at.Action, at.Object) {
		reading = nil
	}
	return approval.Waiting{Reading: reading, Name: account.Name, Application: at.Application, Action: at.Action, Object: at.Object, Source: audit.AddressText(at.Source), Networks: rules.Networks(at.Source),
		Familiar: familiar, Protocol: at.Protocol, Partner: at.Partner}, err
}

// show says where the account can type the number of a prompt, and in a browser
// what its apps can scan instead.
func (w *outOfBand) show(ctx context.Context, tx *store.Tx, at *attempt, p *prompt.Prompt) error {
	all, err := w.accounts.credentialsOf(ctx, tx, at, at.Account)
	if err != nil {
		return err
	}
	apps := w.pushes.Apps(all)
	*p = p.Saying(w.place(len(apps) > 0, all))
	if len(apps) > 0 && at.browser() {
		p.Data, err = w.kinds[apps[0].Kind].(authenticator.Approver).Scan(p.Number)
	}
	return err
}

// place says where a number can be typed.
func (w *outOfBand) place(apps bool, all []directory.Credential) language.Sentence {
	keys := slices.ContainsFunc(all, func(c directory.Credential) bool {
		return c.Status == directory.CredentialActive && c.Traits.Has(assurance.Held|assurance.PhishingResistant)
	})
	switch {
	case apps && keys:
		return language.Say("Type this number in your Countersign app, or at %s", w.approveAt)
	case apps:
		return language.Say("Type this number in your Countersign app")
	}
	return language.Say("Type this number at %s", w.approveAt)
}

// looksElsewhere reports whether an answer only asks whether the approval was
// given, or asks for a number: a typed line that is empty, or the button.
func looksElsewhere(at *attempt, a prompt.Answer) bool {
	if a.Authenticator == OutOfBand {
		return at.Account != 0
	}
	return at.Approval != 0 && a.Authenticator == "" && a.Text == ""
}

// elsewhereOnly reports whether there is nothing to do but wait.
func elsewhereOnly(at *attempt, prompts []prompt.Prompt) bool {
	return at.Approval != 0 && len(prompts) == 1 && prompts[0].Kind == prompt.OutOfBand
}
